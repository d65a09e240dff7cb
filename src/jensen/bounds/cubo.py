"""The chi upper bound."""

import math
from typing import ClassVar, Literal

from jensen.bounds._power import AbstractPowerMean
from jensen.bounds.iwae import IWAE


class CUBO(AbstractPowerMean):
    """(1/n) log (1/K) sum_k w_k^n: in the limit log p(x) + (1/n) log(1 + chi^n divergence of the posterior from q) (Dieng et al. 2017).

    Its limit is an upper bound; this value is biased low (it is the ELBO at K = 1) and certifies nothing. The encoder descends it. Decoder and prior would
    lower log p(x) if they did: they ascend the importance weighted bound of the same weights. Near the posterior the K-sample value is
    log p(x) + (n (1 - 1/K) - 1) Var(log w) / 2, so that it can be descended only if n (1 - 1/K) > 1.

    Raises:
        ValueError: n of at most 1 (n = 1 is the importance weighted bound), or not finite.

        CUBO(n=2.0)(log_w)
    """

    guarantee: ClassVar[Literal["lower", "consistent"]] = "consistent"
    sign: ClassVar[Literal[1, -1]] = -1
    n: float

    def __init__(self, *, n: float = 2.0):
        if not 1 < n < float("inf"):
            raise ValueError(f"bound cubo: n must be more than 1, and finite; got {n}. n = 1 is the importance weighted bound (--bound iwae); 2 is usual.")
        self.n = n

    @property
    def exponent(self) -> float:
        return self.n

    @property
    def for_model(self) -> IWAE:
        return IWAE()

    def objection(self, num_samples: int) -> str | None:
        least = math.floor(self.n / (self.n - 1)) + 1
        if num_samples >= least:
            return None
        return (
            f"bound cubo with n = {self.n:g} needs at least {least} samples per datum (--num-samples): of fewer its estimate lies below log p(x), and "
            f"descending it would widen the gap; got {num_samples}."
        )
