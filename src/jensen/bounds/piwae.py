"""The partially importance weighted bound (Rainforth et al. 2018).

Decoder and prior are trained on a tight bound, the encoder on a looser bound whose gradient has a
higher signal-to-noise ratio.
"""

from typing import ClassVar, Literal

from jensen._types import Array, Float
from jensen.bounds._base import AbstractBound
from jensen.bounds.iwae import IWAE
from jensen.bounds.miwae import MIWAE


class PIWAE(AbstractBound):
    """Importance weighted bound of all M K samples, with a grouped bound for the encoder.

    Decoder and prior ascend the importance weighted bound of all samples, which is reported. The
    encoder ascends the mean of M = `num_groups` such bounds of K samples each, whose gradient has a
    higher signal-to-noise ratio (Rainforth et al. 2018).

    Raises:
        ValueError: if num_groups is below 1.

    Example:
        PIWAE(num_groups=8)(log_w)  # 64 log-weights: the importance weighted bound of 64
    """

    guarantee: ClassVar[Literal["lower", "consistent"]] = "lower"
    num_groups: int

    def __init__(self, *, num_groups: int = 8):
        if num_groups < 1:
            raise ValueError(f"bound piwae: num_groups must be at least 1; got {num_groups}.")
        self.num_groups = num_groups

    # The reported value; training ascends `for_model` and `for_encoder`.
    def __call__(self, log_w: Float[Array, " samples"]) -> Float[Array, ""]:
        return IWAE()(log_w)

    @property
    def for_encoder(self) -> MIWAE:
        return MIWAE(num_groups=self.num_groups)

    @property
    def for_model(self) -> IWAE:
        return IWAE()

    def objection(self, num_samples: int) -> str | None:
        return self.for_encoder.objection(num_samples)
