"""The chi upper bound (Dieng et al. 2017)."""

from typing import ClassVar, Literal

import jax

from jensen._types import Array, Float
from jensen.bounds._base import upper_objection
from jensen.bounds._power import AbstractPowerMean
from jensen.bounds.iwae import IWAE


class CUBO(AbstractPowerMean):
    """Chi upper bound (1/n) log (1/K) sum_k w_k^n.

    In the limit of many samples it is log p(x) + (1/n) log(1 + chi^n divergence of the posterior
    from q) (Dieng et al. 2017). The limit is an upper bound; the K-sample value is biased low (it
    is the ELBO at K = 1) and certifies nothing.

    The encoder descends the limit with the weights held constant (`--gradient wake`), not the
    K-sample value: where few samples hold all the weight, that value is their log weight, and
    descending it would drive q away from the posterior. Decoder and prior ascend the importance
    weighted bound of the same weights, since descending CUBO would lower log p(x).

    Raises:
        ValueError: if n is at most 1 (n = 1 is the importance weighted bound) or not finite.

    Example:
        CUBO(n=2.0)(log_w)
    """

    guarantee: ClassVar[Literal["lower", "consistent"]] = "consistent"
    sign: ClassVar[Literal[1, -1]] = -1
    estimators: ClassVar[tuple[str, ...] | None] = ("wake",)
    n: float

    def __init__(self, *, n: float = 2.0):
        if not 1 < n < float("inf"):
            raise ValueError(
                f"bound cubo: n must be more than 1, and finite; got {n}. n = 1 is the importance "
                "weighted bound (--bound iwae); 2 is usual."
            )
        self.n = n

    @property
    def exponent(self) -> float:
        return self.n

    @property
    def for_model(self) -> IWAE:
        return IWAE()

    def objection(self, num_samples: int) -> str | None:
        return upper_objection("cubo", num_samples)

    def held_weights(self, log_w: Float[Array, " samples"]) -> Float[Array, " samples"]:
        # d CUBO = (1 - n)/n E_q[w^n d log q] / E_q[w^n].
        return (self.n - 1) / self.n * jax.nn.softmax(self.n * log_w)
