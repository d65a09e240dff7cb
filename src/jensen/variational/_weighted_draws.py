"""Draws of q with log p and log q: what evidence, k-hat and every bound read of a result that was
found without drawing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jensen.evidence import Evidence, evidence_of_log_weights


@dataclass(frozen=True)
class WeightedDraws:
    """S draws z_s ~ q.

    Attributes:
        draws: name -> values [S, ...].
        log_p, log_q: log p(x, z_s) and log q(z_s), nats [S], float64.
    """

    draws: Mapping[str, np.ndarray]
    log_p: np.ndarray
    log_q: np.ndarray

    @property
    def log_w(self) -> np.ndarray:
        """log p(x, z_s) - log q(z_s), nats [S]: their mean is the ELBO."""
        return self.log_p - self.log_q

    @property
    def evidence(self) -> Evidence:
        """log p(x) by importance sampling, one datum, with k-hat.

        result.weighted_draws(4000, key=key).evidence.value  # nats
        """
        return evidence_of_log_weights(self.log_w[None])
