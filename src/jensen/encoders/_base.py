"""The abstract base class of encoders."""

import abc
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from jensen._types import Array, Distribution


class AbstractEncoder(eqx.Module):
    """Map one datum x to the posterior q(z|x).

    The constructor receives from context, by name: event_shape, latent_dim, network, data, key.

    Attributes:
        bottom_up: in an encoder of several levels, whether the datum acts on z_1 alone and through
            it on the levels above (`distributions.BottomUp`). If False, z_L is the level that
            depends on the datum alone.
        richer_remedy: what an account suggests where a richer family of posteriors can win much.
        closed_under: the maps under which the family is closed ('diagonal', 'full' or 'flow', see
            `distributions.bijections`): its best member for one datum is searched among them. A
            family of which nothing is known is moved by shifts and scales.
        usual_for: the kind of codes that this is the usual encoder of (`distributions.code_kind`).
    """

    bottom_up: ClassVar[bool] = False
    richer_remedy: ClassVar[str] = "a richer posterior"
    closed_under: ClassVar[str] = "diagonal"
    usual_for: ClassVar[str] = ""

    @abc.abstractmethod
    def __call__(self, x: Array) -> Distribution:
        """Return q(z|x) for one datum x of the event's shape."""

    def standardise(self, x: Array) -> Array:
        """Return x as a vector in the units of the encoder's network.

        A hierarchical encoder feeds its lower levels with it.
        """
        return jnp.asarray(x).ravel().astype(jnp.result_type(float))
