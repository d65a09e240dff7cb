"""`available`: the named data sets, and where their files are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jensen.datasets._files import find_locally
from jensen.datasets._load import dataset_names, find_source, sources


@dataclass(frozen=True)
class FileAvailability:
    """A file of a named data set: its path (None if it is not there), its urls, and its checksum
    (None if it is not pinned).
    """

    name: str
    path: str | None
    urls: tuple[str, ...]
    checksum: str | None


@dataclass(frozen=True)
class Availability:
    """The facts about a named data set that need no loading.

    Attributes:
        name, description, licence: texts.
        sizes: rows of train, validation, test.
        event_shape: the shape of one datum.
        values: the default values: 'binary', 'drawn' (grey levels drawn as binary) or 'grey'
            (values in (0, 1)).
        options: the options of `load_dataset` that apply, with their choices; the first is the
            default.
        found: whether all files are there, so that nothing must be downloaded.
        where: the folders of its files, or how to get them, as text.
        files: the files.
        remedy: how to get files that are not downloaded.

    [a.name for a in available() if a.found]
    """

    name: str
    description: str
    sizes: tuple[int, int, int]
    event_shape: tuple[int, ...]
    values: str
    licence: str
    options: dict[str, tuple[str, ...]]
    found: bool
    where: str
    files: tuple[FileAvailability, ...]
    remedy: str


def available(
    data_dir: str | Path | None = None, names: Sequence[str] | None = None
) -> tuple[Availability, ...]:
    """Lists the named data sets by name, with the folder of each or the size of its download.

    It downloads nothing and verifies no checksum.

    Args:
        data_dir: as for `load_dataset`.
        names: which data sets; all by default.

    Raises:
        ValueError: the data directory named does not exist.

        for entry in available(): print(entry.name, entry.where)
    """
    return tuple(
        _availability(name, data_dir) for name in (dataset_names() if names is None else names)
    )


def _availability(name: str, data_dir: str | Path | None) -> Availability:
    source = find_source(name)
    paths = {file: find_locally(file, name, data_dir=data_dir) for file in source.files}
    missing = [file for file, path in paths.items() if path is None]
    folders = ", ".join(
        dict.fromkeys(str(path.parent) for path in paths.values() if path is not None)
    )
    if not missing:
        where = folders or source.origin
    elif all(file.downloadable for file in missing):
        sizes = [file.size for file in missing if file.size is not None]
        where = (
            f"downloads {sum(sizes) / 1e6:.1f} MB" if len(sizes) == len(missing) else "downloads"
        )
    else:
        where = f"not found: {', '.join(file.name for file in missing)}"
    options = {
        option: _choices(parameter)
        for option, parameter in sources.options(name.partition("/")[0]).items()
    }
    files = tuple(
        FileAvailability(file.name, None if path is None else str(path), file.urls, file.checksum)
        for file, path in paths.items()
    )
    return Availability(
        name,
        source.description,
        source.sizes,
        source.event_shape,
        source.values,
        source.licence,
        options,
        not missing,
        where,
        files,
        source.remedy,
    )


def _choices(parameter: Any) -> tuple[str, ...]:
    """The choices of an option, the default first."""
    return (
        parameter.default,
        *(choice for choice in parameter.annotation.__args__ if choice != parameter.default),
    )
