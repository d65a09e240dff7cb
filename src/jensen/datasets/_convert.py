"""Converts the user's arrays to uint8 or float32: checks, cast and binarisation."""

from collections.abc import Mapping, Sequence

import numpy as np

from jensen._rooms import nearest
from jensen.datasets._dataset import frozen_draws

BINARISE = ("none", "dynamic", "threshold")
_NUMERIC = "biuf"  # dtype kinds: bool, integers, floats
_TOLERATED_LOSS = 1e-6  # of a column's spread: about what float32 loses of centred data


def check_array(array: np.ndarray, where: str, columns: Sequence[str] = ()) -> None:
    """Checks that `array` [rows, *event] holds finite real numbers, at least one in each row.

    Args:
        array: as the user gave it.
        where: its name in messages.
        columns: the names of a table's columns, for messages.

    Raises:
        ValueError: another dtype or shape, an empty array, NaN or infinities.
    """
    if array.dtype.names is not None:
        raise ValueError(
            f"{where} has the structured dtype {array.dtype}; make plain numbers of it: "
            "numpy.lib.recfunctions.structured_to_unstructured(array)."
        )
    if array.dtype.kind not in _NUMERIC:
        raise ValueError(
            f"{where} has dtype {array.dtype}; only real numbers can be used (bool, integers, "
            "floats): convert or drop what is not."
        )
    if array.ndim == 0:
        raise ValueError(f"{where} is a scalar ({array}); give an array of shape [rows, *event].")
    if array.size == 0:
        raise ValueError(
            f"{where} is empty (shape {array.shape}); it needs at least one row and one value "
            "per row. Leave out a split that you do not have."
        )
    if array.ndim == 1:
        raise ValueError(
            f"{where} has shape {array.shape}; for {len(array)} rows of one number each use "
            f"reshape(-1, 1), giving ({len(array)}, 1)."
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = ~np.isfinite(array)
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        column = f" (column {columns[first[1]]!r})" if columns else ""
        raise ValueError(
            f"{where} holds {int(bad.sum())} values that are NaN or infinite, in "
            f"{int(bad.reshape(len(bad), -1).any(axis=1).sum())} of {len(bad)} rows, "
            f"the first at index {first}{column}; remove or impute those rows."
        )


def to_storage(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Casts all arrays to uint8 if they are bool or integers within 0..255, otherwise all to
    float32, and notes what the cast lost.

    Raises:
        ValueError: values beyond the range of float32.
    """
    if all(_fits_uint8(array) for array in arrays.values()):
        return {key: array.astype(np.uint8) for key, array in arrays.items()}, ()
    largest = max(
        float(np.abs(array.astype(np.float64)).max(initial=0)) for array in arrays.values()
    )
    limit = float(np.finfo(np.float32).max)
    if largest > limit:
        raise ValueError(
            f"the largest value, {largest:.3g}, is beyond float32, whose limit is {limit:.3g}; "
            "rescale the data."
        )
    cast = {key: array.astype(np.float32) for key, array in arrays.items()}
    loss = max(_loss(array, cast[key]) for key, array in arrays.items())
    lost = (
        f"casting to float32 changed values by up to {loss:.1e} of their column's "
        "spread; centre and rescale the data to keep them"
    )
    return cast, (lost,) if loss > _TOLERATED_LOSS else ()


def threshold_of(train: np.ndarray, mode: str) -> float | None:
    """The threshold of binarise="threshold": the middle of train's range; None for other modes.

    threshold_of(np.array([[0.0, 8.0]]), "threshold")  # 4.0
    """
    if mode != "threshold":
        return None
    low, high = float(train.min()), float(train.max())
    return low + (high - low) / 2


def binarised(
    arrays: Mapping[str, np.ndarray], mode: str, seed: int
) -> tuple[dict[str, np.ndarray], int | None, tuple[str, ...]]:
    """Binarises the splits: (arrays, the levels of train or None if nothing is drawn later, notes).

    Args:
        arrays: train, validation, test, each uint8 or float32.
        mode: none, dynamic or threshold, see `load_dataset`.
        seed: of the frozen draws.

    Raises:
        ValueError: an unknown mode, means outside [0, 1], a constant train split under threshold.
    """
    if mode not in BINARISE:
        raise ValueError(
            f"unknown binarise {mode!r}{nearest(mode, BINARISE)}; known: {', '.join(BINARISE)}."
        )
    if mode == "none":
        return dict(arrays), None, ()
    if all(np.isin(array, (0, 1)).all() for array in arrays.values()):
        return (
            {key: array.astype(np.uint8) for key, array in arrays.items()},
            None,
            (f"binarise={mode!r}: values are 0 and 1 already, kept as they are",),
        )
    return _threshold(arrays) if mode == "threshold" else _dynamic(arrays, seed)


def binarised_rows(
    array: np.ndarray, mode: str, seed: int, threshold: float | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Binarises rows for evaluation: (values, notes).

    "dynamic" draws them once with `seed`; "threshold" is 1 above `threshold`, which comes from the
    training data.

    Raises:
        ValueError: an unknown mode, means outside [0, 1], no threshold.
    """
    if mode == "threshold" and threshold is not None:
        note = f"binarised: 1 where v > {threshold:g}, as the training data were"
        return (array > threshold).astype(np.uint8), (note,)
    if mode == "threshold" and threshold is None and not np.isin(array, (0, 1)).all():
        raise ValueError(
            "binarise='threshold' of rows by themselves has no threshold, which is the middle of "
            "the training data's range; give values of 0 and 1, or in Python like=training_data."
        )
    # As the validation split, which is drawn once and frozen.
    empty = array[:0]
    parts = {"train": empty, "validation": array, "test": empty}
    parts, levels, notes = binarised(parts, mode, seed)
    if levels is not None:
        notes = (*notes[:-1], f"drawn once with seed {seed}")
    return parts["validation"], notes


def _threshold(
    arrays: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], None, tuple[str, ...]]:
    low, high = float(arrays["train"].min()), float(arrays["train"].max())
    if low == high:
        raise ValueError(
            f"binarise='threshold': every value of train is {low:g}, so that no threshold "
            "separates "
            "them; use binarise='none'."
        )
    half = threshold_of(arrays["train"], "threshold")
    note = f"binarised: 1 where v > {half:g}, the middle of train's range {low:g}..{high:g}"
    return {key: (array > half).astype(np.uint8) for key, array in arrays.items()}, None, (note,)


def _dynamic(
    arrays: Mapping[str, np.ndarray], seed: int
) -> tuple[dict[str, np.ndarray], int, tuple[str, ...]]:
    low, high = (
        float(pick([pick(array) for array in arrays.values() if array.size]))
        for pick in (np.min, np.max)
    )
    grey, notes = (
        dict(arrays),
        [
            f"values {low:g}..{high:g} were read as Bernoulli means v / 255, at most "
            f"{high / 255:.3g}"
        ],
    )
    if arrays["train"].dtype != np.uint8:
        if low < 0 or high > 1:
            raise ValueError(
                "binarise='dynamic' takes integers in 0..255 or floats in [0, 1] as Bernoulli "
                f"means; got values from {low:g} to {high:g}. "
                "Rescale them, cast them to uint8, or use binarise='threshold'."
            )
        # A mean has 256 levels, so that frozen draws are exact and the data stay uint8.
        grey = {
            key: np.rint(array * np.float32(255)).astype(np.uint8) for key, array in arrays.items()
        }
        change = max(
            float(np.abs(array - grey[key] / 255).max(initial=0)) for key, array in arrays.items()
        )
        notes = ["values in [0, 1] were read as Bernoulli means"]
        if change > _TOLERATED_LOSS:
            notes.append(
                "means were rounded to multiples of 1/255, which changed them by up to "
                f"{change:.2g}"
            )
    notes.append(
        f"train: drawn afresh at each use; validation and test: drawn once with seed {seed} and "
        "frozen"
    )
    frozen = {
        split: frozen_draws(grey[split], 255, (seed, stream))
        for stream, split in ((1, "validation"), (2, "test"))
    }
    return {"train": grey["train"], **frozen}, 255, tuple(notes)


def _fits_uint8(array: np.ndarray) -> bool:
    return (
        array.dtype.kind in "biu"
        and bool(array.min(initial=0) >= 0)
        and bool(array.max(initial=0) <= 255)
    )


def _loss(array: np.ndarray, cast: np.ndarray) -> float:
    if array.dtype in (np.float32, np.float16) or not array.size:
        return 0.0
    rows = array.reshape(len(array), -1).astype(np.float64)
    change = np.abs(rows - cast.reshape(rows.shape)).max(axis=0)
    spread = np.ptp(rows, axis=0)
    # Relative to the spread, or of a constant column to its value; a column of zeros loses nothing.
    scale = np.where(spread > 0, spread, np.abs(rows).max(axis=0))
    return float(np.max(np.divide(change, scale, out=np.zeros_like(change), where=scale > 0)))
