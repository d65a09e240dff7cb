"""The Gaussian that sites and base make, in coordinates in which the base is N(0, I).

    w = m0 + L u,  V0 = L L^T,  f_n = a_n . w = o_n + b_n . u,  o = A m0,  B = A L
    q(u) proportional to N(u; 0, I) prod_n exp(shift_n g_n - precision_n g_n^2 / 2),  g_n = b_n . u

so that neither the units of w nor a far-away prior mean cost digits.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from jensen.variational.expectation_propagation.sites import AbstractSite


@dataclass(frozen=True)
class Problem:
    """The sites, and how they see u."""

    sites: AbstractSite
    forms: np.ndarray  # B [N, D]
    offset: np.ndarray  # o [N]
    prior_mean: np.ndarray  # [D]
    prior_root: np.ndarray  # L [D, D]


@dataclass
class Gaussian:
    """q(u) = N(mean, covariance); `log_normaliser` is log of the integral of base and site terms,
    nats.
    """

    mean: np.ndarray
    covariance: np.ndarray
    log_normaliser: float


@dataclass(frozen=True)
class Cavities:
    """q without a site, of g = f - offset, for some of the sites; positive says where that is a
    distribution; the others' variance means nothing.
    """

    mean: np.ndarray
    variance: np.ndarray
    positive: np.ndarray


def gaussian(forms: np.ndarray, precision: np.ndarray, shift: np.ndarray) -> Gaussian | None:
    """The Gaussian of these site parameters [N], from a new Cholesky factor; None if they make none
    (its precision is not positive definite).
    """
    total = np.eye(forms.shape[1]) + forms.T @ (precision[:, None] * forms)
    try:
        root = np.linalg.cholesky((total + total.T) / 2)
    except np.linalg.LinAlgError:
        return None
    inverse_root = solve_triangular(root, np.eye(len(root)), lower=True)
    half = inverse_root @ (forms.T @ shift)
    normaliser = 0.5 * half @ half - np.sum(np.log(np.diag(root)))
    if not np.isfinite(normaliser):
        return None
    return Gaussian(inverse_root.T @ half, inverse_root.T @ inverse_root, float(normaliser))


def marginals(forms: np.ndarray, q: Gaussian) -> tuple[np.ndarray, np.ndarray]:
    """(means, variances) of every g_n."""
    return forms @ q.mean, np.einsum("nd,de,ne->n", forms, q.covariance, forms, optimize=True)


def cavities(
    mean: np.ndarray, variance: np.ndarray, precision: np.ndarray, shift: np.ndarray
) -> Cavities:
    """The marginals N(mean, variance) of g without their sites: precision 1 / variance -
    precision_n.
    """
    left = 1 - variance * precision
    positive = left > 1e-10  # below, only rounding is left of the cavity's precision
    left = np.where(positive, left, variance)
    return Cavities(
        np.where(positive, (mean - variance * shift) / left, 0.0), variance / left, positive
    )


def log_evidence(problem: Problem, precision: np.ndarray, shift: np.ndarray, q: Gaussian) -> float:
    """log Z of expectation propagation, nats: that of base and sites, each scaled such that it
    gives its tilted distribution's normaliser (Minka 2001; Rasmussen & Williams 2006, equation
    3.65). NaN where a cavity is not positive.
    """
    cavity = cavities(*marginals(problem.forms, q), precision, shift)
    if not cavity.positive.all():
        return float("nan")
    tilted = problem.sites.tilted(
        problem.offset + cavity.mean, cavity.variance, np.arange(len(precision))
    )
    m, v = cavity.mean, cavity.variance
    rest = 1 + precision * v
    # log of the integral of N(g; m, v) exp(shift g - precision g^2 / 2)
    unscaled = (
        shift * m
        - 0.5 * precision * m**2
        + 0.5 * np.square(shift - precision * m) * v / rest
        - 0.5 * np.log(rest)
    )
    return q.log_normaliser + float(np.sum(tilted.log_normaliser - unscaled))
