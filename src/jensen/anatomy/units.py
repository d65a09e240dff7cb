"""Which latent dimensions carry anything."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array, Key
from jensen.distributions import levels_along
from jensen.model import Model

ACTIVE_VARIANCE = 0.01
BLOCK = 512


def active_units(posterior_means: np.ndarray) -> int:
    """Count the latent dimensions whose posterior mean varies over the data.

    Its variance must be above 0.01 (Burda et al. 2016, section 5.1).

    Args:
        posterior_means: [N, D].

        active_units(np.zeros((10, 3)))  # 0
    """
    return int(np.sum(np.var(np.asarray(posterior_means, np.float64), axis=0) > ACTIVE_VARIANCE))


def active_units_by_level(
    model: Model, data: np.ndarray, *, key: Key, num_draws: int = 50
) -> tuple[int, ...]:
    """Count the active units of every level, z_1 first.

    They are those where Var_x E[z_l | x] is above 0.01 (Burda et al. 2016, section 5.1).

    Args:
        model: one or more levels of latent variables.
        data: [N, *event].
        key: of the draws.
        num_draws: codes per datum. E[z_l | x] of a level that depends on another is the mean of its
            conditional means along them; what their own spread adds to the variance over the data
            is taken off again.

    Raises:
        ValueError: fewer than two draws.

        active_units_by_level(model, data.test, key=jax.random.key(0))  # (26, 7)
    """
    return tuple(
        int(np.sum(v > ACTIVE_VARIANCE))
        for v in variance_of_means(model, data, key=key, num_draws=num_draws)
    )


def variance_of_means(
    model: Model, data: np.ndarray, *, key: Key, num_draws: int = 50
) -> tuple[np.ndarray, ...]:
    """Compute Var_x E[z_l | x] of every unit of every level, z_1 first, arrays [D_l].

    See `active_units_by_level`.

    variance_of_means(model, data.test, key=jax.random.key(0))[0]
    """
    if num_draws < 2:
        raise ValueError(
            f"num_draws must be at least 2, or the noise of a mean is not known; got {num_draws}."
        )
    block = min(BLOCK, len(data))
    parts = []
    for start in range(0, len(data), block):
        index = np.minimum(np.arange(start, start + block), len(data) - 1)
        moments = _moments(model, jnp.asarray(data[index]), jnp.asarray(index), key, num_draws)
        parts.append(
            [
                (
                    np.asarray(m, np.float64)[: len(data) - start],
                    np.asarray(v, np.float64)[: len(data) - start],
                )
                for m, v in moments
            ]
        )
    levels = [
        [np.concatenate(columns) for columns in zip(*level, strict=True)]
        for level in zip(*parts, strict=True)
    ]
    return tuple(means.var(axis=0) - noise.mean(axis=0) for means, noise in levels)


class LevelMoments(NamedTuple):
    """The mean over draws, [N, D_l] of one level, and the variance of that mean."""

    mean: Array
    variance: Array


@eqx.filter_jit
def _moments(model: Model, x: Array, index: Array, key: Key, num_draws: int) -> list[LevelMoments]:
    """For every level the moments [N, D_l] of its conditional means along the draws."""

    def one(x, n):
        posterior = model.encoder(x)

        def means(s):
            code = posterior.sample(jr.fold_in(jr.fold_in(key, n), s))
            return [level.mean for level in levels_along(posterior, code)]

        drawn = jax.vmap(means)(jnp.arange(num_draws))
        return [LevelMoments(m.mean(axis=0), m.var(axis=0, ddof=1) / num_draws) for m in drawn]

    return jax.vmap(one)(x, index)
