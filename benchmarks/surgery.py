"""The exact aggregated posterior, N = 50,000 components, D = 40, against the float64 matrix products of its pairs."""

import jax
import jax.numpy as jnp
import numpy as np

from _measure import interleaved, peak_memory
from jensen._numerics import mixture_log_density

COMPONENTS, DIMENSIONS, POINTS, BLOCK = 50_000, 40, 5_000, 2048


def main() -> list[str]:
    random = np.random.RandomState(0)
    loc, scale = (
        random.standard_normal((COMPONENTS, DIMENSIONS)),
        np.exp(0.3 * random.standard_normal((COMPONENTS, DIMENSIONS)) - 1),
    )
    z = loc[:POINTS] + scale[:POINTS] * random.standard_normal((POINTS, DIMENSIONS))
    with jax.enable_x64(True):
        a, b = (
            jnp.asarray(random.standard_normal((POINTS, 2 * DIMENSIONS))),
            jnp.asarray(random.standard_normal((25, BLOCK, 2 * DIMENSIONS))),
        )
        products = jax.jit(lambda a, b: jax.lax.map(lambda w: (a @ w.T)[:, ::512].sum(), b))

    def run_products():
        with jax.enable_x64(True):
            products(a, b).block_until_ready()

    seconds = interleaved(
        {"products": run_products, "surgery": lambda: mixture_log_density(z, loc, scale)}, rounds=5
    )
    flop = 2 * 2 * DIMENSIONS * POINTS
    rate = {
        "products": flop * 25 * BLOCK / seconds["products"],
        "surgery": flop * COMPONENTS / seconds["surgery"],
    }
    lines = [
        f"{name}: {seconds[name]:.3f} s, {r / 1e9:.0f} GFLOP/s (float64)"
        for name, r in rate.items()
    ]
    lines.append(
        f"surgery / products: {rate['surgery'] / rate['products']:.2f} of the rate (aim: 0.5 or more)"
    )
    lines.append(
        f"50,000 draws (2.5e9 pairs) at this rate: {seconds['surgery'] * COMPONENTS / POINTS:.1f} s"
    )
    code = (
        "import numpy as np; from jensen._numerics import mixture_log_density; r = np.random.RandomState(0)\n"
        f"m = r.standard_normal(({COMPONENTS}, {DIMENSIONS})); s = np.ones_like(m)\n"
        "mixture_log_density(m[:4096], m, s)"
    )
    lines.append(f"peak memory: {peak_memory(code):.0f} MB (aim: below 1000)")
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
