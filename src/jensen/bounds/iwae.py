"""The importance weighted bound, log (1/K) sum_k w_k (Burda, Grosse & Salakhutdinov 2016)."""

from typing import ClassVar, Literal

from jensen.bounds._power import AbstractPowerMean


class IWAE(AbstractPowerMean):
    """Importance weighted bound log (1/K) sum_k w_k.

    In expectation a lower bound that tightens monotonically with K (Burda, Grosse & Salakhutdinov
    2016, equation 8). The value is the bound itself, never the surrogate sum of normalised weights
    times log w.

        IWAE()(log_w)  # nats
    """

    guarantee: ClassVar[Literal["lower", "consistent"]] = "lower"

    @property
    def exponent(self) -> float:
        return 1.0
