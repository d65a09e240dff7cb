"""scikit-learn's digits: 1797 small handwritten digits that need no download.

Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, doi 10.24432/C50P49 (its test part).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jensen.datasets._dataset import Dataset, frozen_draws
from jensen.datasets._source import AbstractSource

SEED = 1797
BOUNDS = (1257, 1437)


def order() -> np.ndarray:
    """The fixed permutation [1797] of scikit-learn's rows: its first 1257 are train, then 180 validation, then 360 test.

    images[order()[:1257]]  # train
    """
    return np.random.RandomState(SEED).permutation(1797)


class Digits(AbstractSource):
    """1797 handwritten digits of 8 x 8 pixels with grey levels 0..16, dynamically binarised: levels=16, and a fixed split of 1257/180/360.

    Validation and test were drawn once with the seeds SEED + 1 and SEED + 2.

        load_dataset("digits").train  # uint8 0..16, (1257, 8, 8)
    """

    description = "small handwritten digits, dynamically binarised from 16 grey levels"
    shape = "1,257 / 180 / 360 of 8 x 8"
    licence = "CC BY 4.0 (UCI Machine Learning Repository, doi 10.24432/C50P49)"
    origin = "bundled with scikit-learn"

    def load(self, *, files: Mapping[str, Path]) -> Dataset:
        """The data set, from scikit-learn's copy; `files` is not used."""
        from sklearn.datasets import load_digits

        images, digits = (np.asarray(part)[order()].astype(np.uint8) for part in load_digits(return_X_y=True))
        grey, labels = np.split(images.reshape(-1, 8, 8), BOUNDS), np.split(digits, BOUNDS)
        return Dataset(
            name="digits",
            train=grey[0],
            validation=frozen_draws(grey[1], 16, SEED + 1),
            test=frozen_draws(grey[2], 16, SEED + 2),
            levels=16,
            labels=dict(zip(("train", "validation", "test"), labels)),
            notes=(
                f"rows permuted with seed {SEED}, then split 1257/180/360",
                "train: Bernoulli(v / 16), drawn afresh at each use; validation and test: drawn once and frozen",
                f"licence: {self.licence}",
            ),
        )
