"""What expectation propagation and coordinate ascent return beside q: whether they converged, and
weighted draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from jensen.evidence import Evidence, evidence_of_log_weights


@dataclass(frozen=True)
class Convergence:
    """Whether an iteration reached its fixed point, and if not, why.

    Attributes:
        status: "converged" or "not_converged".
        message: a sentence with the figures, and a remedy where there is one.
        sweeps: the number of sweeps made.
        warnings: what happened during the sweeps that affects the result, a sentence each.

        jensen.fit_expectation_propagation(Probit(y), x, m0, V0).outcome.converged
    """

    status: Literal["converged", "not_converged"]
    message: str
    sweeps: int
    warnings: tuple[str, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether the status is "converged"."""
        return self.status == "converged"


@dataclass(frozen=True)
class WeightedDraws:
    """S draws z_s ~ q with log p and log q: the input of evidence, k-hat and every bound.

    Attributes:
        draws: name -> values [S, ...].
        log_p, log_q: log p(x, z_s) and log q(z_s), nats [S], float64.

        draws = result.weighted_draws(4000, key=jax.random.key(0))
        draws.log_w.mean()  # the ELBO, nats
    """

    draws: Mapping[str, np.ndarray]
    log_p: np.ndarray
    log_q: np.ndarray

    @property
    def log_w(self) -> np.ndarray:
        """log p(x, z_s) - log q(z_s), nats [S]. Their mean is an estimate of the ELBO."""
        return self.log_p - self.log_q

    @property
    def evidence(self) -> Evidence:
        """log p(x) by importance sampling, of one datum, with k-hat.

        result.weighted_draws(4000, key=key).evidence.value  # nats
        """
        return evidence_of_log_weights(self.log_w[None])
