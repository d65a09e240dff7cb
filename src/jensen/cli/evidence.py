"""`jensen evidence`: log p(x), with a standard error and a word on trust."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jensen._rooms import Room
from jensen.cli.options import (
    Checkpoint,
    DataDir,
    Json,
    OtherData,
    RunArgument,
    Seed,
    Split,
    TrustCode,
    data_settings,
    names,
    open_run_with_rows,
    print_json,
    run_seed,
)

if TYPE_CHECKING:
    from jensen.datasets import Rows
    from jensen.evidence import Evidence

# The estimator's own number, also of a sandwich beside another estimator.
IMPORTANCE_SAMPLES = Room("jensen.evidence", "").source_default("importance", "num_samples")
HELP = """Estimate log p(x) of a run's model, in nats per datum; higher is better. Where k-hat
distrusts data that matter to the mean, the value is a lower bound, printed as >=, with no +-.
Sampled ones are lower bounds in expectation, but for those that are smoothed or corrected.

importance samples from the encoder's posterior: --set until_trusted=true or target_error=0.05
doubles the samples where they are wanted, proposal=refined fits the posterior to each datum first,
defensive=0.1 adds the prior, smooth=true Pareto-smooths the weights, correction=jackknife takes the
bias off; annealed leads chains of Hamiltonian Monte Carlo to the posterior (--set
num_temperatures=1000, start=prior, schedule=adaptive); auto anneals the data that importance
sampling is not trusted with. Both compare with chains from the prior on 16 of the data, which find
modes that the encoder misses (--set check_data=0 for none). quadrature sums over a grid, for 1 or 2
latent dimensions; monte_carlo samples from the prior, to be compared with.

Without --estimator, importance sampling on all data is followed by the sandwich on some: ELBO,
IWAE, importance sampling and annealing side by side, and the gap between forward and reverse chains
on data simulated from the model; --set annealed.num_temperatures=1000 and the like are for its
chains. A picture is written to the run's figures. What takes long is kept in the run folder: given
again, the command goes on where it was stopped.

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
            help="Samples per datum.",
            show_default=f"the estimator's: {IMPORTANCE_SAMPLES} for importance",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="An option of the estimator, annealed.KEY of the sandwich, or data.KEY of how "
            "--data is read; may be repeated.",
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
    split: Split = None,
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
    reading, settings = data_settings(set_)
    options = _options(settings, num_samples)
    chains = options.pop("annealed", {})
    if chains and not wanted:
        raise ValueError(
            "--set annealed.KEY is for the sandwich, which is not made here; add --sandwich, or "
            "name the option of the estimator alone."
        )
    estimator = estimator or "importance"
    chosen = _build(estimator, options, "--set ")
    annealed = _build("annealed", chains, "--set annealed.")
    if simulated == 1:
        raise ValueError(
            "--simulated 1: a gap with a standard error needs at least 2 data; 0 leaves it out."
        )
    from jensen.cli.output import check_suffix, write_arrays

    check_suffix(out)
    opened, rows_evaluated = open_run_with_rows(
        run, split, data, data_dir, checkpoint, trust_code, reading, writes=True
    )
    import jax.random as jr

    from jensen.evidence import estimate_evidence
    from jensen.progress import CountProgress
    from jensen.sessions import stream_key

    values = rows_evaluated.values
    key = stream_key(run_seed(opened, seed), "evidence")
    store = Path(opened.path) / "evidence" / f"{Path(estimator).stem}.npz"
    made, refused = None, ""
    try:
        with CountProgress() as bar:
            found = estimate_evidence(
                opened.model,
                values,
                chosen,
                key=key,
                chunk=chunk,
                on_progress=bar.advance,
                store=store,
            )
            if out:
                columns = _per_datum(found)
                write_arrays(out, rows_evaluated.columns(beside=columns) | columns)
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
                    made = make_sandwich(opened, values, jr.fold_in(key, 1), annealed, bar, **size)
                except ValueError as error:
                    if sandwich:
                        raise
                    refused = str(error)
    except KeyboardInterrupt:
        print(
            f"\nStopped. Annealing that is done is kept in {store.parent}; the same command goes on "
            "from there.",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    _show(
        opened, found, made, annealed, estimator, rows_evaluated, json, list_rows=data is not None
    )
    if refused and not json:
        print(f"no sandwich: {refused}")


def _show(
    opened: Any,
    found: "Evidence",
    made: Any,
    annealed: Any,
    estimator: str,
    rows: "Rows",
    json: bool,
    *,
    list_rows: bool,
) -> None:
    from jensen.anatomy.bits import bits_record, dimensions_in_bits
    from jensen.cli import _sandwich
    from jensen.cli.output import row_lists
    from jensen.evidence import pareto_k_threshold

    n, split = len(rows), rows.name
    picture = _sandwich.draw(opened, made) if made else None
    dimensions = dimensions_in_bits(opened.model)
    bits = (
        None
        if dimensions is None
        else bits_record(
            {
                "evidence": {
                    "value": found.value,
                    "standard_error": None if found.bound else found.error,
                    "bound": found.bound or None,
                }
            },
            dimensions,
        )
    )
    if json:
        values = {
            "value": found.value,
            "standard_error": None if found.bound else found.error,
            "bound": found.bound or None,
            "shortfall": found.shortfall,
            "bias": found.bias,
            "num_samples": found.num_samples,
            "n": n,
            "untrusted_share": found.untrusted,
            "pareto_k": found.untrusted,  # the old name of the share: goes next version
        }
        values |= {} if bits is None else {"bits_per_dimension": bits}
        values |= {
            "pareto_k_threshold": pareto_k_threshold(found.num_samples),
            "samples": _spread(found),
            "methods": _shares(found),
        }
        values |= (
            {"sandwich": _sandwich.sandwich_record(made, annealed, picture, rows)}
            if picture
            else {}
        )
        print_json(
            {
                **values,
                "notes": list(found.notes),
                "estimator": estimator,
                "split": split,
                "unit": "nats per datum",
                **({"rows": row_lists(rows)} if list_rows else {}),
            }
        )
        return
    how = f"({estimator}, {_samples(found)}, {n} {split} data)"
    print(f"log p(x) {_figure(found.value, found.error, found.bound, 3)} nats per datum {how}")
    if bits is not None:
        bit = bits["evidence"]
        figure = _figure(bit["value"], bit["standard_error"], bit["bound"] or "", 4)
        print(f"         {figure} bits per dimension ({dimensions} dimensions; lower is better)")
    _print_trust(found)
    if picture:
        _sandwich.print_sandwich(made, annealed, n, split)
        print(f"picture: {picture}")


def _figure(value: float, error: float | None, bound: str, digits: int) -> str:
    """`= value +- error`, or the sign of a bound and the value alone."""
    from jensen.anatomy.lines import SIGN

    if bound:
        return f"{SIGN[bound]}{value:.{digits}f}"
    return f"= {value:.{digits}f} +- {error:.{digits}f}"


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


def _build(estimator: str, options: dict[str, Any], where: str) -> Any:
    """The estimator with the options given, each checked against its annotation."""
    from jensen.evidence import evidence as room

    return room.resolve({**options, "name": estimator}, where=where).build({})


def _per_datum(found: "Evidence") -> dict[str, Any]:
    import numpy as np

    values = {
        "value": found.values,
        # Of draws that k-hat does not trust there is a spread, but no error of log p(x).
        "standard_error": np.where(found.trusted, found.standard_errors, np.nan),
        "effective_samples": found.effective_samples,
        "pareto_k": found.pareto_k,
    }
    return values | {
        "samples": found.samples,
        "methods": found.methods,
        "reasons": found.reasons,
        "trusted": found.trusted,
        "shortfall": found.shortfalls,
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
    # Annealing, grids and what other chains contradict are not judged by k-hat.
    if {"annealed", "quadrature"}.isdisjoint(shares) and not found.misses_modes:
        threshold = (
            f"{pareto_k_threshold(found.num_samples):.2f}"
            if (found.samples == found.num_samples).all()
            else "its threshold"
        )
        print(f"k-hat is above {threshold} for {found.untrusted:.1%} of the data.")
    else:
        print(f"not to be trusted for {found.untrusted:.1%} of the data.")
    if found.bound:
        print(_bound_in_words(found))
    elif found.bias > found.standard_error:
        print(
            f"The +- includes {found.bias:.2g} nats by which this number of samples is expected to "
            f"leave log p(x) too low; the Monte Carlo error alone is {found.standard_error:.2g}."
        )
    for note in found.notes:
        print(f"note: {note}")


def _bound_in_words(found: "Evidence") -> str:
    import math

    if found.misses_modes:
        return "log p(x) is a lower bound: chains from another start find more (below)."
    rise = (
        f"ten times as many samples would raise the mean by about {found.shortfall:.2g} nats"
        if math.isfinite(found.shortfall)
        else "nothing tells how far they may move the mean"
    )
    what = (
        "log p(x) is a lower bound in expectation"
        if found.bound == "lower"
        else "neither bound nor error of log p(x) is known"
    )
    return f"These data decide: {rise}, so that {what}. Run annealing for them (--estimator auto)."
