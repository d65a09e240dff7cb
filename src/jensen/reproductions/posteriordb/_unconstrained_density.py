"""A posterior on the unconstrained space, in float64.

numpyro's potential energy is -log p(u), the Jacobian included; here the sign is that of a log
density.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from numpyro.infer import util

from jensen.reproductions.posteriordb._posteriors import AbstractPosterior, Values

POINTS_AT_A_TIME = 500


class UnconstrainedDensity:
    """log p(u) with the log-Jacobian, nats, on NumPy arrays.

    u holds the sites' unconstrained values as one vector, in the order of `sites`.

        UnconstrainedDensity(posterior).gradient(u).mean(0)  # near 0 over draws u of the posterior
    """

    def __init__(self, posterior: AbstractPosterior):
        self.posterior = posterior
        with jax.enable_x64(True):
            initial = util.initialize_model(
                jax.random.key(0), posterior.model, model_args=posterior.arguments
            )
            flat, self._unravel = ravel_pytree(initial.param_info.z)
        self.sites: tuple[str, ...] = tuple(sorted(initial.param_info.z))
        self.size = flat.size

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Returns log p(u) [S] at points [S, D]."""
        return self._map(self._log_density_at, points)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        """Returns d log p(u) / du [S, D] at points [S, D]."""
        return self._map(jax.grad(self._log_density_at), points)

    def unconstrain(self, named: dict[str, np.ndarray]) -> np.ndarray:
        """Maps draws of the named parameters, each [S, *shape], to points [S, D]."""

        def unconstrain_one(sites: Values) -> Any:
            values = util.unconstrain_fn(self.posterior.model, self.posterior.arguments, {}, sites)
            return ravel_pytree(values)[0]

        sites = self.posterior.coordinates.to_sites(named)
        return self._map(
            unconstrain_one, {name: np.asarray(values, float) for name, values in sites.items()}
        )

    def constrain(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Maps points [S, D] to draws of the named parameters, each [S, *shape]."""

        def constrain_one(point: Any) -> Any:
            return util.constrain_fn(
                self.posterior.model, self.posterior.arguments, {}, self._unravel(point)
            )

        return self.posterior.coordinates.to_named(self._map(constrain_one, points))

    def _log_density_at(self, point: Any) -> Any:
        return -util.potential_energy(
            self.posterior.model, self.posterior.arguments, {}, self._unravel(point)
        )

    def _map(self, function: Callable[[Any], Any], values: Any) -> Any:
        """Applies a function of one point to all, in blocks, in float64."""
        with jax.enable_x64(True):
            mapped = jax.jit(lambda v: jax.lax.map(function, v, batch_size=POINTS_AT_A_TIME))(
                jax.tree.map(lambda array: np.asarray(array, float), values)
            )
            return jax.tree.map(np.asarray, mapped)
