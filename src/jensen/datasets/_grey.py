"""Grey images as data: drawn as binary, thresholded, or as the centres of their bins."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import numpy as np

from jensen.datasets._dataset import Dataset, frozen_draws
from jensen.datasets._rows import RowOrigin

Binarise: TypeAlias = Literal["dynamic", "threshold", "none"]


def grey_dataset(
    name: str,
    grey: Mapping[str, np.ndarray],
    levels: int,
    binarise: str,
    draw: Callable[[], tuple[np.ndarray, np.ndarray]],
    *,
    drawn: str,
    labels: Mapping[str, np.ndarray] | None = None,
    notes: tuple[str, ...] = (),
    rows: Mapping[str, RowOrigin] | None = None,
) -> Dataset:
    """Makes the Dataset of grey images, with one of three meanings of a value v in 0..levels.

    'dynamic': a Bernoulli mean v / levels, train drawn afresh at each use, validation and test
    frozen (Burda et al. 2016). 'threshold': 1 where v > levels / 2. 'none': the centre of its bin,
    (v + 1/2) / (levels + 1), strictly inside (0, 1) and exact in float32 for 255 levels, as the
    discretised logistic needs it.

    Args:
        name: of the data set.
        grey: train, validation and test, uint8 [rows, *event].
        levels: the largest grey value.
        binarise: dynamic, threshold or none.
        draw: makes the frozen draws of validation and test; called for 'dynamic' only.
        drawn: the words of the note about these draws.
        labels: per split.
        notes: further notes, at the end.
        rows: per split, the rows of the source; by default counted from 0.

        data = grey_dataset("mnist", grey, 255, "none", draw, drawn="with seed 777")
        data.train  # float32 in [1/512, 511/512]
    """
    if binarise == "dynamic":
        validation, test = draw()
        arrays = {"train": grey["train"], "validation": validation, "test": test}
        binarisation_notes = (
            "dynamic binarisation; not comparable with results on a static binarisation",
            f"train: Bernoulli(v / {levels}), drawn afresh at each use; validation and test: "
            f"drawn once {drawn} and frozen",
        )
    elif binarise == "threshold":
        arrays = {split: (array > levels / 2).astype(np.uint8) for split, array in grey.items()}
        binarisation_notes = (
            f"binarised: 1 where v > {levels / 2:g}; not comparable with results on other "
            "binarisations",
        )
    else:
        arrays = {
            split: (array.astype(np.float32) + np.float32(0.5)) / np.float32(levels + 1)
            for split, array in grey.items()
        }
        binarisation_notes = (
            f"grey values v = 0..{levels} as the centres of their bins, (v + 0.5) / {levels + 1}",
        )
    train_levels = levels if binarise == "dynamic" else None
    return Dataset(
        name,
        arrays["train"],
        arrays["validation"],
        arrays["test"],
        levels=train_levels,
        labels=labels or {},
        notes=(*binarisation_notes, *notes),
        rows=rows or {},
    )


def seeded_draws(
    grey: Mapping[str, np.ndarray], levels: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Makes frozen draws of validation with `seed` and of test with `seed` + 1.

    seeded_draws(grey, 16, 1798)
    """
    return frozen_draws(grey["validation"], levels, seed), frozen_draws(
        grey["test"], levels, seed + 1
    )
