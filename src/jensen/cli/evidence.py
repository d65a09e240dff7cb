"""`jensen evidence`: log p(x), with a standard error and a word on trust."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jensen.cli.options import (
    Checkpoint,
    DataDir,
    Json,
    OtherData,
    RunArgument,
    Seed,
    Split,
    TrustCode,
    names,
    open_run_with_data,
    print_json,
    run_seed,
)

if TYPE_CHECKING:
    from jensen.evidence import Evidence

IMPORTANCE_SAMPLES = 5000  # of a sandwich beside another estimator
HELP = """Estimate log p(x) of a run's model, in nats per datum; higher is better. Sampled ones are lower bounds in expectation, but for those that are
smoothed or corrected.

importance samples from the encoder's posterior: --set until_trusted=true or target_error=0.05 doubles the samples where they are wanted, proposal=refined
fits the posterior to each datum first, defensive=0.1 adds the prior, smooth=true Pareto-smooths the weights, correction=jackknife takes the bias off; annealed
leads chains of Hamiltonian Monte Carlo to the posterior (--set num_temperatures=1000, start=prior, schedule=adaptive); auto anneals the data that importance
sampling is not trusted with; quadrature sums over a grid, for 1 or 2 latent dimensions; monte_carlo samples from the prior, to be compared with.

Without --estimator, importance sampling on all data is followed by the sandwich on some: ELBO, IWAE, importance sampling and annealing side by side, and
the gap between forward and reverse chains on data simulated from the model; --set annealed.num_temperatures=1000 and the like are for its chains. A picture
is written to the run's figures. What takes long is kept in the run folder: given again, the command goes on where it was stopped.

Example: jensen evidence runs/digits --estimator importance --num-samples 5000 --out values.npz
Example: jensen evidence runs/digits --rows 50 --set annealed.num_temperatures=1000
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("evidence", help=HELP)(evidence)


def evidence(
    run: RunArgument,
    estimator: Annotated[
        str | None,
        typer.Option(
            help=f"One of: {names('evidence')}, or a .py file.",
            show_default="importance, and the sandwich",
        ),
    ] = None,
    num_samples: Annotated[
        int | None,
        typer.Option(
            help="Samples per datum.", show_default="the estimator's: 5000 for importance"
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="An option of the estimator, or annealed.KEY of the sandwich; may be repeated.",
            show_default=False,
        ),
    ] = None,
    sandwich: Annotated[
        bool | None,
        typer.Option(
            "--sandwich/--no-sandwich",
            help="Make the sandwich, or leave it out.",
            show_default="without --estimator",
        ),
    ] = None,
    rows: Annotated[int, typer.Option(min=2, help="Data of the sandwich, chosen at random.")] = 100,
    simulated: Annotated[
        int, typer.Option(min=0, help="Data to simulate for it; 0 for none.")
    ] = 100,
    split: Split = "test",
    data: OtherData = None,
    data_dir: DataDir = None,
    out: Annotated[
        str | None,
        typer.Option(help="Keep the values per datum, as .npz or .csv.", show_default=False),
    ] = None,
    chunk: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Samples decoded at a time: bounds memory, not the result.",
            show_default="by device",
        ),
    ] = None,
    seed: Seed = None,
    checkpoint: Checkpoint = None,
    trust_code: TrustCode = False,
    json: Json = False,
) -> None:
    """See HELP."""
    wanted = estimator is None if sandwich is None else sandwich
    options = _options(set_ or [], num_samples)
    chains = options.pop("annealed", {})
    if chains and not wanted:
        raise ValueError(
            "--set annealed.KEY is for the sandwich, which is not made here; add --sandwich, or name the option of the estimator alone."
        )
    estimator = estimator or "importance"
    chosen, annealed = _build(estimator, options), _build("annealed", chains)
    if simulated == 1:
        raise ValueError(
            "--simulated 1: a gap with a standard error needs at least 2 data; 0 leaves it out."
        )
    from jensen.cli.output import check_suffix, write_arrays

    check_suffix(out)
    opened, dataset = open_run_with_data(run, data, data_dir, checkpoint, trust_code, writes=True)
    import jax.random as jr

    from jensen.evaluation import split_data, stream_key
    from jensen.evidence import estimate_evidence
    from jensen.progress import CountProgress

    of_split = split_data(dataset, split)
    key = stream_key(run_seed(opened, seed), "evidence")
    store = Path(opened.path) / "evidence" / f"{Path(estimator).stem}.npz"
    made, refused = None, ""
    try:
        with CountProgress() as bar:
            found = estimate_evidence(
                chosen,
                opened.model,
                of_split,
                key,
                chunk=chunk,
                on_progress=lambda d, t: bar.advance("evidence", d, t),
                store=store,
            )
            if out:
                write_arrays(out, _per_datum(found))
            if wanted:
                from jensen.cli._sandwich import make_sandwich

                size = {
                    "num_data": rows,
                    "simulated": simulated,
                    "num_samples": chosen.num_samples
                    if estimator == "importance"
                    else IMPORTANCE_SAMPLES,
                    "chunk": chunk,
                }
                try:
                    made = make_sandwich(
                        opened, of_split, jr.fold_in(key, 1), annealed, bar, **size
                    )
                except ValueError as error:
                    if sandwich:
                        raise
                    refused = str(error)
    except KeyboardInterrupt:
        print(
            f"\nStopped. Annealing that is done is kept in {store.parent}; the same command goes on from there.",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    _show(opened, found, made, annealed, estimator, split, len(of_split), json)
    if refused and not json:
        print(f"no sandwich: {refused}")


def _show(
    opened: Any,
    found: "Evidence",
    made: Any,
    annealed: Any,
    estimator: str,
    split: str,
    n: int,
    json: bool,
) -> None:
    from jensen.anatomy.bits import bits_record, dimensions_in_bits
    from jensen.cli import _sandwich
    from jensen.evidence import pareto_k_threshold

    picture = _sandwich.draw(opened, made) if made else None
    dimensions = dimensions_in_bits(opened.model)
    bits = (
        None
        if dimensions is None
        else bits_record(
            {"evidence": {"value": found.value, "standard_error": found.standard_error}}, dimensions
        )
    )
    if json:
        values = {
            "value": found.value,
            "standard_error": found.standard_error,
            "num_samples": found.num_samples,
            "n": n,
            "pareto_k": found.untrusted,
        }
        values |= {} if bits is None else {"bits_per_dimension": bits}
        values |= {
            "pareto_k_threshold": pareto_k_threshold(found.num_samples),
            "samples": _spread(found),
            "methods": _shares(found),
        }
        values |= (
            {"sandwich": _sandwich.sandwich_record(made, annealed, picture)} if picture else {}
        )
        print_json(
            {
                **values,
                "notes": list(found.notes),
                "estimator": estimator,
                "split": split,
                "unit": "nats per datum",
            }
        )
        return
    print(
        f"log p(x) = {found.value:.3f} +- {found.standard_error:.3f} nats per datum ({estimator}, {_samples(found)}, {n} {split} data)"
    )
    if bits is not None:
        value, error = bits["evidence"]["value"], bits["evidence"]["standard_error"]
        print(
            f"         = {value:.4f} +- {error:.4f} bits per dimension ({dimensions} dimensions; lower is better)"
        )
    _print_trust(found)
    if picture:
        _sandwich.print_sandwich(made, annealed, n, split)
        print(f"picture: {picture}")


def _options(settings: Sequence[str], num_samples: int | None) -> dict[str, Any]:
    from jensen.config import assignments

    options = assignments(settings)
    if num_samples is not None:
        if "num_samples" in options:
            raise ValueError(
                "num_samples is given twice, by --num-samples and by --set; leave one out."
            )
        options["num_samples"] = num_samples
    return options


def _build(estimator: str, options: dict[str, Any]) -> Any:
    """The estimator with the options given, each checked against its annotation."""
    from pydantic import TypeAdapter, ValidationError

    from jensen.evidence import evidence as room

    known = room.options(estimator)
    for name, value in options.items():
        if name in known and known[name].annotation is not known[name].empty:
            try:
                options[name] = TypeAdapter(known[name].annotation).validate_python(value)
            except ValidationError as error:
                raise ValueError(
                    f"--set {name}: {error.errors()[0]['msg']}; got {value!r}."
                ) from None
    return room.build(estimator, options, {})


def _per_datum(found: "Evidence") -> dict[str, Any]:
    values = {
        "value": found.values,
        "standard_error": found.standard_errors,
        "effective_samples": found.effective_samples,
        "pareto_k": found.pareto_k,
    }
    return values | {
        "samples": found.samples,
        "methods": found.methods,
        "reasons": found.reasons,
        "trusted": found.trusted,
    }


def _spread(found: "Evidence") -> dict[str, float]:
    import numpy as np

    return {
        "min": int(found.samples.min()),
        "median": float(np.median(found.samples)),
        "max": int(found.samples.max()),
    }


def _samples(found: "Evidence") -> str:
    spread = _spread(found)
    if spread["min"] == spread["max"]:
        return f"{spread['max']} samples"
    return f"{spread['min']} to {spread['max']} samples, median {spread['median']:g}"


def _shares(found: "Evidence") -> dict[str, float]:
    """The share of the data that each method made an estimate of."""
    return {
        str(method): float((found.methods == method).mean())
        for method in sorted(set(found.methods))
    }


def _print_trust(found: "Evidence") -> None:
    from jensen.evidence import pareto_k_threshold

    shares = _shares(found)
    if len(shares) > 1:
        print(
            "methods: "
            + ", ".join(f"{method} for {share:.1%} of the data" for method, share in shares.items())
        )
    if {"annealed", "quadrature"}.isdisjoint(shares):  # those are not judged by k-hat
        threshold = (
            f"{pareto_k_threshold(found.num_samples):.2f}"
            if (found.samples == found.num_samples).all()
            else "its threshold"
        )
        print(f"k-hat is above {threshold} for {found.untrusted:.1%} of the data", end="")
        print(
            ": there the value is likely too low and its standard error too small."
            if found.untrusted > 0.05
            else "."
        )
    else:
        print(f"not to be trusted for {found.untrusted:.1%} of the data.")
    for note in found.notes:
        print(f"note: {note}")
