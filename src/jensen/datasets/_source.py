"""The abstract class of a named data set, and how it states the files that it needs."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from jensen.datasets._dataset import Dataset


@dataclass(frozen=True)
class PinnedFile:
    """A file that a source needs, known by its checksum wherever it comes from.

    Attributes:
        name: the file's name in a data directory.
        sha256: of its bytes, hexadecimal.
        urls: where it may be downloaded; tried in order.
        size: in bytes, to announce a download.

        PinnedFile("faces.npy", sha256="13a0cd...", urls=("https://example.org/faces.npy",), size=1_100_528)
    """

    name: str
    sha256: str
    urls: tuple[str, ...]
    size: int


class AbstractSource(abc.ABC):
    """A named data set: one final subclass per file of this folder, or of a file of your own, is one name for `load_dataset`.

    Attributes:
        description: one line, what the data are.
        shape: the splits and the event shape as text, such as "50,000 / 10,000 / 10,000 of 28 x 28".
        licence: under which the data may be used.
        files: the files it needs; empty when it needs none.
        origin: where data without files come from.

        class Faces(AbstractSource):
            def load(self, *, files): return Dataset("faces", *np.split(np.load(files["faces.npy"]), (1565, 1765)))
    """

    description: ClassVar[str]
    shape: ClassVar[str]
    licence: ClassVar[str]
    files: ClassVar[tuple[PinnedFile, ...]] = ()
    origin: ClassVar[str] = "nothing to download"

    @abc.abstractmethod
    def load(self, *, files: Mapping[str, Path]) -> Dataset:
        """The data set, read from `files`: file name -> a local path whose checksum was verified.

        Raises:
            ValueError: a file whose content is not what the format promises.
        """
