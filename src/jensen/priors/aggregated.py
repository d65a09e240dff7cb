"""The aggregated posterior of the training set as the prior, p(z) = (1/N) sum_n q(z | x_n).

It makes the marginal KL of these data zero, and of all priors it gives the highest ELBO on the
training set (Tomczak & Welling 2018, equation 7; Hoffman & Johnson 2016). It overfits, since its
components are the training data's own posteriors: use it as the extreme case to compare other
priors with.
"""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from jensen._parameters import constant
from jensen._types import Array, Distribution
from jensen.likelihoods import DataSummary
from jensen.priors._base import AbstractPrior
from jensen.priors._pseudo_inputs import mixture_of_posteriors


class Aggregated(AbstractPrior):
    """Equal mixture of the encoder's posteriors at all N training rows.

    The rows are stored with the model as they are. Each call encodes all N of them: the prior
    serves training on thousands of rows, and evaluation on many more. Beyond `ENCODE_BLOCK` rows it
    works in blocks.

    Raises:
        ValueError: if there are no training rows.

    Example:
        Aggregated(summary)(encoder).log_prob(z)
    """

    refit_remedy: ClassVar[str] = "one that knows less of the training data: --try vamp"
    retrain_remedy: ClassVar[str] = "one that knows less of the training data: --prior vamp"

    levels: int | None = eqx.field(static=True)
    rows: Array = constant()

    def __init__(self, data: DataSummary | None):
        if data is None or len(data.rows) == 0:
            raise ValueError(
                "prior aggregated needs the training rows; none are available. Pass data=... to "
                "jensen.vae."
            )
        self.rows = jnp.asarray(data.rows)
        self.levels = data.levels

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        return mixture_of_posteriors("aggregated", encoder, self.rows, levels=self.levels)
