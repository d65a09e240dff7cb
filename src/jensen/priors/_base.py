"""The abstract base class of priors."""

import abc
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx

from jensen._types import Array, Distribution


class AbstractPrior(eqx.Module):
    """Map the encoder to the prior p(z).

    The constructor receives from context, by name: latent_dim, code_size (the length of a code,
    which for one-hot vectors is more than latent_dim), event_shape, data, key.

    A prior never holds the encoder as a field: a second copy would drift from the model's. It is
    called once per step, so that what it derives from the encoder (the encoded pseudo-inputs of a
    VampPrior) is computed once per step.

    Attributes:
        refit_remedy: what an account suggests instead of this prior where the marginal KL is large
            and the prior can be re-fitted alone (`jensen.try_prior`): flags of the command line.
        retrain_remedy: likewise, where the whole model has to be trained again.
        usual_for: the kind of codes that this is the usual prior of (`distributions.code_kind`).
    """

    refit_remedy: ClassVar[str] = "--try vamp, --try mixture"
    retrain_remedy: ClassVar[str] = "--prior vamp, --prior mixture"
    usual_for: ClassVar[str] = ""

    @abc.abstractmethod
    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        """Return p(z), given this encoder."""
