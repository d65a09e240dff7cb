"""The densities between a start and the posterior of one datum (Neal 2001).

    log f_beta(z) = log start(z) + beta log ratio(z),      beta from 0 to 1

Their ratio is p(x, z) / start(z), so that f_1 = p(x, z), whose integral is p(x). Codes are flat
vectors here, whatever they are to the model.
"""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.flatten_util import ravel_pytree

from jensen._types import Array, Distribution, Float, Key
from jensen.distributions import CONTINUOUS, code_kind, diagonal_normal_parameters
from jensen.interop import require_gradient
from jensen.model import Model
from jensen.weights import weigh

Start = Literal["encoder", "prior"]
DRAWS = 128
LEAST_SCALE = 1e-6


class AnnealingPath(eqx.Module):
    """The path of one datum from q(z|x), or from the prior, to the posterior.

    Attributes:
        start, scale_of_start, scale_of_end: where it begins, and the spread of each dimension there
            and (as far as the encoder knows) at its end.

        annealing_path(model, prior, x, "encoder").log_ratio(z)
    """

    model: Model
    prior: Distribution
    x: Array
    start: Distribution
    scale_of_start: Float[Array, " dim"]
    scale_of_end: Float[Array, " dim"]
    from_prior: bool = eqx.field(static=True)
    unravel: Callable[[Array], Any] = eqx.field(static=True)

    def draw(self, key: Key) -> Float[Array, " dim"]:
        """A flat code from the start."""
        return flat(self.start.sample(key))

    def log_start(self, z: Float[Array, " dim"]) -> Float[Array, ""]:
        """log start(z), nats."""
        return self.start.log_prob(self.unravel(z))

    def log_ratio(self, z: Float[Array, " dim"]) -> Float[Array, ""]:
        """log p(x, z) - log start(z), nats."""
        code = self.unravel(z)
        weights = weigh(self.model, self.prior, self.x, code, self.start)
        # Where the prior is the start, log p(z) - log start(z) is 0, and not 0 up to rounding.
        return weights.log_likelihood if self.from_prior else weights.log_w

    def variance(self, beta: Array) -> Float[Array, " dim"]:
        """The spread to expect of each dimension under f_beta: precisions add up along the path."""
        return 1 / (
            (1 - beta) / jnp.square(self.scale_of_start) + beta / jnp.square(self.scale_of_end)
        )


def annealing_path(model: Model, prior: Distribution, x: Array, start: Start) -> AnnealingPath:
    """The path of the datum x; `prior` is model.prior(model.encoder), made once.

    annealing_path(model, model.prior(model.encoder), x, "encoder")
    """
    posterior = model.encoder(x)
    begin = prior if start == "prior" else posterior
    unravel = ravel_pytree(
        jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
            jax.eval_shape(posterior.sample, jr.key(0)),
        )
    )[1]
    return AnnealingPath(
        model, prior, x, begin, _scale(begin), _scale(posterior), start == "prior", unravel
    )


def check_differentiable(model: Model, x: Array | np.ndarray) -> None:
    """Refuses codes that have no gradient.

    Raises:
        ValueError: discrete codes, with the estimators that take them.

        check_differentiable(model, data[0])
    """
    kinds = []

    def look(x):
        kinds.append(code_kind(model.encoder(x)))
        return x

    require_gradient(model, "annealing")
    jax.eval_shape(look, x)
    if kinds[0] != CONTINUOUS:
        raise ValueError(
            "annealing follows gradients of log p(x, z) in z, and the codes of this model are "
            f"{kinds[0].split()[0]}: there are none. Use --estimator importance, with --set "
            "smooth=true or more samples where k-hat is too high."
        )


def differentiable(model: Model, x: Array | np.ndarray) -> bool:
    """Whether `check_differentiable` lets the model pass.

    differentiable(model, data[0])
    """
    try:
        check_differentiable(model, x)
    except ValueError:
        return False
    return True


def flat(code: Any) -> Float[Array, " dim"]:
    """A code as one vector.

    flat((z1, z2))
    """
    return ravel_pytree(code)[0]


def _scale(distribution: Distribution) -> Float[Array, " dim"]:
    """The standard deviation of each dimension, which shapes proposals and nothing else.

    It is exact for a diagonal normal, otherwise that of draws with fixed keys.
    """
    normal = diagonal_normal_parameters(distribution)
    scale = (
        jax.vmap(lambda key: flat(distribution.sample(key)))(jr.split(jr.key(0), DRAWS)).std(axis=0)
        if normal is None
        else normal[1]
    )
    return jnp.maximum(scale, LEAST_SCALE)
