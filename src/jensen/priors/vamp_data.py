"""A VampPrior whose pseudo-inputs are training rows and are not trained.

p(z) = sum_k w_k q(z | x_n(k)), the "VampPrior data" of Tomczak & Welling 2018, section 4.3.
"""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from jensen._parameters import constant
from jensen._types import Array, Distribution, Float, Key
from jensen.likelihoods import DataSummary
from jensen.priors._base import AbstractPrior
from jensen.priors._pseudo_inputs import chosen_rows, mixture_of_posteriors


class VampData(AbstractPrior):
    """Mixture of the encoder's posteriors at `num_components` training rows.

    The rows are chosen by the key without replacement. They are stored with the model as they are
    (bytes stay bytes; grey levels stand for their Bernoulli means) and are not trained.
    `learn_weights` learns the mixture weights, which are equal otherwise.

    Raises:
        ValueError: if there are fewer training rows than components.

    Example:
        VampData(summary, key=jr.key(0), num_components=500)(encoder).log_prob(z)
    """

    refit_remedy: ClassVar[str] = "pseudo-inputs that learn: --try vamp"
    retrain_remedy: ClassVar[str] = (
        "pseudo-inputs that learn: --prior vamp; "
        "or more components: --set prior.num_components=1000"
    )

    logits: Float[Array, " components"] | None
    levels: int | None = eqx.field(static=True)
    rows: Array = constant()

    def __init__(
        self,
        data: DataSummary | None,
        *,
        key: Key,
        num_components: int = 500,
        learn_weights: bool = False,
    ):
        data, index = chosen_rows("vamp_data", data, num_components, key)
        self.rows = jnp.asarray(data.rows[index])
        self.levels = data.levels
        self.logits = jnp.zeros(num_components) if learn_weights else None

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        return mixture_of_posteriors(
            "vamp_data", encoder, self.rows, self.logits, levels=self.levels
        )
