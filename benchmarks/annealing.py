"""Annealed importance sampling against the matrix products of its decoder calls; peak memory against the number of data and of temperatures."""

import sys

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import jensen
from _measure import interleaved, peak_memory
from jensen.evidence import _schedules
from jensen.evidence._chains import PART, Chains, Steps, advance, begin, chain_keys
from jensen.evidence._lots import _upwards

DATA, CHAINS, LEAPFROG = 100, 16, 10
SIZES = [(40, 300), (300, 300), (300, 784)]


def main() -> list[str]:
    return [*rate(), *memory()]


def rate(rounds: int = 5) -> list[str]:
    x = (np.random.RandomState(0).random_sample((DATA, 28, 28)) < 0.13).astype(np.uint8)
    model = jensen.vae((28, 28), latent_dim=40, key=jr.key(0))
    layers = [jr.normal(jr.key(i), s) / np.sqrt(s[0]) for i, s in enumerate(SIZES)]

    @jax.jit
    def products(z):
        """A pass forwards and the pass back to the code, as often as leapfrog steps call the decoder."""

        def one(z, _):
            h = z
            for w in layers:
                h = h @ w
            for w in reversed(layers):
                h = h @ w.T
            return jax.lax.optimization_barrier(h), None

        return jax.lax.scan(one, z, None, length=PART * LEAPFROG)[0]

    z = jr.normal(jr.key(9), (DATA * CHAINS, 40))
    chains, x = Chains(CHAINS, LEAPFROG, 0.65, "encoder"), jnp.asarray(x)
    keys = chain_keys(chains, jnp.arange(DATA), jr.key(1))
    prior = model.prior(model.encoder)
    codes = begin(chains, model, prior, x, keys)
    steps = Steps(jnp.full((DATA, 1), -2.0), jnp.ones(1))
    moves = _upwards(_schedules.sigmoid(1000)).part(100)
    contestants = {
        "products": lambda: products(z).block_until_ready(),
        "annealing": lambda: jax.block_until_ready(
            advance(chains, model, prior, x, keys, codes, steps, moves)
        ),
    }
    seconds = interleaved(contestants, rounds=rounds)
    flop = 4 * sum(a * b for a, b in SIZES) * DATA * CHAINS * PART * LEAPFROG
    lines = [
        f"{name}: {s:.2f} s for {PART} temperatures, {flop / s / 1e9:.0f} GFLOP/s in decoder calls of leapfrog steps"
        for name, s in seconds.items()
    ]
    lines.append(
        f"annealing / products: {seconds['products'] / seconds['annealing']:.2f} of the rate (aim: 0.5 or more)"
    )
    return lines


def memory() -> list[str]:
    code = (
        "import jax, numpy as np, jensen; from jensen.evidence import *; from jensen.evidence.annealed import Annealed\n"
        "x = np.zeros(({n}, 28, 28), np.uint8); m = jensen.vae((28, 28), latent_dim=40, key=jax.random.key(0))\n"
        "estimate_evidence(m, x, Annealed(num_temperatures={t}, num_leapfrog=1), key=jax.random.key(1))"
    )
    return [
        f"peak memory, N = {n}, T = {t}: {peak_memory(code.format(n=n, t=t)):.0f} MB"
        for n, t in [(100, 25), (1000, 25), (100, 250)]
    ]


if __name__ == "__main__":
    print("\n".join(rate() if "--quick" in sys.argv else main()))
