"""MNIST with dynamic binarisation; not to be mixed in one table with the static binarisation of Larochelle's files.

Source: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits; the binarisation is that of the code of Tomczak & Welling (2018),
"VAE with a VampPrior", which draws validation and test once, in that order, from one generator:

    np.random.seed(777); validation = np.random.binomial(1, X[50000:]); test = np.random.binomial(1, T)     X, T: float32 grey / 255, [rows, 784]
"""

import gzip
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jensen.datasets._dataset import Dataset
from jensen.datasets._source import AbstractSource, PinnedFile

_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array in a gzipped idx file; its shape is what the file's header says.

    The form: two zero bytes, the type (8 is uint8), the number of axes, each axis's length as a big-endian 32-bit integer, then the values in row-major order.

    Raises:
        ValueError: no gzip file, truncated, not of unsigned bytes, or a length that the header contradicts.

        read_idx(Path("train-images-idx3-ubyte.gz"))  # (60000, 28, 28)
    """
    try:
        raw = gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is no complete gzip file ({error}); remove it and fetch it again.") from error
    if raw[:3] != b"\0\0\x08" or len(raw) < 4 or len(raw) < 4 + 4 * raw[3]:
        raise ValueError(f"{path} is no idx file of unsigned bytes: it starts with {raw[:4].hex(' ') or 'nothing'}, not with 00 00 08; remove it.")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", count=raw[3], offset=4))
    values = len(raw) - 4 - 4 * raw[3]
    if values != math.prod(shape):
        raise ValueError(f"{path} holds {values} values, but its header promises {shape}, that is {math.prod(shape)}; it is damaged: fetch it again.")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


class MNIST(AbstractSource):
    """70,000 handwritten digits of 28 x 28 pixels, dynamically binarised: levels=255, and the usual split of 50,000/10,000/10,000.

    load_dataset("mnist", data_dir="data").train  # uint8 0..255, (50000, 28, 28)
    """

    description = "handwritten digits, dynamically binarised from 255 grey levels"
    shape = "50,000 / 10,000 / 10,000 of 28 x 28"
    licence = "CC BY-SA 3.0 (Y. LeCun and C. Cortes)"
    files = tuple(
        PinnedFile(name, sha256, tuple(mirror + name for mirror in _MIRRORS), size)
        for name, sha256, size in (
            ("train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9_912_422),
            ("train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28_881),
            ("t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1_648_877),
            ("t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542),
        )
    )

    def load(self, *, files: Mapping[str, Path]) -> Dataset:
        """The data set, read from the four original idx files."""
        grey, labels, test_grey, test_labels = (read_idx(files[file.name]) for file in self.files)
        # The legacy generator, and binomial rather than frozen_draws: the published draws depend on both, and on this order.
        generator = np.random.RandomState(777)
        validation, test = (generator.binomial(1, images.astype(np.float32) / 255).astype(np.uint8) for images in (grey[50_000:], test_grey))
        return Dataset(
            name="mnist",
            train=grey[:50_000],
            validation=validation,
            test=test,
            levels=255,
            labels={"train": labels[:50_000], "validation": labels[50_000:], "test": test_labels},
            notes=(
                "dynamic binarisation; not comparable with results on the static binarisation",
                "train: Bernoulli(v / 255), drawn afresh at each use; validation and test: drawn once with seed 777 and frozen",
                f"licence: {self.licence}",
            ),
        )
