"""A logistic variable observed in K equal bins of [0, 1], over a whole event.

Kingma et al. 2016, Salimans et al. 2017; Tomczak & Welling 2018 for grey images.

    P(v) = F((v + 1) / K) - F(v / K),      F(x) = sigmoid((x - m) / s)
    F(0) = 0 and F(1) = 1: the end bins take the whole tails

With a, b the standardised lower and upper edge,

    log(sigmoid(b) - sigmoid(a)) = log sigmoid(b) + log sigmoid(-a) + log(1 - exp(a - b))

This form has full relative precision in the far tails, where the difference of two sigmoids is 0
and a constant added inside the log would dominate.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import jax.random as jr
from numpyro.distributions import constraints

from jensen._types import Array, Float, Key
from jensen.distributions._numpyro_base import Distribution


class DiscretizedLogistic(Distribution):
    """Logistic(loc, scale) on [0, 1] in `num_bins` bins, independent over all axes.

    log_prob sums over these axes: a log probability, in nats. Values are levels v = 0 .. num_bins -
    1, or bin centres (v + 1/2) / num_bins with `units="centres"`; `mean` and draws are in the same
    units. `loc` and `scale` are always in units of [0, 1]. Leading axes are preserved.

        q = DiscretizedLogistic(jnp.full(3, 0.5), jnp.full(3, 0.1), num_bins=256)
        q.log_prob(jnp.array([0, 128, 255]))
    """

    arg_constraints = {  # noqa: RUF012 (numpyro's own form)
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    pytree_data_fields = ("loc", "scale")
    pytree_aux_fields = ("num_bins", "units")

    def __init__(
        self,
        loc: Float[Array, "*event"],
        scale: Float[Array, "*event"],
        *,
        num_bins: int,
        units: Literal["levels", "centres"] = "levels",
    ):
        self.loc = loc
        self.scale = scale
        self.num_bins = num_bins
        self.units = units
        super().__init__(batch_shape=(), event_shape=jnp.shape(loc), validate_args=False)

    @property
    def support(self):
        levels = self.units == "levels"
        return constraints.independent(
            constraints.integer_interval(0, self.num_bins - 1)
            if levels
            else constraints.unit_interval,
            self.event_dim,
        )

    @property
    def mean(self):
        # E v = sum of P(v >= k) over k = 1 .. K-1; one bin at a time, because all bins at once
        # would need K times the memory of an image.
        def add(k, total):
            return total + jax.nn.sigmoid((self.loc - k / self.num_bins) / self.scale)

        return self._in_units(jax.lax.fori_loop(1, self.num_bins, add, jnp.zeros_like(self.loc)))

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        draws = self.loc + self.scale * jr.logistic(
            key, sample_shape + self.event_shape, self.loc.dtype
        )
        levels = jnp.clip(jnp.floor(draws * self.num_bins), 0, self.num_bins - 1)
        return (
            levels.astype(jnp.uint8 if self.num_bins <= 256 else jnp.int32)
            if self.units == "levels"
            else self._in_units(levels)
        )

    def log_prob(self, value: Array) -> Array:
        x = jax.lax.stop_gradient(value.astype(self.loc.dtype))
        level = x if self.units == "levels" else jnp.round(x * self.num_bins - 0.5)
        width = 1 / (self.num_bins * self.scale)
        lower = (level / self.num_bins - self.loc) / self.scale
        log_below = -jax.nn.softplus(-(lower + width))
        log_above = -jax.nn.softplus(lower)
        # The end bins take a whole tail each: there a factor of the product is absent.
        first, last = level <= 0, level >= self.num_bins - 1
        each = (
            jnp.where(last, 0.0, log_below)
            + jnp.where(first, 0.0, log_above)
            + jnp.where(first | last, 0.0, _log1mexp(width))
        )
        return jnp.sum(each, axis=tuple(range(-self.event_dim, 0)))

    def _in_units(self, levels: Array) -> Array:
        return levels if self.units == "levels" else (levels + 0.5) / self.num_bins


def _log1mexp(x: Array) -> Array:
    """Compute log(1 - exp(-x)) for x > 0 (Maechler 2012)."""
    small = x < 0.6931
    return jnp.where(
        small,
        jnp.log(-jnp.expm1(-jnp.where(small, x, 0.5))),
        jnp.log1p(-jnp.exp(-jnp.where(small, 1.0, x))),
    )
