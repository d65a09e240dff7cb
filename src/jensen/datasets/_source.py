"""The abstract class of a named data set, and the description of the files that it needs."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jensen.datasets._dataset import Dataset


@dataclass(frozen=True)
class PinnedFile:
    """A file that a source needs, identified by its checksum wherever it comes from.

    Attributes:
        name: the file's name in a data directory.
        checksum: of its bytes, hexadecimal: a sha256, or 'md5:...' if that is the published one.
            None if the file is not pinned: it is then never downloaded, and its source checks its
            content as far as possible.
        urls: where to download it, tried in order.
        size: in bytes, to announce a download; None if not known.
        folders: folders of a data directory to search, after the folder with the data set's name;
            '.' is the directory itself.
        gzipped: whether NAME.gz serves as well. The checksum is then that of the unpacked bytes,
            since gzip does not give the same bytes twice.

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
        """Whether it can be downloaded: it has a url and a checksum."""
        return bool(self.urls) and self.checksum is not None


class AbstractSource(abc.ABC):
    """A named data set: one final subclass per file of this folder, or of a file of your own, is
    one name for `load_dataset`.

    Keyword-only arguments with a default are its options; `load_dataset` passes on `binarise` and
    `split` to the sources that have them. A source whose constructor asks for `member` is a family,
    such as `density/nltcs`, and lists its members in `members`.

    Attributes:
        description: what the data are, in one line.
        sizes: numbers of rows of train, validation and test, which `load_dataset` checks.
        event_shape: the shape of one datum, which `load_dataset` checks.
        values: the default values, in a word for a table: 'binary', 'drawn' (grey levels drawn as
            binary) or 'grey' (values in (0, 1)).
        licence: the licence of the data.
        files: the files that it needs; may be empty.
        origin: where data without files come from.
        remedy: a sentence that says how to get files that cannot be downloaded.
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
        """Reads the data set.

        Args:
            files: file name -> a local path with verified checksum; it may be NAME.gz if the file
                may be gzipped.

        Raises:
            ValueError: a file whose content is not what the format promises.
        """
