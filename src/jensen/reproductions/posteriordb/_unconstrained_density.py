"""A posterior on the unconstrained space: its log density and gradient at many points, and draws taken there and back. All in float64.

What numpyro calls the potential energy is -log p(u), the Jacobian within: here the sign is that of a log density.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from numpyro.infer import util

from jensen.reproductions._posteriors._base import AbstractPosterior, Values

AT_A_TIME = 500


class UnconstrainedDensity:
    """log p(u) with the log-Jacobian, nats, as NumPyro has it; u is the sites' unconstrained values as one vector, in the order of `sites`.

    UnconstrainedDensity(posterior).gradient(u).mean(0)  # near 0 over draws u of the posterior
    """

    def __init__(self, posterior: AbstractPosterior):
        self.posterior = posterior
        with jax.enable_x64(True):
            start = util.initialize_model(
                jax.random.key(0), posterior.model, model_args=posterior.arguments
            )
            flat, self._unravel = ravel_pytree(start.param_info.z)
        self.sites: tuple[str, ...] = tuple(sorted(start.param_info.z))
        self.size = flat.size

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """log p(u) at points [S, D], [S]."""
        return self._over(self._one, points)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        """d log p(u) / du at points [S, D], [S, D]."""
        return self._over(jax.grad(self._one), points)

    def unconstrain(self, named: dict[str, np.ndarray]) -> np.ndarray:
        """Draws of the named parameters, each [S, *shape], as points [S, D]."""

        def one(values: Values) -> Any:
            return ravel_pytree(
                util.unconstrain_fn(self.posterior.model, self.posterior.arguments, {}, values)
            )[0]

        return self._over(
            one,
            {
                k: np.asarray(v, float)
                for k, v in self.posterior.coordinates.to_sites(named).items()
            },
        )

    def constrain(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Points [S, D] as draws of the named parameters, each [S, *shape]."""

        def one(point: Any) -> Any:
            return util.constrain_fn(
                self.posterior.model, self.posterior.arguments, {}, self._unravel(point)
            )

        return self.posterior.coordinates.to_named(self._over(one, points))

    def _one(self, point: Any) -> Any:
        return -util.potential_energy(
            self.posterior.model, self.posterior.arguments, {}, self._unravel(point)
        )

    def _over(self, function: Callable[[Any], Any], values: Any) -> Any:
        with jax.enable_x64(True):
            found = jax.jit(lambda v: jax.lax.map(function, v, batch_size=AT_A_TIME))(
                jax.tree.map(lambda a: np.asarray(a, float), values)
            )
            return jax.tree.map(np.asarray, found)
