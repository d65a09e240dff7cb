"""The loop of coordinate ascent. It computes the ELBO after every update and checks that it has not
fallen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from jensen.deterministic._checks import positive
from jensen.deterministic._results import Convergence

ROUNDING = 1e-10  # allowed fall: this many nats for each nat of |ELBO| + 1

State = TypeVar("State")


@dataclass(frozen=True)
class Ascent(Generic[State]):
    """The last state, the ELBO at the start and after every sweep (nats, [sweeps + 1]), and whether
    it converged.
    """

    state: State
    elbos: np.ndarray
    outcome: Convergence


def ascend(
    start: State,
    updates: Mapping[str, Callable[[State], State]],
    elbo: Callable[[State], float],
    *,
    tolerance: float,
    max_sweeps: int,
) -> Ascent[State]:
    """Sweeps over the updates until a sweep raises the ELBO by less than `tolerance` nats.

    Args:
        start: the first state.
        updates: name -> function of the state that returns the next state, in order.
        elbo: of a state, nats.
        tolerance: nats.
        max_sweeps: at least 1.

    Raises:
        ArithmeticError: an update that lowers the ELBO by more than rounding, or makes it not
            finite; the message names the update.
        ValueError: a tolerance that is not positive, or no sweeps.

        halve = {"halve": lambda s: s / 2}
        ascend(1.0, halve, lambda s: -s * s, tolerance=1e-9, max_sweeps=100).elbos
    """
    positive(tolerance, "tolerance")
    if max_sweeps < 1:
        raise ValueError(f"max_sweeps must be at least 1; got {max_sweeps}.")
    state, value = start, elbo(start)
    if not np.isfinite(value):
        raise ArithmeticError(
            f"the ELBO is {value} at the start: check x, y and the prior for extreme values."
        )
    elbos, rise = [value], np.inf
    for sweep in range(1, max_sweeps + 1):
        for name, update in updates.items():
            state, before = update(state), value
            value = elbo(state)
            # `not >=` is true for NaN as well.
            if not value >= before - ROUNDING * (1 + abs(before)):
                raise ArithmeticError(
                    f"the update of {name} in sweep {sweep} took the ELBO from {before:.10g} to "
                    f"{value:.10g} nats: it must never lower it."
                )
        rise = value - elbos[-1]
        elbos.append(value)
        if rise < tolerance:
            return Ascent(
                state,
                np.array(elbos),
                Convergence(
                    "converged",
                    f"Sweep {sweep} raised the ELBO by {max(rise, 0.0):.2g} nats.",
                    sweep,
                ),
            )
    remedy = "Raise max_sweeps: the ELBO is still rising, so it is a bound but not the optimum."
    message = (
        f"Sweep {max_sweeps} still raised the ELBO by {rise:.2g} nats, above the "
        f"tolerance {tolerance:.2g}. {remedy}"
    )
    return Ascent(state, np.array(elbos), Convergence("not_converged", message, max_sweeps))
