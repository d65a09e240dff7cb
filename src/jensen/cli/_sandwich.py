"""The sandwich of `jensen evidence`: made, drawn into the run's figures, printed."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from jensen._types import Key
    from jensen.datasets import Rows
    from jensen.evidence._sandwich import Sandwich
    from jensen.evidence.annealed import Annealed
    from jensen.progress import CountProgress

WHAT = {
    "elbo": "mean of log w",
    "iwae": "log of the mean of K weights",
    "importance": "log of the mean of all",
    "annealed": "chains from q to the posterior",
}


def make_sandwich(
    run: Any,
    rows: "np.ndarray",
    key: "Key",
    annealed: "Annealed",
    bar: "CountProgress",
    *,
    num_data: int,
    simulated: int,
    num_samples: int,
    chunk: int | None,
) -> "Sandwich":
    """The sandwich of a run's model; what is done is kept in the run folder while it is made."""
    from jensen.evidence import sandwich

    return sandwich(
        run.model,
        rows,
        key=key,
        annealed=annealed,
        num_data=num_data,
        iwae_samples=max(2, min(50, num_samples // 2)),
        num_samples=num_samples,
        simulated=simulated,
        chunk=chunk,
        on_progress=bar.advance,
        store=Path(run.path) / "evidence",
    )


def draw(run: Any, found: "Sandwich") -> Path:
    """Writes the picture into the run's figures; the path of the PNG file."""
    from jensen._files import write_atomically
    from jensen.reports import draw_sandwich

    folder = Path(run.path) / "figures"
    for file, content in draw_sandwich(found).items():
        write_atomically(folder / file, content)
    return folder / "sandwich.png"


def print_sandwich(found: "Sandwich", annealed: "Annealed", of: int, split: str) -> None:
    """The rungs, what each wins over the one below, and what the simulated data certify."""
    start = {"encoder": "the encoder's posterior", "prior": "the prior"}[annealed.start]
    print(
        f"\nLower bounds on {len(found.index)} of the {of} {split} data, nats per datum; none is "
        "above log p(x) in expectation"
    )
    steps = [None, *found.steps]
    for rung, step in zip(found.rungs, steps, strict=True):
        won = "" if step is None else f"{step[0]:+9.3f} +- {step[1]:.3f}"
        print(
            f"  {rung.name:<22}{rung.value:10.3f} +- {rung.standard_error:<7.3f}{won:<19}  "
            f"{WHAT[rung.name.split(',')[0]]}"
        )
    temperatures = len(found.annealed.curves["beta"])
    accepted = found.annealed.curves["acceptance"].mean()
    print(
        f"annealed: {annealed.num_samples} chains from {start}, {temperatures} temperatures, "
        f"{accepted:.0%} of moves accepted",
        end="; ",
    )
    print(
        f"not to be trusted for {found.annealed.untrusted:.1%}, importance sampling for "
        f"{found.importance.untrusted:.1%} of these data."
    )
    for note in found.annealed.notes:
        print(f"note: {note}")
    if found.bidirectional:
        print(found.bidirectional.certifies)
        for note in found.bidirectional.notes:
            print(f"note: {note}")


def sandwich_record(
    found: "Sandwich", annealed: "Annealed", picture: Path, rows: "Rows"
) -> Mapping[str, Any]:
    """Plain values; `rows` are those that the sandwich's data were chosen from."""
    from jensen.cli.output import row_lists

    steps = [None, *found.steps]
    rungs = [
        {
            "name": r.name,
            "value": r.value,
            "standard_error": r.standard_error,
            "over_the_one_below": step and {"value": step[0], "standard_error": step[1]},
        }
        for r, step in zip(found.rungs, steps, strict=True)
    ]
    both = found.bidirectional
    return {
        "rungs": rungs,
        "n": len(found.index),
        "index": found.index.tolist(),
        "rows": row_lists(rows, found.index),
        "untrusted": {
            "importance": found.importance.untrusted,
            "annealed": found.annealed.untrusted,
        },
        "annealed": {
            "num_temperatures": len(found.annealed.curves["beta"]),
            "num_chains": annealed.num_samples,
            "start": annealed.start,
        },
        "notes": list(found.annealed.notes),
        "bidirectional": both
        and {
            "lower": float(both.lower.mean()),
            "upper": float(both.upper.mean()),
            "gap": both.gap,
            "standard_error": both.standard_error,
            "n": len(both.lower),
            "apart": int(both.apart.sum()),
            "certifies": both.certifies,
            "notes": list(both.notes),
        },
        "picture": str(picture),
    }
