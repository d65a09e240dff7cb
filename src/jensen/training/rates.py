"""A learning rate that falls in stages, each three times as long as the one before.

    stage i = 1 .. n:   3^(i-1) parts of all epochs,   rate * round(10^(1 - (i-1)/(n-1)), 1) / 10

With n = 8, 3280 epochs and rate = 1e-3 these are the stages of Burda, Grosse & Salakhutdinov 2016,
section 5: 1, 3, 9, ..., 2187 epochs at 1e-3, 7.2e-4, ..., 1e-4.
"""

import jax.numpy as jnp
import numpy as np

from jensen._types import Array


def staged_rate(epoch: int | Array, epochs: int, stages: int) -> Array:
    """Compute the factor of the learning rate in epoch 1, 2, ... of `epochs`.

    It falls from 1 in the first stage to 0.1 in the last.

        staged_rate(3280, 3280, 8)  # 0.1
    """
    ends = np.cumsum(3.0 ** np.arange(stages))
    # With other numbers of epochs than (3^stages - 1) / 2 the stages keep their proportions: an
    # epoch has the rate of the stage that its middle falls into.
    middle = (epoch - 0.5) / epochs * ends[-1]
    factors = np.round(10 ** (1 - np.arange(stages) / max(stages - 1, 1)), 1) / 10
    return jnp.asarray(factors)[
        jnp.minimum(jnp.searchsorted(jnp.asarray(ends), middle), stages - 1)
    ]
