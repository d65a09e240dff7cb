"""Finds the files of named data sets: in a data directory, or by a download with a pinned checksum
into the user's cache.
"""

import gzip
import hashlib
import os
import zlib
from pathlib import Path

from jensen.datasets._source import PinnedFile


def find_locally(
    file: PinnedFile,
    dataset: str,
    *,
    data_dir: str | Path | None = None,
    cache: str | Path | None = None,
) -> Path | None:
    """Looks for `file` in the data directory and in the cache, as <dir>/<dataset>/<file> or in one
    of the file's own folders; None if it is in neither.

    Args:
        file: which file.
        dataset: the data set's name.
        data_dir: the directory to search first; by default the environment variable JENSEN_DATA,
            and without it only the cache.
        cache: the directory of downloads; by default the user's cache directory for jensen.

    Raises:
        ValueError: the data directory named does not exist.

        find_locally(MNIST.files[0], "mnist", data_dir="~/data")
    """
    names = (file.name, f"{file.name}.gz") if file.gzipped else (file.name,)
    folders = (dataset, *file.folders)
    candidates = (
        directory / folder / name
        for directory in _directories(data_dir, cache)
        for folder in folders
        for name in names
    )
    return next((place for place in candidates if place.is_file()), None)


def locate(
    file: PinnedFile,
    dataset: str,
    *,
    data_dir: str | Path | None = None,
    cache: str | Path | None = None,
    remedy: str = "",
) -> Path:
    """Finds `file` locally or downloads it into <cache>/<dataset>/, verifies its checksum if it has
    one, and returns its path.

    Args:
        file, dataset, data_dir, cache: as for `find_locally`.
        remedy: how to get the file, for the message if it is missing and cannot be downloaded.

    Raises:
        ValueError: a data directory that does not exist, a file whose checksum is not the pinned
            one (truncated, or another version), or a file that is missing and cannot be
            downloaded.
        OSError: the download failed from every url.

        locate(MNIST.files[0], "mnist")
    """
    path = find_locally(file, dataset, data_dir=data_dir, cache=cache)
    if path is None:
        directories = _directories(data_dir, cache)
        if not file.downloadable:
            raise ValueError(
                f"{file.name} of {dataset} was not found in "
                f"{_places(file, dataset, directories)}, and it is not downloaded. "
                f"{remedy}{' ' if remedy else ''}"
                "Put it into one of these directories, or name another by data_dir= "
                "(--data-dir) or JENSEN_DATA."
            )
        return _download(file, dataset, directories)
    if file.checksum is not None:
        _verify(path, file, dataset)
    return path


def read_bytes(path: Path) -> bytes:
    """Reads the bytes of a file, unpacked if its name ends in .gz.

    Raises:
        ValueError: no complete gzip file.

        read_bytes(Path("nltcs.train.data.gz"))[:3]  # b"0,0"
    """
    raw = path.read_bytes()
    if path.suffix != ".gz":
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path} is no complete gzip file ({error}); remove it and fetch it again."
        ) from error


def _verify(path: Path, file: PinnedFile, dataset: str) -> None:
    assert file.checksum is not None
    algorithm, _, expected = file.checksum.rpartition(":")
    algorithm = algorithm or "sha256"
    # gzip does not give the same bytes twice. So a file that may come gzipped is pinned by its
    # unpacked content, one that is always gzipped by its own bytes.
    content = read_bytes(path) if file.gzipped else path.read_bytes()
    digest = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if digest == expected:
        return
    size = "" if file.size is None else f" ({file.size} bytes)"
    remedy = (
        "and it is downloaded again, or put the right file there"
        if file.downloadable
        else "and put the right file there"
    )
    raise ValueError(
        f"{path} ({len(content)} "
        f"bytes{' unpacked' if file.gzipped and path.suffix == '.gz' else ''}) has {algorithm} "
        f"{digest}, but {file.name} of {dataset} "
        f"has {expected}{size}: it is truncated or another version. Remove it, {remedy}."
    )


def _directories(data_dir: str | Path | None, cache: str | Path | None) -> list[Path]:
    named, origin = (
        (data_dir, "data directory")
        if data_dir is not None
        else (os.environ.get("JENSEN_DATA") or None, "JENSEN_DATA")
    )
    directories = [Path(cache) if cache is not None else _user_cache()]
    if named is not None:
        directory = Path(named).expanduser()
        if not directory.is_dir():
            raise ValueError(
                f"the {origin} {str(named)!r} is not a directory; create it, or name another by "
                "data_dir= (--data-dir) or JENSEN_DATA."
            )
        directories.insert(0, directory)
    return directories


def _user_cache() -> Path:
    import pooch

    return Path(pooch.os_cache("jensen"))


def _places(file: PinnedFile, dataset: str, directories: list[Path]) -> str:
    names = ", ".join((Path(folder) / file.name).as_posix() for folder in (dataset, *file.folders))
    return (
        f"{' or '.join(map(str, directories))} (looked for as "
        f"{names}{'; or with .gz' if file.gzipped else ''})"
    )


def _download(file: PinnedFile, dataset: str, directories: list[Path]) -> Path:
    import pooch

    failures = []
    for url in file.urls:
        try:
            return Path(
                pooch.retrieve(
                    url, known_hash=file.checksum, fname=file.name, path=directories[-1] / dataset
                )
            )
        # pooch and requests raise OSError for the network and the disk, ValueError for a wrong
        # checksum or url.
        except (OSError, ValueError) as error:
            failures.append(f"{url}: {type(error).__name__}: {error}")
    raise OSError(
        f"{file.name} of {dataset} was not found in {_places(file, dataset, directories)}, and "
        f"downloading it failed ({'; '.join(failures)}). "
        "Get the file by other means and name its directory by data_dir= (--data-dir) or "
        "JENSEN_DATA."
    )
