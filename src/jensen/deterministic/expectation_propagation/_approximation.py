"""The Gaussian q that base and sites define, in coordinates in which the base is N(0, I).

    w = m0 + L u,  V0 = L L^T,  f_n = a_n . w = o_n + b_n . u,  o = A m0,  B = A L
    q(u) proportional to N(u; 0, I) prod_n exp(shift_n g_n - precision_n g_n^2 / 2),  g_n = b_n . u

In these coordinates neither the units of w nor a far-away prior mean cost digits.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from jensen.deterministic.expectation_propagation.sites import AbstractSite


@dataclass(frozen=True)
class Problem:
    """The sites, and the linear forms of u that they depend on."""

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


class State(NamedTuple):
    """The site parameters [N], and the q that they define with the base."""

    precision: np.ndarray
    shift: np.ndarray
    q: Gaussian


class Marginals(NamedTuple):
    """Mean and variance of every g_n under q, each [N]."""

    mean: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class Cavities:
    """q without the site, as a distribution of g = f - offset, for some of the sites [M].

    `positive` says where the cavity is a distribution; elsewhere its variance is meaningless.
    """

    mean: np.ndarray
    variance: np.ndarray
    positive: np.ndarray


def gaussian(forms: np.ndarray, precision: np.ndarray, shift: np.ndarray) -> Gaussian | None:
    """Computes q from the site parameters [N] by a new Cholesky factor.

    None if the precision is not positive definite, so that the sites define no distribution.
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


def marginals(forms: np.ndarray, q: Gaussian) -> Marginals:
    """Computes mean and variance of every g_n = b_n . u under q."""
    variance = np.einsum("nd,de,ne->n", forms, q.covariance, forms, optimize=True)
    return Marginals(forms @ q.mean, variance)


def cavities(
    mean: np.ndarray, variance: np.ndarray, precision: np.ndarray, shift: np.ndarray
) -> Cavities:
    """Divides the site out of the marginal N(mean, variance) of g: precision 1 / variance -
    precision_n, in units of the marginal's precision.
    """
    share = 1 - variance * precision  # of the cavity in the marginal's precision
    positive = share > 1e-10  # below, the share is rounding error
    share = np.where(positive, share, variance)
    return Cavities(
        np.where(positive, (mean - variance * shift) / share, 0.0), variance / share, positive
    )


def log_evidence(problem: Problem, precision: np.ndarray, shift: np.ndarray, q: Gaussian) -> float:
    """Computes log Z of expectation propagation, nats (Minka 2001; Rasmussen & Williams 2006,
    equation 3.65).

    Each site is scaled such that its product with the cavity has the normaliser of the tilted
    distribution. NaN where a cavity is not positive.
    """
    cavity = cavities(*marginals(problem.forms, q), precision, shift)
    if not cavity.positive.all():
        return float("nan")
    tilted = problem.sites.tilted(
        problem.offset + cavity.mean, cavity.variance, np.arange(len(precision))
    )
    m, v = cavity.mean, cavity.variance
    scale = 1 + precision * v
    # log of the integral of N(g; m, v) exp(shift g - precision g^2 / 2)
    unscaled = (
        shift * m
        - 0.5 * precision * m**2
        + 0.5 * np.square(shift - precision * m) * v / scale
        - 0.5 * np.log(scale)
    )
    return q.log_normaliser + float(np.sum(tilted.log_normaliser - unscaled))
