"""OMNIGLOT at 28 x 28 pixels, in the version and the split of Burda et al., dynamically binarised.

Source: B. M. Lake, R. Salakhutdinov and J. B. Tenenbaum (2015), "Human-level concept learning
through probabilistic program induction"; the file and the split are those of Burda, Grosse &
Salakhutdinov (2016), "Importance Weighted Autoencoders": of 24,345 rows permuted with seed 123, the
last 1,345 are validation.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jensen.datasets._dataset import Dataset
from jensen.datasets._grey import Binarise, grey_dataset
from jensen.datasets._published_formats import read_mat
from jensen.datasets._source import AbstractSource, PinnedFile

PERMUTATION_SEED = 123
DRAW_SEED = 1345
_ROWS = {"data": 24_345, "testdata": 8_070}
_NUM_VALIDATION = 1_345


class Omniglot(AbstractSource):
    """32,415 handwritten characters of 50 alphabets, 28 x 28 pixels of grey in [0, 1], upright;
    split 23,000/1,345/8,070; without labels.

    `binarise`: 'dynamic' (levels=255), 'threshold' (1 where grey > 1/2) or 'none' (grey, (v + .5) /
    256). Train's grey values, and all of them for 'none' and 'threshold', are held as v = 255 x
    grey, rounded: a note says so if the file's are not multiples of 1/255. The frozen draws of
    validation and test have the file's own values as their means.

        load_dataset("omniglot").train  # uint8 0..255, (23000, 28, 28)
    """

    description = "handwritten characters of 50 alphabets, dynamically binarised"
    sizes = (23_000, _NUM_VALIDATION, 8_070)
    event_shape = (28, 28)
    values = "drawn"
    licence = "MIT for the original (B. Lake); none stated for this 28 x 28 version"
    files = (
        PinnedFile(
            "chardata.mat",
            "md5:21ecaf34373511aa7691cf2e0802aa3d",
            ("https://github.com/yburda/iwae/raw/master/datasets/OMNIGLOT/chardata.mat",),
            folders=("OMNIGLOT", "."),
        ),
    )

    def __init__(self, *, binarise: Binarise = "dynamic"):
        self.binarise = binarise

    def load(self, *, files: Mapping[str, Path]) -> Dataset:
        """Reads the data set from Burda's file."""
        path = files[self.files[0].name]
        arrays = read_mat(path, {key: (784, rows) for key, rows in _ROWS.items()})
        return from_arrays(
            arrays["data"],
            arrays["testdata"],
            _NUM_VALIDATION,
            self.binarise,
            str(path),
            (f"licence: {self.licence}",),
        )


def from_arrays(
    data: np.ndarray,
    testdata: np.ndarray,
    num_validation: int,
    binarise: str,
    where: str,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """The data set in the file's two arrays [784, rows] of grey values in [0, 1], each column an
    image in column-major order.

    Raises:
        ValueError: values outside [0, 1]; `where` names them in the message.

        from_arrays(mat["data"], mat["testdata"], 1345, "dynamic", "chardata.mat")
    """
    for key, array in (("data", data), ("testdata", testdata)):
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ValueError(
                f"{where}: {key!r} should hold grey values in [0, 1], but they lie in "
                f"{array.min():g}..{array.max():g}; this is another file."
            )
    images, test = (
        np.asarray(array, np.float64).T.reshape(-1, 28, 28).transpose(0, 2, 1)
        for array in (data, testdata)
    )
    images = images[np.random.RandomState(PERMUTATION_SEED).permutation(len(images))]
    exact = {
        "train": images[:-num_validation],
        "validation": images[-num_validation:],
        "test": test,
    }
    grey = {split: np.rint(array * 255).astype(np.uint8) for split, array in exact.items()}
    change = max(float(np.abs(array - grey[split] / 255).max()) for split, array in exact.items())
    rounded = (
        ()
        if change < 1e-6
        else (
            "grey values were rounded to multiples of 1/255, which changed them by up to "
            f"{change:.2g}; frozen draws were not",
        )
    )

    def draw() -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.RandomState(DRAW_SEED)
        validation, test = (
            (generator.random_sample(exact[split].shape) < exact[split]).astype(np.uint8)
            for split in ("validation", "test")
        )
        return validation, test

    split = (
        f"train permuted with seed {PERMUTATION_SEED}, its last {num_validation:,} "
        "rows are validation (Burda et al. 2016)"
    )
    return grey_dataset(
        "omniglot",
        grey,
        255,
        binarise,
        draw,
        drawn=f"with seed {DRAW_SEED}",
        notes=(split, *rounded, *notes),
    )
