"""Fashion-MNIST: pictures of clothes in MNIST's form, dynamically binarised by default as papers on
variational autoencoders mostly do.

Source: H. Xiao, K. Rasul and R. Vollgraf (2017), "Fashion-MNIST: a Novel Image Dataset for
Benchmarking Machine Learning Algorithms", arXiv 1708.07747. There are no published frozen draws:
ours are made with the seeds SEED and SEED + 1.
"""

from collections.abc import Mapping
from pathlib import Path

from jensen.datasets._dataset import Dataset
from jensen.datasets._grey import Binarise, grey_dataset, seeded_draws
from jensen.datasets._published_formats import read_idx
from jensen.datasets._source import AbstractSource, PinnedFile

SEED = 60_000
_MIRROR = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"


class FashionMNIST(AbstractSource):
    """70,000 pictures of clothes of 28 x 28 pixels; the last 10,000 of the 60,000 for training are
    validation.

    `binarise`: 'dynamic' (levels=255), 'threshold' (1 where v > 127.5) or 'none' (grey, (v + .5) /
    256).

        load_dataset("fashion_mnist", binarise="none").train  # float32 in (0, 1), (50000, 28, 28)
    """

    description = "pictures of clothes, dynamically binarised from 255 grey levels"
    sizes = (50_000, 10_000, 10_000)
    event_shape = (28, 28)
    values = "drawn"
    licence = "MIT (Zalando SE)"
    # Never looked for in the data directory itself: MNIST's files have the same names.
    files = tuple(
        PinnedFile(
            name, sha256, (_MIRROR + name,), size, folders=("fashion-mnist", "FashionMNIST/raw")
        )
        for name, sha256, size in (
            (
                "train-images-idx3-ubyte.gz",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                26_421_880,
            ),
            (
                "train-labels-idx1-ubyte.gz",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                29_515,
            ),
            (
                "t10k-images-idx3-ubyte.gz",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                4_422_102,
            ),
            (
                "t10k-labels-idx1-ubyte.gz",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                5_148,
            ),
        )
    )

    def __init__(self, *, binarise: Binarise = "dynamic"):
        self.binarise = binarise

    def load(self, *, files: Mapping[str, Path]) -> Dataset:
        """Reads the data set from the four original idx files."""
        grey, labels, test_grey, test_labels = (read_idx(files[file.name]) for file in self.files)
        splits = {"train": grey[:50_000], "validation": grey[50_000:], "test": test_grey}
        return grey_dataset(
            "fashion_mnist",
            splits,
            255,
            self.binarise,
            lambda: seeded_draws(splits, 255, SEED),
            drawn=f"with seeds {SEED} and {SEED + 1}",
            labels={"train": labels[:50_000], "validation": labels[50_000:], "test": test_labels},
            notes=(f"licence: {self.licence}",),
        )
