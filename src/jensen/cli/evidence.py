"""`jensen evidence`: log p(x), with a standard error and a word on trust."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jensen.cli.options import Checkpoint, DataDir, Json, OtherData, RunArgument, Seed, Split, TrustCode, names, open_run_with_data, print_json, run_seed

if TYPE_CHECKING:
    from jensen.evidence import Evidence

HELP = """Estimate log p(x) of a run's model, in nats per datum; higher is better.

importance samples from the encoder's posterior: --set until_trusted=true or target_error=0.05 doubles the samples where they are wanted, defensive=0.1 adds
the prior to the proposal, smooth=true Pareto-smooths the weights, correction=jackknife takes the bias off; auto anneals the data that importance sampling is
not trusted with; quadrature sums over a grid, for 1 or 2 latent dimensions; monte_carlo samples from the prior, to be compared with.

Example: jensen evidence runs/digits --estimator importance --num-samples 5000 --out values.npz
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("evidence", help=HELP)(evidence)


def evidence(
    run: RunArgument,
    estimator: Annotated[str, typer.Option(help=f"One of: {names('evidence')}, or a .py file.")] = "importance",
    num_samples: Annotated[int | None, typer.Option(help="Samples per datum.", show_default="the estimator's: 5000 for importance")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the estimator; may be repeated.", show_default=False),
    ] = None,
    split: Split = "test",
    data: OtherData = None,
    data_dir: DataDir = None,
    out: Annotated[str | None, typer.Option(help="Keep the values per datum, as .npz or .csv.", show_default=False)] = None,
    chunk: Annotated[int | None, typer.Option(min=1, help="Samples decoded at a time: bounds memory, not the result.", show_default="by device")] = None,
    seed: Seed = None,
    checkpoint: Checkpoint = None,
    trust_code: TrustCode = False,
    json: Json = False,
) -> None:
    """See HELP."""
    chosen = _build(estimator, num_samples, set_ or [])
    opened, dataset = open_run_with_data(run, data, data_dir, checkpoint, trust_code)
    from jensen.anatomy.bits import bits_record, dimensions_in_bits
    from jensen.cli.output import write_arrays
    from jensen.evaluation import split_data, stream_key
    from jensen.evidence import estimate_evidence, pareto_k_threshold
    from jensen.progress import CountProgress

    rows = split_data(dataset, split)
    key = stream_key(run_seed(opened, seed), "evidence")
    with CountProgress() as bar:
        found = estimate_evidence(chosen, opened.model, rows, key, chunk=chunk, on_progress=lambda d, t: bar.advance("evidence", d, t))
    if out:
        write_arrays(out, _per_datum(found))
    dimensions = dimensions_in_bits(opened.model)
    bits = None if dimensions is None else bits_record({"evidence": {"value": found.value, "standard_error": found.standard_error}}, dimensions)
    if json:
        values = {"value": found.value, "standard_error": found.standard_error, "num_samples": found.num_samples, "n": len(rows), "pareto_k": found.untrusted}
        values |= {} if bits is None else {"bits_per_dimension": bits}
        values |= {"pareto_k_threshold": pareto_k_threshold(found.num_samples), "samples": _spread(found), "methods": _shares(found)}
        print_json({**values, "notes": list(found.notes), "estimator": estimator, "split": split, "unit": "nats per datum"})
        return
    print(f"log p(x) = {found.value:.3f} +- {found.standard_error:.3f} nats per datum ({estimator}, {_samples(found)}, {len(rows)} {split} data)")
    if bits is not None:
        value, error = bits["evidence"]["value"], bits["evidence"]["standard_error"]
        print(f"         = {value:.4f} +- {error:.4f} bits per dimension ({dimensions} dimensions; lower is better)")
    _print_trust(found)


def _build(estimator: str, num_samples: int | None, settings: Sequence[str]) -> Any:
    """The estimator with the options given, each checked against its annotation."""
    from pydantic import TypeAdapter, ValidationError

    from jensen.config import assignments
    from jensen.evidence import evidence as room

    options = assignments(settings)
    if num_samples is not None:
        if "num_samples" in options:
            raise ValueError("num_samples is given twice, by --num-samples and by --set; leave one out.")
        options["num_samples"] = num_samples
    known = room.options(estimator)
    for name, value in options.items():
        if name in known and known[name].annotation is not known[name].empty:
            try:
                options[name] = TypeAdapter(known[name].annotation).validate_python(value)
            except ValidationError as error:
                raise ValueError(f"--set {name}: {error.errors()[0]['msg']}; got {value!r}.") from None
    return room.build(estimator, options, {})


def _per_datum(found: "Evidence") -> dict[str, Any]:
    values = {"value": found.values, "standard_error": found.standard_errors, "effective_samples": found.effective_samples, "pareto_k": found.pareto_k}
    return values | {"samples": found.samples, "methods": found.methods, "reasons": found.reasons, "trusted": found.trusted}


def _spread(found: "Evidence") -> dict[str, float]:
    import numpy as np

    return {"min": int(found.samples.min()), "median": float(np.median(found.samples)), "max": int(found.samples.max())}


def _samples(found: "Evidence") -> str:
    spread = _spread(found)
    if spread["min"] == spread["max"]:
        return f"{spread['max']} samples"
    return f"{spread['min']} to {spread['max']} samples, median {spread['median']:g}"


def _shares(found: "Evidence") -> dict[str, float]:
    """The share of the data that each method made an estimate of."""
    return {str(method): float((found.methods == method).mean()) for method in sorted(set(found.methods))}


def _print_trust(found: "Evidence") -> None:
    from jensen.evidence import pareto_k_threshold

    shares = _shares(found)
    if len(shares) > 1:
        print("methods: " + ", ".join(f"{method} for {share:.1%} of the data" for method, share in shares.items()))
    if {"annealed", "quadrature"}.isdisjoint(shares):  # those are not judged by k-hat
        threshold = f"{pareto_k_threshold(found.num_samples):.2f}" if (found.samples == found.num_samples).all() else "its threshold"
        print(f"k-hat is above {threshold} for {found.untrusted:.1%} of the data", end="")
        print(": there the value is likely too low and its standard error too small." if found.untrusted > 0.05 else ".")
    else:
        print(f"not to be trusted for {found.untrusted:.1%} of the data.")
    for note in found.notes:
        print(f"note: {note}")
