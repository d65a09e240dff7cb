"""Importance sampling at S = 5000 against the matrix products of the same decoder; peak memory against S and N."""

import jax
import jax.random as jr
import numpy as np

import jensen
from _measure import interleaved, peak_memory
from jensen.evidence import estimate_evidence
from jensen.evidence.importance import Importance

DATA, SAMPLES, CHUNK = 40, 5000, 2048
SIZES = [(40, 300), (300, 300), (300, 784)]


def main() -> list[str]:
    x = (np.random.RandomState(0).random_sample((DATA, 28, 28)) < 0.13).astype(np.uint8)
    model = jensen.vae((28, 28), latent_dim=40, key=jr.key(0))
    layers = [jr.normal(jr.key(i), s) / np.sqrt(s[0]) for i, s in enumerate(SIZES)]

    @jax.jit
    def products(z):
        def one(z):
            h = z
            for w in layers:
                h = h @ w
            return h[:, 0].sum() + h[:, -1].sum()

        return jax.lax.map(one, z)

    z = jr.normal(jr.key(9), (DATA * SAMPLES // CHUNK, CHUNK, 40))
    contestants = {
        "products": lambda: products(z).block_until_ready(),
        "importance": lambda: estimate_evidence(
            model, x, Importance(num_samples=SAMPLES), key=jr.key(1)
        ),
    }
    seconds = interleaved(contestants, rounds=5)
    flop = 2 * sum(a * b for a, b in SIZES)
    rate = {
        "products": flop * z.shape[0] * CHUNK / seconds["products"],
        "importance": flop * DATA * SAMPLES / seconds["importance"],
    }
    lines = [f"{name}: {seconds[name]:.3f} s, {r / 1e9:.0f} GFLOP/s" for name, r in rate.items()]
    lines.append(
        f"importance / products: {rate['importance'] / rate['products']:.2f} of the rate (aim: 0.7 or more)"
    )
    code = (
        "import jax, numpy as np, jensen; from jensen.evidence import *; from jensen.evidence.importance import Importance\n"
        "x = np.zeros(({n}, 28, 28), np.uint8); m = jensen.vae((28, 28), latent_dim=40, key=jax.random.key(0))\n"
        "estimate_evidence(m, x, Importance(num_samples={s}), key=jax.random.key(1))"
    )
    for n, s in [(20, 500), (20, 5000), (20, 50_000), (1000, 500), (4000, 500)]:
        lines.append(f"peak memory, N = {n}, S = {s}: {peak_memory(code.format(n=n, s=s)):.0f} MB")
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
