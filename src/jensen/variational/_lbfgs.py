"""The maximum of a smooth function of a vector, by SciPy's L-BFGS-B on one compiled program in
float64.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult, minimize

MEMORY = 30
# Nats that a Newton step would still win: half the squared gradient, in units in which the
# curvature is about 1.
SMALL_GAIN = 1e-6
PATIENCE, LITTLE = 50, 1e-5  # it ends when so many evaluations have won fewer nats than this


class Maximisation(NamedTuple):
    """The result of a maximisation: the place [P], its value (nats), the largest |gradient|, the
    number of evaluations, whether that is a maximum, and why it ended.
    """

    place: np.ndarray
    value: float
    slope: float
    evaluations: int
    converged: bool
    message: str


def maximise(
    value_and_gradient: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    *,
    max_evaluations: int,
) -> Maximisation:
    """Maximises a function by L-BFGS from a start where value and gradient are finite.

    Where they are not finite later, the line search sees a very low value and turns back.

    climb(lambda u: (-0.5 * float(u @ u), -u), np.ones(2), max_evaluations=100).place  # [0, 0]
    """
    history: list[float] = []
    best: list = [-np.inf, np.asarray(start, np.float64), np.full(len(start), np.inf)]
    evaluations = walls = 0

    def negated(u: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal evaluations, walls
        evaluations += 1
        value, gradient = value_and_gradient(u)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            walls += 1
            # Far worse than the best value so far, so that the line search turns back.
            return abs(best[0]) * 2 + 1e6, np.zeros_like(u)
        if value > best[0]:
            best[:] = value, np.array(u), gradient
        history.append(best[0])
        return -value, -gradient

    def stop_when_idle(intermediate_result: OptimizeResult) -> None:
        del intermediate_result
        if len(history) > PATIENCE and history[-1] - history[-1 - PATIENCE] < LITTLE:
            raise StopIteration

    options = {
        "maxcor": MEMORY,
        "maxfun": max_evaluations,
        "maxiter": max_evaluations,
        "ftol": 1e-14,
        "gtol": 1e-8,
        "maxls": 40,
    }
    with np.errstate(over="ignore", invalid="ignore"):  # where the function rises without end
        scipy_result = minimize(
            negated, start, jac=True, method="L-BFGS-B", callback=stop_when_idle, options=options
        )
        slope = float(np.abs(best[2]).max())
        newton_gain = 0.5 * float(np.sum(best[2] ** 2))
    idle = len(history) > PATIENCE and history[-1] - history[-1 - PATIENCE] < LITTLE
    converged = newton_gain < SMALL_GAIN * max(1.0, 1e-3 * abs(best[0])) or idle
    message = f"{evaluations} evaluations; " + (
        f"the last {PATIENCE} won less than {LITTLE:g} nats"
        if idle
        else f"a Newton step would win {newton_gain:.1e} nats"
    )
    if not converged:
        why = (
            "the limit of evaluations was met"
            if evaluations >= max_evaluations
            else f"the line search ended ({scipy_result.message})"
        )
        message += f": {why}" + (
            f", and the density is not finite at {walls} places that it tried" if walls else ""
        )
    return Maximisation(best[1], best[0], slope, evaluations, converged, message)
