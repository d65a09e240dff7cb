"""What a prior is."""

import abc
from collections.abc import Callable

import equinox as eqx

from jensen._types import Array, Distribution


class AbstractPrior(eqx.Module):
    """encoder -> p(z). Constructed from context by name: latent_dim, code_size (numbers in a code: more than latent_dim for one-hot vectors),
    event_shape, data, key.

    A prior never holds the encoder: that would be a second copy, and would drift. It is called once per step, so what it derives from the encoder (the
    encoded pseudo-inputs of a VampPrior) is computed once per step.
    """

    @abc.abstractmethod
    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        """p(z), as seen with this encoder."""
