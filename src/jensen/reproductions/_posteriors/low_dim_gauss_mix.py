"""A mixture of two normals on the line, told apart by the order of their means (low_dim_gauss_mix.stan)."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from jensen.reproductions._posteriors._base import AbstractPosterior, column


class _TwoOrderedNormals(dist.Distribution):
    """Two draws of N(0, scale), the smaller first: density 2 N(a) N(b) on a < b."""

    arg_constraints = {"scale": dist.constraints.positive}  # noqa: RUF012
    support = dist.constraints.ordered_vector  # pyright: ignore[reportAssignmentType]
    pytree_data_fields = ("scale",)

    def __init__(self, scale: float, *, validate_args: bool | None = None):
        self.scale = scale
        super().__init__(batch_shape=(), event_shape=(2,), validate_args=validate_args)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        return jnp.sort(self.scale * jax.random.normal(key, (*sample_shape, 2)))

    def log_prob(self, value: Any) -> Any:
        return math.log(2) + dist.Normal(0.0, self.scale).log_prob(value).sum(-1)


class LowDimGaussMix(AbstractPosterior):
    """mu_1 < mu_2 of N(0, 2), sigma_k ~ HalfNormal(2), theta ~ Beta(5, 5), y_n ~ theta N(mu_1, sigma_1) + (1 - theta) N(mu_2, sigma_2)."""

    name = "low_dim_gauss_mix-low_dim_gauss_mix"
    data_name = "low_dim_gauss_mix"
    reference_name = "low_dim_gauss_mix-low_dim_gauss_mix"
    proper = True
    stan_offset = -3 * math.log(2)  # two scales and the order of the means

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = (column(data, "y"),)
        self.shapes = {"mu": (2,), "sigma": (2,), "theta": ()}

    @staticmethod
    def model(y):
        mu = numpyro.sample("mu", _TwoOrderedNormals(2.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0).expand([2]).to_event(1))
        theta = numpyro.sample("theta", dist.Beta(5.0, 5.0))
        weights = jnp.stack([theta, 1 - jnp.asarray(theta)])
        components = dist.Normal(mu, sigma)
        numpyro.sample("y", dist.MixtureSameFamily(dist.Categorical(weights), components), obs=y)
