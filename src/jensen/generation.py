"""New data from a model, and codes of given data."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.distributions import diagonal_normal_parameters
from jensen.model import Model

BLOCK = 512


def prior_samples(model: Model, num_samples: int, key: Key) -> dict[str, np.ndarray]:
    """Draws through the model's own prior: z ~ p(z), the mean of p(x|z), and x ~ p(x|z).

    Sample number i depends on the key and i alone.

        prior_samples(model, 64, jax.random.key(0))["x"]
    """
    prior = model.prior(model.encoder)

    def one(i):
        key_z, key_x = jr.split(jr.fold_in(key, i))
        z = prior.sample(key_z)
        likelihood: Any = model.decoder(z)
        return {"z": z, "mean": likelihood.mean, "x": likelihood.sample(key_x)}

    return _in_blocks(jax.vmap(one), np.arange(num_samples))


def likelihood_range(model: Model) -> tuple[float, float] | None:
    """The interval that the model's data lie in, if its likelihood has both ends: what pictures of them should be drawn over.

    likelihood_range(jensen.vae((8, 8), key=key))  # (0.0, 1.0)
    """
    interval = getattr(getattr(model.decoder, "likelihood", None), "interval", None)
    return interval if interval is not None and np.isfinite(interval).all() else None


def posterior_codes(model: Model, data: np.ndarray) -> dict[str, np.ndarray]:
    """The mean and scale of q(z|x) for every row, arrays [N, D].

    Raises:
        ValueError: a posterior that is not a diagonal normal.

        posterior_codes(model, data.test)["mean"]
    """

    def one(x):
        parameters = diagonal_normal_parameters(model.encoder(x))
        if parameters is None:
            raise ValueError("only diagonal normal posteriors have a mean and a scale per dimension.")
        return {"mean": parameters[0], "scale": parameters[1]}

    return _in_blocks(jax.vmap(one), data)


def _in_blocks(function, rows: np.ndarray) -> dict[str, np.ndarray]:
    compiled = eqx.filter_jit(function)
    block = min(BLOCK, len(rows))
    parts = []
    for start in range(0, len(rows), block):
        index = np.minimum(np.arange(start, start + block), len(rows) - 1)
        found = compiled(jnp.asarray(rows[index]))
        parts.append({k: np.asarray(v)[: len(rows) - start] for k, v in found.items()})
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
