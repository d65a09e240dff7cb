"""MNIST with dynamic binarisation; not to be mixed in one table with the static binarisation of
Larochelle's files (`static_mnist`).

Source: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits; the
binarisation is that of the code of Tomczak & Welling (2018), "VAE with a VampPrior", which draws
validation and test once, in that order, from one generator:

    np.random.seed(777)
    validation = np.random.binomial(1, X[50000:])  # X, T: float32 grey / 255, [rows, 784]
    test = np.random.binomial(1, T)
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jensen.datasets._dataset import Dataset
from jensen.datasets._grey import Binarise, grey_dataset
from jensen.datasets._published_formats import read_idx
from jensen.datasets._source import AbstractSource, PinnedFile

_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


class MNIST(AbstractSource):
    """70,000 handwritten digits of 28 x 28 pixels, and the usual split of 50,000/10,000/10,000.

    `binarise`: 'dynamic' (levels=255), 'threshold' (1 where v > 127.5) or 'none' (grey, (v + .5) /
    256).

        load_dataset("mnist", data_dir="data").train  # uint8 0..255, (50000, 28, 28)
    """

    description = "handwritten digits, dynamically binarised from 255 grey levels"
    sizes = (50_000, 10_000, 10_000)
    event_shape = (28, 28)
    values = "drawn"
    licence = "CC BY-SA 3.0 (Y. LeCun and C. Cortes)"
    files = tuple(
        PinnedFile(name, sha256, tuple(mirror + name for mirror in _MIRRORS), size)
        for name, sha256, size in (
            (
                "train-images-idx3-ubyte.gz",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                9_912_422,
            ),
            (
                "train-labels-idx1-ubyte.gz",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                28_881,
            ),
            (
                "t10k-images-idx3-ubyte.gz",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                1_648_877,
            ),
            (
                "t10k-labels-idx1-ubyte.gz",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                4_542,
            ),
        )
    )

    def __init__(self, *, binarise: Binarise = "dynamic"):
        self.binarise = binarise

    def load(self, *, files: Mapping[str, Path]) -> Dataset:
        """Reads the data set from the four original idx files."""
        grey, labels, test_grey, test_labels = (read_idx(files[file.name]) for file in self.files)

        def published() -> tuple[np.ndarray, np.ndarray]:
            # The legacy generator, and binomial rather than frozen_draws: the published draws
            # depend on both, and on this order.
            generator = np.random.RandomState(777)
            validation, test = (
                generator.binomial(1, images.astype(np.float32) / 255).astype(np.uint8)
                for images in (grey[50_000:], test_grey)
            )
            return validation, test

        return grey_dataset(
            "mnist",
            {"train": grey[:50_000], "validation": grey[50_000:], "test": test_grey},
            255,
            self.binarise,
            published,
            drawn="with seed 777",
            labels={"train": labels[:50_000], "validation": labels[50_000:], "test": test_labels},
            notes=(f"licence: {self.licence}",),
        )
