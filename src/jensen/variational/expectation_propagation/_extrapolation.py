"""Where the last few sweeps are heading: Anderson's extrapolation of a fixed-point iteration
(Anderson 1965; Walker & Ni 2011, section 2).

A fixed point whose sweeps turn around it (complex eigenvalues with a real part near 1) is reached
by damping alone in hundreds or thousands of sweeps; near it the map is all but linear, and a few
sweeps tell where a linear map would end. Far from it they tell nothing, so a proposal is on trial
for one sweep.
"""

import numpy as np

from jensen.variational.expectation_propagation._approximation import (
    Gaussian,
    Problem,
    cavities,
    gaussian,
    marginals,
)

MEMORY, LEAST = 8, 3
NEAR = 0.3  # change below which proposals are made, in units of a site's marginal
MARGIN = 0.1  # of the least share of a cavity in its marginal's precision that a proposal leaves
COLLINEAR = 1e-8

State = tuple[np.ndarray, np.ndarray, Gaussian]


class Extrapolation:
    """Remembers sweeps of one kind, and proposes.

    proposal = extrapolation.proposal(problem, before, after, change)
    """

    def __init__(self) -> None:
        self._before: list[np.ndarray] = []
        self._step: list[np.ndarray] = []

    def forget(self) -> None:
        """The sweeps so far were of another map, or too far away."""
        self.__init__()

    def proposal(
        self, problem: Problem, before: State, after: State, change: float
    ) -> State | None:
        """The sites at which a linear map through the last sweeps is at rest, if they make a
        distribution with positive cavities.
        """
        if not change < NEAR:
            self.forget()
            return None
        start, end = np.concatenate(before[:2]), np.concatenate(after[:2])
        self._before, self._step = (
            [*self._before, start][-MEMORY:],
            [*self._step, end - start][-MEMORY:],
        )
        if len(self._before) < LEAST:
            return None
        variance = marginals(problem.forms, after[2])[1]
        units = np.concatenate([variance, np.sqrt(variance)])[:, None]
        moves, turns = np.diff(self._before, axis=0).T, np.diff(self._step, axis=0).T
        lengths = np.maximum(np.linalg.norm(turns * units, axis=0), 1e-300)
        shares = (
            np.linalg.lstsq(turns * units / lengths, self._step[-1] * units[:, 0], rcond=COLLINEAR)[
                0
            ]
            / lengths
        )
        precision, shift = np.split(end - (moves + turns) @ shares, 2)
        found = gaussian(problem.forms, precision, shift)
        if found is None:
            return None
        least = MARGIN * min(1.0, np.min(1 - variance * after[0]))
        mean, variance = marginals(problem.forms, found)
        proper = (
            cavities(mean, variance, precision, shift).positive.all()
            and np.min(1 - variance * precision) > least
        )
        return (precision, shift, found) if proper else None
