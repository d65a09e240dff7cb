"""The best mean-field normal for a correlated normal of two dimensions, under every f.

p = N(0, S), S = [[1, rho], [rho, 1]], with precision L = S^-1; q = N(0, t I). For the limit of a
power mean of the weights with exponent a, (1/a) log E_q w^a, the slope in t vanishes where

    sum_i (1 - l_i t) / (1 - a + a l_i t) = 0        (l_i the eigenvalues of L)

    t(a) = (2a - 1 + r) / (2a) = 2 (1 - a) (1 - rho^2) / (r + 1 - 2a)
    r = sqrt(1 - 4 a (1 - a) rho^2)

so a = 0 (reverse KL) gives 1 - rho^2 = 1 / L_ii, a = 1/2 gives sqrt(1 - rho^2), a -> 1 (forward
KL) gives 1 = S_ii, and a = 2 (chi^2) more than that. The variance of a = 1/2 is that of every
symmetric f (Hellinger, Jensen-Shannon): there l_1 t = 1 / (l_2 t), and p and q change places when
t passes it.

The importance weighted bound of K samples has no closed form; it is maximised by a float64
quadrature.
"""

import math

import numpy as np
from scipy.optimize import minimize_scalar

STEP = 0.25  # of log s: the integrand is smooth on the scale of 1


def variance_of_power(a: float, rho: float) -> float:
    """Returns t(a), the variance of the best N(0, t I) for a power mean of exponent a.

    a = 1 stands for the limit, which is the forward KL.

    variance_of_power(0, 0.9)  # 0.19
    """
    r = math.sqrt(1 - 4 * a * (1 - a) * rho**2)
    # Two forms of one value: the first is 0/0 at a = 0, the second at a = 1.
    return (2 * a - 1 + r) / (2 * a) if a > 0.5 else 2 * (1 - a) * (1 - rho**2) / (r + 1 - 2 * a)


def variance_of_iwae(num_samples: int, rho: float) -> float:
    """Returns the variance that maximises the importance weighted bound of K samples.

    Brent's method on the quadrature of `expected_iwae`.

    variance_of_iwae(10, 0.9)  # 1.156
    """
    bounds = (math.log(0.1), math.log(2.5))
    optimum = minimize_scalar(
        lambda log_t: -expected_iwae(math.exp(log_t), num_samples, rho),
        bounds=bounds,
        method="bounded",
        options={"xatol": 1e-5},
    )
    return math.exp(float(optimum.x))


def expected_iwae(t: float, num_samples: int, rho: float) -> float:
    """Returns E log (1/K) sum_k w_k, w = p/q, nats, by quadrature.

    From log X = int_0^inf (e^-s - e^(-s X)) / s ds follows, with phi(s) = E_q e^(-s w / K),

        E log mean w = int (e^-s - phi(s)^K) / s ds.

    expected_iwae(0.19, 1, 0.9)  # minus KL(q || p), -0.83037
    """
    # log w = (1/2) sum_i log(t l_i) - (1/2) sum_i (t l_i - 1) e_i^2, e ~ N(0, I)
    excess = t * _eigenvalues(rho) - 1
    e = np.linspace(0, 8, 81)
    mass = np.exp(-0.5 * e**2) * np.where(e == 0, 0.5, 1.0)
    mass /= mass.sum()
    share = (mass[:, None] * mass).ravel()
    log_w = (
        0.5 * np.log1p(excess).sum() - 0.5 * (excess[0] * e[:, None] ** 2 + excess[1] * e**2)
    ).ravel()
    log_s = np.arange(-30, 30 + 400 / num_samples, STEP)
    total = 0.0
    # In blocks, to bound memory; exp(700) is near the largest double.
    for block in np.array_split(log_s, 16):
        log_sw = block[:, None] + log_w - math.log(num_samples)
        phi = np.exp(-np.exp(np.minimum(log_sw, 700))) @ share
        total += float(np.sum(np.exp(-np.exp(np.minimum(block, 700))) - phi**num_samples))
    return total * STEP


def _eigenvalues(rho: float) -> np.ndarray:
    return np.array([1 / (1 + rho), 1 / (1 - rho)])
