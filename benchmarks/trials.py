"""Do the predicted ceilings hold? Priors on trial over a set of trained runs, as rows of a table: python benchmarks/trials.py RUN ... [--try PRIOR[:K] ...]

Nothing is written into the runs. `vamp:50` is a VampPrior of 50 pseudo-inputs that start at training rows.
"""

import argparse
import time
from pathlib import Path

import jensen
from jensen.sessions import trial_of
from jensen.trial import label


def choice(text: str) -> dict:
    name, _, components = text.partition(":")
    size = {"num_components": int(components)} if components else {}
    return {"name": name} | size | ({"initialise": "data"} if name == "vamp" else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--try", dest="priors", action="append")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--data-dir")
    given = parser.parse_args()
    print(
        "| run | prior tried | predicted, test | realised, test | left | share | realised, train | seconds |\n|---|---|---|---|---|---|---|---|"
    )
    for path in given.runs:
        run = jensen.load(path)
        dataset = run.load_data(None, data_dir=given.data_dir)
        for prior in map(choice, given.priors or ["mixture"]):
            began = time.monotonic()
            options = {} if given.epochs is None else {"epochs": given.epochs}
            trial = trial_of(
                run, prior, "test", dataset=dataset, store=False, progress=False, **options
            )
            values = [
                f"{m.value:.3f} +- {m.standard_error:.3f}"
                for m in (trial.gain.predicted, trial.gain.realised, trial.gain.left)
            ]
            train = f"{trial.gains['train'].realised.value:.3f}"
            row = (
                Path(path).name,
                label(trial.prior),
                *values,
                f"{trial.gain.share:.0%}",
                train,
                f"{time.monotonic() - began:.0f}",
            )
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
