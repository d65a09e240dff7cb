"""`jensen evidence`: log p(x), with a standard error and a word on trust."""

from typing import Annotated

import typer

from jensen.cli.options import Checkpoint, DataDir, Json, OtherData, RunArgument, Seed, Split, TrustCode, names, open_run_with_data, print_json, run_seed

HELP = """Estimate log p(x) of a run's model, in nats per datum; higher is better.

importance samples from the encoder's posterior; monte_carlo samples from the prior, to be compared with.

Example: jensen evidence runs/digits --estimator importance --num-samples 5000 --out values.npz
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("evidence", help=HELP)(evidence)


def evidence(
    run: RunArgument,
    estimator: Annotated[str, typer.Option(help=f"One of: {names('evidence')}, or a .py file.")] = "importance",
    num_samples: Annotated[int, typer.Option(help="Samples per datum; exactly as many are drawn.")] = 5000,
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
    opened, dataset = open_run_with_data(run, data, data_dir, checkpoint, trust_code)
    from jensen.anatomy.bits import bits_record, dimensions_in_bits
    from jensen.cli.output import write_arrays
    from jensen.evaluation import split_data, stream_key
    from jensen.evidence import estimate_evidence, pareto_k_threshold
    from jensen.evidence import evidence as room
    from jensen.progress import CountProgress

    chosen = room.build(estimator, {"num_samples": num_samples}, {})
    rows = split_data(dataset, split)
    key = stream_key(run_seed(opened, seed), "evidence")
    with CountProgress() as bar:
        found = estimate_evidence(chosen, opened.model, rows, key, chunk=chunk, on_progress=lambda d, t: bar.advance("evidence", d, t))
    if out:
        per_datum = {"value": found.values, "standard_error": found.standard_errors, "effective_samples": found.effective_samples}
        write_arrays(out, per_datum | {"pareto_k": found.pareto_k})
    dimensions = dimensions_in_bits(opened.model)
    bits = None if dimensions is None else bits_record({"evidence": {"value": found.value, "standard_error": found.standard_error}}, dimensions)
    if json:
        values = {"value": found.value, "standard_error": found.standard_error, "num_samples": num_samples, "n": len(rows), "pareto_k": found.untrusted}
        values |= {} if bits is None else {"bits_per_dimension": bits}
        print_json({**values, "pareto_k_threshold": pareto_k_threshold(num_samples), "estimator": estimator, "split": split, "unit": "nats per datum"})
        return
    print(f"log p(x) = {found.value:.3f} +- {found.standard_error:.3f} nats per datum ({estimator}, {num_samples} samples, {len(rows)} {split} data)")
    if bits is not None:
        value, error = bits["evidence"]["value"], bits["evidence"]["standard_error"]
        print(f"         = {value:.4f} +- {error:.4f} bits per dimension ({dimensions} dimensions; lower is better)")
    print(f"k-hat is above {pareto_k_threshold(num_samples):.2f} for {found.untrusted:.1%} of the data", end="")
    print(": there the value is likely too low and its standard error too small." if found.untrusted > 0.05 else ".")
