"""Standard deviations that a mean-field fit lacks: how its means respond to a tilt of the
log-density (Giordano, Broderick & Jordan 2018, section 3).

    max over q of F(q) + t . E_q u:    d E_q u / dt = - [H^-1] in the block of the means,    H the
    second derivatives of F in the parameters of q

For a normal target that is the exact covariance, which the fit's own variances are not.
"""

import numpy as np

from jensen._types import Array, Float
from jensen.variational._density import Density
from jensen.variational._fixed_draws import Objective
from jensen.variational.families.mean_field import MeanField

MOST = 1000  # dimensions
STEP = 1e-3  # of the parameters, which are in units in which F's curvature is about 1


def linear_response(
    density: Density, family: MeanField, noise: Float[Array, "draws noise"]
) -> np.ndarray | None:
    """The covariance [D, D] of u by linear response at a maximum of F; None where F has no maximum
    there, or D is above 1000. F's second derivatives are differences of its gradient.

    linear_response(Density(target), fit.family, noise)
    """
    if density.target.size > MOST:
        return None
    objective = Objective(density, family, noise)
    steps = STEP * np.eye(len(objective.place))
    slopes = np.stack(
        [
            objective.at(objective.place + step)[1] - objective.at(objective.place - step)[1]
            for step in steps
        ]
    ) / (2 * STEP)
    curvature = -(slopes + slopes.T) / 2
    if not np.isfinite(curvature).all() or np.linalg.eigvalsh(curvature).min() <= 0:
        return None

    # m = loc + L shift, and shift is the first of the parameters.
    response = np.concatenate(
        [np.asarray(family.start.scale_tril), np.zeros((density.target.size, density.target.size))],
        axis=1,
    )
    return response @ np.linalg.solve(curvature, response.T)
