"""What the account in training costs: fits with `account_every` and without, interleaved, as a share of the time without.

A VAE 784-300-300-40, batch 100, on 5,000 rows of binary data. Not counted: the compilation of the epoch and the first account, which compiles.
"""

import contextlib
import io

import jax.random as jr
import numpy as np

import jensen
from _measure import interleaved
from jensen.anatomy.in_training import accounts_of
from jensen.progress import FitProgress

ROWS, EPOCHS, LATENT = 5000, 20, 40
EVERY = {"without": 0, "every 4th epoch": 4}


def main() -> list[str]:
    x = (np.random.RandomState(0).random_sample((ROWS + 10, 28, 28)) < 0.13).astype(np.uint8)
    data = jensen.Dataset("rows", x[:ROWS], x[:0], x[ROWS:])
    model = jensen.vae((28, 28), latent_dim=LATENT, data=data, key=jr.key(0))
    compiled: list[float] = []
    original = FitProgress.compiled
    FitProgress.compiled = lambda self, s: (compiled.append(s), original(self, s))[1]
    seconds: dict[str, list[float]] = {name: [] for name in EVERY}
    made: dict[str, list[dict]] = {}

    def fit(name: str):
        def run():
            with contextlib.redirect_stderr(io.StringIO()):
                done = jensen.fit(
                    model, data, epochs=EPOCHS, patience=0, key=jr.key(1), account_every=EVERY[name]
                )
            made[name] = accounts_of(done.history)
            seconds[name].append(
                done.seconds
                - compiled[-1]
                - sum(a["seconds"] for a in made[name] if a["compiling"])
            )

        return run

    interleaved({name: fit(name) for name in EVERY}, rounds=3)
    medians = {name: float(np.median(s[1:])) for name, s in seconds.items()}
    lines = [
        f"seconds of {EPOCHS} epochs: {', '.join(f'{name} {s:.2f}' for name, s in medians.items())}"
    ]
    for name, taken in made.items():
        if taken:
            later = [a["seconds"] for a in taken if not a["compiling"]]
            lines.append(
                f"account {name}: {medians[name] / medians['without'] - 1:+.1%} by the clock; {sum(later) / medians[name]:.1%} by the records: {len(taken)} "
                f"accounts of {taken[-1]['n']} data, {np.median(later):.3f} s each (aim: 5% or less); the first, which compiles, {taken[0]['seconds']:.1f} s"
            )
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
