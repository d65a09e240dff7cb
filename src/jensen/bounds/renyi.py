"""The variational Renyi bound (Li & Turner 2016)."""

from typing import ClassVar, Literal

from jensen.bounds._power import AbstractPowerMean


class Renyi(AbstractPowerMean):
    """Variational Renyi bound 1/(1 - alpha) log (1/K) sum_k w_k^(1 - alpha) (Li & Turner 2016).

    In the limit of many samples it is log p(x) - D_alpha(q || posterior). It is a lower bound in
    expectation at every K and alpha >= 0, since a power mean with an exponent of at most 1 is at
    most the mean. It rises with K for alpha < 1 and falls for alpha > 1, from the ELBO at K = 1.
    alpha = 0 is the importance weighted bound, alpha -> 1 the ELBO, alpha = 1/2 gives the
    Bhattacharyya distance.

    Raises:
        ValueError: if alpha is below 0, exactly 1, or not finite.

    Example:
        Renyi(alpha=0.5)(log_w)
    """

    guarantee: ClassVar[Literal["lower", "consistent"]] = "lower"
    alpha: float

    def __init__(self, *, alpha: float = 0.5):
        if alpha == 1:
            raise ValueError(
                "bound renyi: alpha = 1 is the limit in which it is the elbo; use --bound elbo."
            )
        if not 0 <= alpha < float("inf"):
            raise ValueError(
                f"bound renyi: alpha must be 0 or more, and finite; got {alpha}. A negative alpha "
                "is an upper bound in the limit: use --bound cubo."
            )
        self.alpha = alpha

    @property
    def exponent(self) -> float:
        return 1 - self.alpha
