"""scikit-learn's digits: 1797 small handwritten digits that need no download.

Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
Learning Repository, doi 10.24432/C50P49 (its test part).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jensen.datasets._dataset import SPLITS, Dataset
from jensen.datasets._grey import Binarise, grey_dataset, seeded_draws
from jensen.datasets._rows import origins
from jensen.datasets._source import AbstractSource

SEED = 1797
BOUNDS = (1257, 1437)


def order() -> np.ndarray:
    """The fixed permutation [1797] of scikit-learn's rows: its first 1257 are train, then 180
    validation, then 360 test.

    images[order()[:1257]]  # train
    """
    return np.random.RandomState(SEED).permutation(1797)


class Digits(AbstractSource):
    """1797 handwritten digits of 8 x 8 pixels with grey levels 0..16, and a fixed split of
    1257/180/360.

    `binarise`: 'dynamic' (levels=16; validation and test were drawn once with the seeds SEED + 1
    and SEED + 2), 'threshold' (1 where v > 8) or 'none' (grey, (v + .5) / 17).

        load_dataset("digits").train  # uint8 0..16, (1257, 8, 8)
    """

    description = "small handwritten digits, dynamically binarised from 16 grey levels"
    sizes = (1257, 180, 360)
    event_shape = (8, 8)
    values = "drawn"
    licence = "CC BY 4.0 (UCI Machine Learning Repository, doi 10.24432/C50P49)"
    origin = "bundled with scikit-learn"

    def __init__(self, *, binarise: Binarise = "dynamic"):
        self.binarise = binarise

    def load(self, *, files: Mapping[str, Path]) -> Dataset:
        """Reads the data set from scikit-learn's copy; `files` is not used."""
        from sklearn.datasets import load_digits

        images, digits = (
            np.asarray(part)[order()].astype(np.uint8) for part in load_digits(return_X_y=True)
        )
        grey, labels = (
            dict(zip(SPLITS, np.split(part, BOUNDS))) for part in (images.reshape(-1, 8, 8), digits)
        )
        return grey_dataset(
            "digits",
            grey,
            16,
            self.binarise,
            lambda: seeded_draws(grey, 16, SEED + 1),
            drawn=f"with seeds {SEED + 1} and {SEED + 2}",
            labels=labels,
            rows=origins(order(), BOUNDS),
            notes=(
                f"rows permuted with seed {SEED}, then split 1257/180/360",
                f"licence: {self.licence}",
            ),
        )
