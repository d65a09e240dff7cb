"""MNIST in Larochelle's fixed binarisation; not to be mixed in one table with dynamic binarisation
(`mnist`).

Source: H. Larochelle and I. Murray (2011), "The Neural Autoregressive Distribution Estimator"; the
binarisation is that of R. Salakhutdinov and I. Murray (2008), "On the Quantitative Analysis of Deep
Belief Networks".
"""

from collections.abc import Mapping
from pathlib import Path

from jensen.datasets._dataset import Dataset
from jensen.datasets._published_formats import read_binary_text
from jensen.datasets._source import AbstractSource, PinnedFile

_ADDRESS = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"


class StaticMNIST(AbstractSource):
    """70,000 handwritten digits of 28 x 28 pixels, drawn as 0 and 1 once for all, in the split
    50,000/10,000/10,000 of the files; without labels.

    load_dataset("static_mnist").train  # uint8 0 and 1, (50000, 28, 28)
    """

    description = "handwritten digits, binarised once for all (Larochelle's files)"
    sizes = (50_000, 10_000, 10_000)
    event_shape = (28, 28)
    values = "binary"
    licence = "no licence stated by the authors; made from MNIST (CC BY-SA 3.0)"
    # The sizes follow from the form: each value takes two bytes.
    files = tuple(
        PinnedFile(
            name,
            f"md5:{md5}",
            (_ADDRESS + name,),
            rows * 784 * 2,
            folders=("binarized_mnist", "."),
            gzipped=True,
        )
        for name, md5, rows in (
            ("binarized_mnist_train.amat", "db28b1a6ae0fe70cbd3da91acf46e477", 50_000),
            ("binarized_mnist_valid.amat", "bf37822a04e94123630de6a7dfd9c9ef", 10_000),
            ("binarized_mnist_test.amat", "14e41ae11040adba6ab8cb291eda0dd8", 10_000),
        )
    )

    def load(self, *, files: Mapping[str, Path]) -> Dataset:
        """Reads the data set from the three text files."""
        rows = (read_binary_text(files[file.name]) for file in self.files)
        train, validation, test = (
            _images(array, file.name) for array, file in zip(rows, self.files)
        )
        notes = (
            "static binarisation; not comparable with results on the dynamic binarisation",
            f"licence: {self.licence}",
        )
        return Dataset("static_mnist", train, validation, test, notes=notes)


def _images(rows, name: str):
    if rows.shape[1] != 784:
        raise ValueError(
            f"{name} holds {rows.shape[1]} values a line, but an image has 28 x 28 = 784; this "
            "is another file."
        )
    return rows.reshape(-1, 28, 28)
