"""Probabilistic principal components: factor analysis with one noise variance for all columns."""

import numpy as np

from jensen._types import Key
from jensen.variational._ending import positive
from jensen.variational.coordinate_ascent._factors import ascend_factors, checked
from jensen.variational.coordinate_ascent.factor_analysis import FactorAnalysis, factors_found


def fit_probabilistic_pca(
    x: np.ndarray,
    latent_dim: int,
    *,
    key: Key,
    least_noise: float = 1e-6,
    tolerance: float = 1e-8,
    max_sweeps: int = 20_000,
) -> FactorAnalysis:
    """Maximum likelihood by EM, coordinate ascent on the ELBO in q(z), exact and normal, and in the
    parameters, which are points (Tipping & Bishop 1999, appendix B).

    The maximum is known: -N/2 [sum_{i <= L} log lam_i + (D - L) log s2 + D log 2 pi + D], s2 the
    mean of the D - L least eigenvalues lam of the covariance, and the loadings span the leading
    eigenvectors. EM finds it whatever it starts from: other stationary points are saddles.

    Args:
        x: [N, D].
        latent_dim: L, below D.
        least_noise: where the noise variance stops, as a share of the mean variance of a column.
        tolerance: nats that a sweep must win to go on.

    Raises:
        ValueError: as `fit_factor_analysis`; but a constant column is allowed while others vary,
            since the noise variance is shared.
        ArithmeticError: an update that lowered the ELBO, by name.

        fit_probabilistic_pca(x, 2, key=jax.random.key(0)).noise[0]
    """
    x = checked(x, latent_dim, shared_noise=True)
    floor = positive(least_noise, "least_noise") * float(x.var(axis=0).mean())

    def shared(residuals: np.ndarray) -> np.ndarray:
        return np.full(len(residuals), max(float(residuals.mean()), floor))

    ascent = ascend_factors(
        x, latent_dim, shared, "the noise", key=key, tolerance=tolerance, max_sweeps=max_sweeps
    )
    return factors_found(x, ascent, np.flatnonzero(ascent.state.noise <= floor))
