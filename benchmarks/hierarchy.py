"""Models of two levels: an epoch against the matrix products of its own steps, and against an epoch of the one-level model.

784-300-300-40 (and 40 for the second level), gated dense, batch 100, MNIST-sized binary data; 10,000 rows, validation aside.
"""

import jax.random as jr
import numpy as np

import jensen
from _measure import interleaved
from _products import epoch_of

ROWS = 10_000


def main() -> list[str]:
    x = (np.random.RandomState(0).random_sample((ROWS, 28, 28)) < 0.13).astype(np.uint8)
    shared = {"network": "gated_dense", "latent_dim": 40, "data": x, "key": jr.key(0)}
    models = {
        "vae": jensen.vae((28, 28), **shared),
        "hvae": jensen.hvae((28, 28), **shared),
        "vae vamp": jensen.vae((28, 28), prior="vamp", **shared),
        "hvae vamp": jensen.hvae((28, 28), prior="vamp", **shared),
    }
    contestants, flop = {}, {}
    for name, model in models.items():
        contestants[name], contestants[f"{name}: products"], flop[name] = epoch_of(model, x)
    seconds = interleaved(contestants, rounds=5)
    lines = []
    for name in models:
        epoch, products = seconds[name], seconds[f"{name}: products"]
        aim = " (aim: 1.5 or less)" if name == "hvae vamp" else ""
        lines.append(
            f"{name}: {epoch:.3f} s, its products {products:.3f} s ({flop[name] / products / 1e9:.0f} GFLOP/s), ratio {epoch / products:.2f}{aim}"
        )
    lines.append(f"hvae / vae: {seconds['hvae'] / seconds['vae']:.2f} (aim: 3 or less)")
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
