"""The account of a training set: N = 50,000 data, 1 draw each, D = 40, all lines but evidence and gaps, against the float64 matrix products of its pairs and
the passes of its networks."""

import time

import jax
import jax.numpy as jnp
import numpy as np

import jensen
from jensen.anatomy import surgery
from jensen.anatomy.marginal_split import marginals
from jensen.anatomy.surgery_lines import surgery_lines
from jensen.weights import log_weights

ROWS, DIMENSIONS, POINTS, BLOCK, ROUNDS = 50_000, 40, 2_500, 2048, 3


def main() -> list[str]:
    random = np.random.RandomState(0)
    data = (random.uniform(size=(ROWS, 784)) < 0.3).astype(np.uint8)
    model = jensen.vae((784,), latent_dim=DIMENSIONS, data=data[:1000], key=jax.random.key(0))
    with jax.enable_x64(True):
        a, b = (
            jnp.asarray(random.standard_normal((n, 2 * DIMENSIONS))) for n in (POINTS, 25 * BLOCK)
        )
        products = jax.jit(
            lambda a, b: jax.lax.map(lambda w: (a @ w.T)[:, ::512].sum(), b.reshape(25, BLOCK, -1))
        )
    passes = jax.jit(lambda x, key: log_weights(model, x, key=key, num_samples=1).tempered().sum())

    def floor() -> tuple[float, float]:
        began = time.perf_counter()
        with jax.enable_x64(True):
            products(a, b).block_until_ready()
        pairs = (time.perf_counter() - began) * (ROWS / POINTS) * (ROWS / (25 * BLOCK))
        began = time.perf_counter()
        for start in range(0, ROWS, 2500):
            passes(jnp.asarray(data[start : start + 2500]), jax.random.key(0)).block_until_ready()
        return pairs, time.perf_counter() - began

    def whole() -> tuple[float, float]:
        began = time.perf_counter()
        cut = surgery(model, data, key=jax.random.key(1), num_draws=1)
        middle = time.perf_counter()
        surgery_lines(cut)
        found, _ = marginals(cut)
        assert found is not None
        return middle - began, time.perf_counter() - middle

    floor()  # compiles
    measured = [(*floor(), *whole()) for _ in range(ROUNDS)]
    pairs, networks, cut, parts = (
        float(np.median(column)) for column in zip(*measured, strict=True)
    )
    ratio = float(np.median([(c + p) / (m + n) for m, n, c, p in measured]))
    return [
        f"matrix products of {ROWS}^2 pairs: {pairs:.1f} s; passes of encoder and decoder: {networks:.1f} s",
        f"surgery: {cut:.1f} s; all lines, total correlation and the {DIMENSIONS} dimensions: {parts:.1f} s",
        f"account / floor: {ratio:.2f} (aim: 3 or less)",
    ]


if __name__ == "__main__":
    print("\n".join(main()))
