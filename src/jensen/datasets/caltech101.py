"""Caltech 101 Silhouettes: the outlines of 8,671 objects in 101 classes.

Source: B. Marlin, K. Swersky, B. Chen and N. de Freitas (2010), "Inductive Principles for
Restricted Boltzmann Machine Learning", AISTATS; split 1 of their 28 x 28 file. The file has 1 for
the background; like Tomczak & Welling (2018) and others we take 1 - x, so that the object is 1.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jensen.datasets._dataset import Dataset
from jensen.datasets._published_formats import read_mat
from jensen.datasets._source import AbstractSource, PinnedFile

_PREFIXES = {"train": "train", "validation": "val", "test": "test"}


class Caltech101(AbstractSource):
    """8,671 silhouettes of 28 x 28 pixels, upright, object = 1, background = 0; the authors' split
    of 4,100/2,264/2,307; labels 1..101.

    load_dataset("caltech101", data_dir="data").train  # uint8 0 and 1, (4100, 28, 28)
    """

    description = "silhouettes of objects in 101 classes"
    sizes = (4_100, 2_264, 2_307)
    event_shape = (28, 28)
    values = "binary"
    licence = "no licence stated by the authors"
    files = (
        PinnedFile(
            "caltech101_silhouettes_28_split1.mat",
            "eb6735e8d84b1850fabc5590124aab1755e90c9fd28123585324398405e1e42a",
            ("https://people.cs.umass.edu/~marlin/data/caltech101_silhouettes_28_split1.mat",),
            872_124,
            folders=("caltech101_silhouettes", "."),
        ),
    )

    def load(self, *, files: Mapping[str, Path]) -> Dataset:
        """Reads the data set from the authors' MATLAB file."""
        path = files[self.files[0].name]
        shapes = {
            f"{prefix}_data": (rows, 784) for prefix, rows in zip(_PREFIXES.values(), self.sizes)
        }
        arrays = read_mat(
            path,
            shapes
            | {
                f"{prefix}_labels": (rows, 1)
                for prefix, rows in zip(_PREFIXES.values(), self.sizes)
            },
        )
        train, validation, test = (
            silhouettes(arrays[f"{prefix}_data"], str(path)) for prefix in _PREFIXES.values()
        )
        return Dataset(
            "caltech101",
            train,
            validation,
            test,
            labels={
                split: arrays[f"{prefix}_labels"].ravel() for split, prefix in _PREFIXES.items()
            },
            notes=(
                "1 - x of the authors' file: object = 1, background = 0; each image transposed "
                "to stand upright",
                f"licence: {self.licence}",
            ),
        )


def silhouettes(raw: np.ndarray, where: str) -> np.ndarray:
    """Upright uint8 images [rows, 28, 28] with the object as 1, from rows [rows, 784] in
    column-major order with the background as 1.

    Raises:
        ValueError: values other than 0 and 1; `where` names them in the message.

        silhouettes(mat["train_data"], "caltech101_silhouettes_28_split1.mat")
    """
    if not np.isin(raw, (0, 1)).all():
        raise ValueError(
            f"{where} should hold 0 and 1 only, but its values lie in "
            f"{raw.min():g}..{raw.max():g}; this is another file."
        )
    return (1 - raw.astype(np.uint8)).reshape(-1, 28, 28).transpose(0, 2, 1)
