"""The abstract class of a named data set, and how it states the files that it needs."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jensen.datasets._dataset import Dataset


@dataclass(frozen=True)
class PinnedFile:
    """A file that a source needs, known by its checksum wherever it comes from.

    Attributes:
        name: the file's name in a data directory.
        checksum: of its bytes, hexadecimal: a sha256, or 'md5:...' where the field knows the file
            by that. None: nobody has pinned the file; it is then never downloaded, and its source
            checks what can be checked of its content.
        urls: where it may be downloaded; tried in order.
        size: in bytes, to announce a download; None where it is not known.
        folders: where it is looked for in a data directory, after the folder called as the data
            set; '.' is the directory itself.
        gzipped: NAME.gz serves as well; the checksum is that of the unpacked bytes, since gzip does
            not give the same bytes twice.

        url = "https://example.org/faces.npy"
        PinnedFile("faces.npy", checksum="13a0cd...", urls=(url,), size=1_100_528)
    """

    name: str
    checksum: str | None
    urls: tuple[str, ...] = ()
    size: int | None = None
    folders: tuple[str, ...] = (".",)
    gzipped: bool = False

    @property
    def downloadable(self) -> bool:
        """Whether it can be fetched: some address is known, and the checksum that the bytes must
        have.
        """
        return bool(self.urls) and self.checksum is not None


class AbstractSource(abc.ABC):
    """A named data set: one final subclass per file of this folder, or of a file of your own, is
    one name for `load_dataset`.

    Keyword-only arguments with a default are its options; `load_dataset` passes on `binarise` and
    `split` to the sources that have them. A source whose constructor asks for `member` is a family,
    such as `density/nltcs`, and lists its members in `members`.

    Attributes:
        description: one line, what the data are.
        sizes: the rows of train, validation and test; `load_dataset` holds the source to them.
        event_shape: the shape of one datum; likewise.
        values: what the numbers are by default, in a word for a table: 'binary', 'drawn' (grey
            levels drawn as binary) or 'grey' (values in (0, 1)).
        licence: under which the data may be used.
        files: the files it needs; empty when it needs none.
        origin: where data without files come from.
        remedy: how to get files that are not downloaded; a sentence.
        members: the names in a family; empty for a single data set.

        class Faces(AbstractSource):
            def load(self, *, files):
                faces = np.load(files["faces.npy"])
                return Dataset("faces", *np.split(faces, (1565, 1765)))
    """

    description: str
    sizes: tuple[int, int, int]
    event_shape: tuple[int, ...]
    values: str
    licence: str
    files: tuple[PinnedFile, ...] = ()
    origin: str = "nothing to download"
    remedy: str = ""
    members: tuple[str, ...] = ()

    @abc.abstractmethod
    def load(self, *, files: Mapping[str, Path]) -> Dataset:
        """The data set, read from `files`: file name -> a local path (NAME.gz perhaps, if the file
        may be gzipped) whose checksum was verified.

        Raises:
            ValueError: a file whose content is not what the format promises.
        """
