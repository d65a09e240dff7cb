"""What a fit leaves for the table, whoever made it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fitted:
    """A variational fit and what it says of itself.

    Attributes:
        draws: of the model's sites on the constrained space, each [S, *shape].
        elbo, elbo_error: on fresh draws, nats, with its standard error.
        evidence, evidence_error: log p(y) by importance sampling from the fit; None where it is undefined.
        pareto_k: k-hat of the log-weights of these draws.
        evaluations: how often the gradient of the log density was computed, a draw of q counted as one.
        seconds: wall time, compilation included; of ours all that is measured on fresh draws, too.
        seconds_fitting: of which until q was found.
        outcome: how it ended, a sentence.
        converged: whether it ended by its own stopping rule.
        trusted: whether whoever made it trusts it.
        trace: (seconds, mean ELBO of a window of steps, its standard error), where there are steps; also of those made after it had ended.
        warnings: what it says against itself.
        weights: [S], importance weights of the draws that sum to 1, where it has them.
    """

    draws: Mapping[str, np.ndarray]
    elbo: float
    elbo_error: float
    evidence: float | None
    evidence_error: float | None
    pareto_k: float
    evaluations: int
    seconds: float
    seconds_fitting: float
    outcome: str
    converged: bool
    trusted: bool
    trace: tuple[tuple[float, float, float], ...] = ()
    warnings: tuple[str, ...] = ()
    weights: np.ndarray | None = None
