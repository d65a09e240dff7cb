"""The importance weighted bound, log (1/K) sum_k w_k."""

from typing import ClassVar, Literal

from jensen.bounds._power import AbstractPowerMean


class IWAE(AbstractPowerMean):
    """log (1/K) sum_k w_k: in expectation a lower bound that tightens monotonically with K (Burda, Grosse & Salakhutdinov 2016, equation 8).

    IWAE()(log_w)  # nats; the bound itself, never the surrogate sum of normalised weights times log w
    """

    guarantee: ClassVar[Literal["lower", "consistent"]] = "lower"

    @property
    def exponent(self) -> float:
        return 1.0
