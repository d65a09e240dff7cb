"""Data sets as NumPy arrays: named ones and your own. Every public file in this folder is one named
data set, or a family of them.

from jensen.datasets import load_dataset
data = load_dataset("digits")               # or "mydata.npz", an array, a mapping of splits
"""

from jensen.datasets._available import Availability as Availability
from jensen.datasets._available import available as available
from jensen.datasets._dataset import Dataset as Dataset
from jensen.datasets._load import dataset_names as dataset_names
from jensen.datasets._load import load_dataset as load_dataset
from jensen.datasets._load import load_rows as load_rows
from jensen.datasets._load import sources as sources
from jensen.datasets._part import Like as Like
from jensen.datasets._rows import Rows as Rows
from jensen.datasets._source import AbstractSource as AbstractSource
from jensen.datasets._source import PinnedFile as PinnedFile

_class, _classes = sources.attribute_access()
__getattr__ = _class


def __dir__() -> list[str]:
    return sorted(
        {
            "AbstractSource",
            "Availability",
            "Dataset",
            "Like",
            "PinnedFile",
            "Rows",
            "available",
            "dataset_names",
            "load_dataset",
            "load_rows",
            "sources",
            *_classes(),
        }
    )
