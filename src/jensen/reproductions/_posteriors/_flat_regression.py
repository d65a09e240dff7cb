"""Linear regression with flat coefficients, which four of the programs are."""

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist


def regression(covariates: Any, y: Any, prior_of_sigma: dist.Distribution) -> None:
    """beta flat, sigma from its prior, y ~ N(covariates beta, sigma): sites beta, sigma and y.

    Args:
        covariates: [N, P], the constant among them.
        y: [N].
        prior_of_sigma: of sigma > 0.

        regression(with_constant(x), y, flat_scale())
    """
    beta = numpyro.sample(
        "beta", dist.ImproperUniform(dist.constraints.real_vector, (), (covariates.shape[1],))
    )
    sigma = numpyro.sample("sigma", prior_of_sigma)
    numpyro.sample("y", dist.Normal(covariates @ beta, sigma).to_event(1), obs=y)


def with_constant(*columns: np.ndarray) -> np.ndarray:
    """A constant 1 and then the columns, [N, 1 + columns].

    with_constant(np.zeros(3)).shape  # (3, 2)
    """
    return np.stack([np.ones_like(columns[0]), *columns], axis=1)


def flat_scale() -> dist.Distribution:
    """The flat prior on the half-line.

    flat_scale().log_prob(3.0)  # 0
    """
    return dist.ImproperUniform(dist.constraints.positive, (), ())
