"""NumPyro's base class, with the signatures that the distributions of this package have.

For NumPyro `key` may be None and `log_prob` takes the intermediate values of its transformed
distributions. None of ours has a use for either, and all of them give arrays.
"""

from typing import TYPE_CHECKING

import numpyro.distributions

if TYPE_CHECKING:
    from jensen._types import Array, Key

    class Distribution(numpyro.distributions.Distribution):
        """`numpyro.distributions.Distribution`, which it is when the code runs."""

        def sample(  # pyright: ignore[reportIncompatibleMethodOverride]
            self, key: Key, sample_shape: tuple[int, ...] = ()
        ) -> Array: ...

        def log_prob(  # pyright: ignore[reportIncompatibleMethodOverride]
            self, value: Array
        ) -> Array: ...
else:
    Distribution = numpyro.distributions.Distribution
