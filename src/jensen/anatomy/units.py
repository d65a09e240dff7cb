"""Which latent dimensions carry anything."""

import numpy as np

ACTIVE_VARIANCE = 0.01


def active_units(posterior_means: np.ndarray) -> int:
    """The number of latent dimensions whose posterior mean varies over the data by more than 0.01 in variance (Burda et al. 2016, section 5.1).

    Args:
        posterior_means: [N, D].

        active_units(np.zeros((10, 3)))  # 0
    """
    return int(np.sum(np.var(np.asarray(posterior_means, np.float64), axis=0) > ACTIVE_VARIANCE))
