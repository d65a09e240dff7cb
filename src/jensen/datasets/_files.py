"""Where the files of named data sets lie: a data directory, else a download with a pinned checksum into the user's cache."""

import os
from pathlib import Path

from jensen._rooms import file_digest
from jensen.datasets._source import PinnedFile


def find_locally(file: PinnedFile, dataset: str, *, data_dir: str | Path | None = None, cache: str | Path | None = None) -> Path | None:
    """The path of `file` if it lies in the data directory or in the cache, as <dir>/<dataset>/<file> or <dir>/<file>; None if it lies in neither.

    Args:
        file: which file.
        dataset: the data set's name.
        data_dir: where to look first; else the environment variable JENSEN_DATA; else only the cache is looked in.
        cache: the directory of downloads; by default the user's cache directory for jensen.

    Raises:
        ValueError: the data directory named does not exist.

        find_locally(MNIST.files[0], "mnist", data_dir="~/data")
    """
    candidates = (place for directory in _directories(data_dir, cache) for place in (directory / dataset / file.name, directory / file.name))
    return next((place for place in candidates if place.is_file()), None)


def locate(file: PinnedFile, dataset: str, *, data_dir: str | Path | None = None, cache: str | Path | None = None) -> Path:
    """A local path of `file`, whose sha256 was verified: found by `find_locally` or downloaded into <cache>/<dataset>/.

    Raises:
        ValueError: a data directory that does not exist, or a file found whose checksum is not the pinned one (truncated, or another version).
        OSError: no url gave the file.

        locate(MNIST.files[0], "mnist")
    """
    found = find_locally(file, dataset, data_dir=data_dir, cache=cache)
    if found is None:
        return _download(file, dataset, _directories(data_dir, cache))
    digest = file_digest(found)
    if digest != file.sha256:
        raise ValueError(
            f"{found} ({found.stat().st_size} bytes) has sha256 {digest}, but {file.name} of {dataset} has {file.sha256} ({file.size} bytes): "
            "it is truncated or another version. Remove it, and it is downloaded again, or put the right file there."
        )
    return found


def _directories(data_dir: str | Path | None, cache: str | Path | None) -> list[Path]:
    named, origin = (data_dir, "data directory") if data_dir is not None else (os.environ.get("JENSEN_DATA") or None, "JENSEN_DATA")
    directories = [Path(cache) if cache is not None else _user_cache()]
    if named is not None:
        directory = Path(named).expanduser()
        if not directory.is_dir():
            raise ValueError(f"the {origin} {str(named)!r} is not a directory; create it, or name another by --data-dir or JENSEN_DATA.")
        directories.insert(0, directory)
    return directories


def _user_cache() -> Path:
    import pooch

    return Path(pooch.os_cache("jensen"))


def _download(file: PinnedFile, dataset: str, directories: list[Path]) -> Path:
    import pooch

    failures = []
    for url in file.urls:
        try:
            return Path(pooch.retrieve(url, known_hash=f"sha256:{file.sha256}", fname=file.name, path=directories[-1] / dataset))
        # pooch and requests raise OSError for the network and the disk, ValueError for a wrong checksum or url.
        except (OSError, ValueError) as error:
            failures.append(f"{url}: {type(error).__name__}: {error}")
    raise OSError(
        f"{file.name} of {dataset} was not found in {' or '.join(str(d / dataset) for d in directories)}, and downloading it failed "
        f"({'; '.join(failures) or 'no url is known'}). Get the file by other means and name its directory by --data-dir or JENSEN_DATA."
    )
