"""New data from a model, and codes of given data."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array, Key
from jensen.distributions import CONTINUOUS, code_kind, mean_of, point_code, root_of, scale_of
from jensen.model import Model
from jensen.progress import OnProgress, of_task, silent

BLOCK, AUTOREGRESSIVE_BLOCK = 512, 64


def prior_samples(
    model: Model,
    num_samples: int,
    *,
    key: Key,
    on_progress: OnProgress = silent,
) -> dict[str, np.ndarray]:
    """Draws through the model's own prior: z ~ p(z), x ~ p(x|z), and the mean of p(x|z).

    Args:
        model: the model.
        num_samples: how many.
        key: a JAX random key; sample number i depends on the key and i alone.
        on_progress: called with what is being done, the number of samples done, and the total.

    Returns:
        {'x': [S, *event], 'mean': [S, *event] (see `mean_along`, with x as the datum), 'z': [S, D]}
        ('z1', 'z2', ... in a model of several levels).

        prior_samples(model, 64, key=jax.random.key(0))["x"]
    """
    prior = model.prior(model.encoder)

    def one(i):
        key_z, key_x = jr.split(jr.fold_in(key, i))
        z = prior.sample(key_z)
        p = model.decoder(z)
        x = p.sample(key_x)
        codes = (
            {f"z{level}": code for level, code in enumerate(z, 1)}
            if isinstance(z, tuple)
            else {"z": z}
        )
        return {**codes, "mean": mean_along(model, p, x), "x": x}

    # Pixel by pixel a block takes seconds, and what every layer found at every pixel is kept.
    block = AUTOREGRESSIVE_BLOCK if model.decoder.autoregressive else BLOCK
    advance = of_task(on_progress, "samples")
    return _in_blocks(jax.vmap(one), np.arange(num_samples), block, advance)


def mean_along(model: Model, p: Any, x: Array | None) -> Array:
    """The mean of p = p(x|z). An autoregressive p has none in closed form: then E[x_i | x_<i, z],
    the x_<i those of `x`, for every i.

    For x ~ p these have the mean of p as their expectation, with less noise than x itself; for x a
    datum they say how well each pixel is foretold.

        mean_along(model, model.decoder(z), x)
    """
    return p.conditional_mean(x) if model.decoder.autoregressive else p.mean


def likelihood_range(model: Model) -> tuple[float, float] | None:
    """The interval that the model's data lie in, if its likelihood has both ends: the range of
    pictures of them.

    likelihood_range(jensen.vae((8, 8), key=key))  # (0.0, 1.0)
    """
    interval = getattr(getattr(model.decoder, "likelihood", None), "interval", None)
    return interval if interval is not None and np.isfinite(interval).all() else None


def posterior_codes(model: Model, data: np.ndarray) -> dict[str, np.ndarray]:
    """The mean and the standard deviation ("scale") of each dimension of q(z|x) for every row,
    arrays [N, D]; in a model of several levels of the one that the datum decides by itself: the
    top, or z1 of a Markov chain.

    Where a family has no closed form of them they are those of draws (`distributions.mean_of`). Of
    discrete codes: the mean, that is the probability of each 1, and the most probable code, as the
    decoder reads it.

        posterior_codes(model, data.test)["mean"]
    """

    def one(x):
        posterior = root_of(model.encoder(x))
        if code_kind(posterior) != CONTINUOUS:
            return {"mean": posterior.mean, "code": point_code(posterior)}
        return {"mean": mean_of(posterior), "scale": scale_of(posterior)}

    return _in_blocks(jax.vmap(one), data, BLOCK)


def _in_blocks(
    function: Callable,
    rows: np.ndarray,
    size: int,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, np.ndarray]:
    compiled = eqx.filter_jit(function)
    block = min(size, len(rows))
    parts = []
    for start in range(0, len(rows), block):
        index = np.minimum(np.arange(start, start + block), len(rows) - 1)
        arrays = compiled(jnp.asarray(rows[index]))
        parts.append({k: np.asarray(v)[: len(rows) - start] for k, v in arrays.items()})
        advance(min(start + block, len(rows)), len(rows))
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
