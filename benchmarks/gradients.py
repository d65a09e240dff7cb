"""Gradient estimators: the time of a training step against the pathwise one, for the same bound and number of samples.

784-300-300-40, batch 100, K = 50, MNIST-sized binary data; the aim is 1.3 or less.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import jensen
from _measure import interleaved
from jensen._parameters import partition
from jensen.bounds import bounds
from jensen.gradients import gradients

BATCH, SAMPLES = 100, 50
PAIRS = [
    ("iwae", "pathwise"),
    ("iwae", "doubly_reparameterised"),
    ("iwae", "score_function"),
    ("iwae", "vimco"),
    ("elbo", "pathwise"),
    ("elbo", "sticking_the_landing"),
    ("elbo", "closed_form_kl"),
    ("eubo", "wake"),
]


def main() -> list[str]:
    x = jnp.asarray(
        (np.random.RandomState(0).random_sample((BATCH, 28, 28)) < 0.13).astype(np.uint8)
    )
    model = jensen.vae((28, 28), latent_dim=40, data=np.asarray(x), key=jr.key(0))
    parts = partition(model)
    contestants = {}
    for bound, gradient in PAIRS:
        chosen, estimator = bounds.build(bound, {}, {}), gradients.build(gradient, {}, {})

        def loss(parameters, key, chosen=chosen, estimator=estimator):
            complete = eqx.combine(parameters, parts.constants, parts.static)
            prior = complete.prior(complete.encoder)
            one = lambda x, n: (  # noqa: E731
                estimator.surrogate(
                    chosen, complete, prior, x, jr.fold_in(key, n), num_samples=SAMPLES, beta=1.0
                ).surrogate
            )
            return -jnp.mean(jax.vmap(one)(x, jnp.arange(BATCH)))

        step = jax.jit(jax.grad(loss))
        contestants[f"{bound} {gradient}"] = lambda step=step: jax.block_until_ready(
            step(parts.parameters, jr.key(1))
        )
    seconds = interleaved(contestants, rounds=7)
    return [
        f"{bound}, {gradient}: {seconds[f'{bound} {gradient}'] * 1e3:.0f} ms, "
        f"{seconds[f'{bound} {gradient}'] / seconds['iwae pathwise' if bound == 'eubo' else f'{bound} pathwise']:.2f} of pathwise (aim: 1.3 or less)"
        for bound, gradient in PAIRS
    ]


if __name__ == "__main__":
    print("\n".join(main()))
