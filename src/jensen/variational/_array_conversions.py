"""NumPy arrays in two precisions: JAX 0.10 to 0.12 converts an array once and keeps the result by
the identity of the array alone.

Fits are in double precision, and the process around them mostly is not. An array that a fit has
used then reaches NumPyro's own programs in float64 where float32 is expected, and the other way
about; XLA refuses them (RuntimeProgramInputMismatch). The cure is to keep one result per array and
precision.
"""

import functools
import weakref
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


@functools.cache
def keep_precisions_apart() -> bool:
    """Makes JAX keep its conversions of NumPy arrays by precision, where this JAX mixes them up.

    JAX has no public setting for this. Where its internals are not those that are expected here,
    they stay as they are.

    Returns:
        Whether conversions are apart now; False also where it cannot be told.

        keep_precisions_apart()  # True
    """
    try:
        from jax._src import dtypes, literals

        if _mixes_precisions(dtypes.canonicalize_value):
            # The array that programs hold as a constant is recognised by identity: one that is
            # used twice must be converted to the same object, or a program would hold it twice.
            converted = _ByIdentityAndPrecision(
                lambda x: literals.TypedNdArray(np.asarray(x, dtypes.canonicalize_dtype(x.dtype)))
            )
            converted(np.zeros(1))
            dtypes.register_canonicalize_value_handler(np.ndarray, converted)
        return not _mixes_precisions(dtypes.canonicalize_value)
    except (ImportError, AttributeError, TypeError):
        return False


def _mixes_precisions(canonicalize: Callable[[np.ndarray], Any]) -> bool:
    """Whether the conversion in double precision, while it is alive, is used in single too."""
    array = np.zeros(3)
    with jax.enable_x64(True):
        double = canonicalize(array)
    with jax.enable_x64(False):
        single = canonicalize(array)
    return double.dtype == single.dtype


class _ByIdentityAndPrecision:
    """Remembers what a function makes of an array while both are alive, for each precision."""

    def __init__(self, function: Callable[[np.ndarray], Any]):
        self._function = function
        self._results: dict[tuple[int, bool], tuple[Any, Any]] = {}

    def __call__(self, array: np.ndarray) -> Any:
        key = (id(array), bool(jax.config.read("jax_enable_x64")))
        remembered = self._results.get(key)
        if remembered is not None and remembered[0]() is array:
            result = remembered[1]()
            if result is not None:
                return result
        result = self._function(array)
        forget = functools.partial(self._forget, key)
        self._results[key] = (weakref.ref(array, forget), weakref.ref(result, forget))
        return result

    def _forget(self, key: tuple[int, bool], dead: Any) -> None:
        remembered = self._results.get(key)
        # The entry may by now belong to a later array with the same id.
        if remembered is not None and any(dead is reference for reference in remembered):
            self._results.pop(key, None)
