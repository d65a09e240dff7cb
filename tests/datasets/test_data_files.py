"""Where files lie: the data directory, JENSEN_DATA, the cache, a download; and nothing with a wrong checksum passes."""

import functools
import gzip
import hashlib
import http.server
import struct
import threading
from dataclasses import replace

import numpy as np
import pytest
from _miniatures import binary_text, bits

from jensen.datasets import PinnedFile, StaticMNIST, density, load_dataset
from jensen.datasets._files import find_locally, locate
from jensen.datasets._published_formats import read_idx
from jensen.datasets.mnist import MNIST

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)


def idx_gz(array):
    return gzip.compress(
        struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes(),
        mtime=0,
    )


CONTENT = idx_gz(IMAGES)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A directory whose files are served on loopback, and the url of that directory."""
    for proxy in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(proxy, "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(folder))
    ) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("JENSEN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "cache"


def pinned(url="", content=CONTENT, name="images.gz"):
    return PinnedFile(
        name, hashlib.sha256(content).hexdigest(), (url + name,) if url else (), len(content)
    )


def test_download_with_the_pinned_checksum(served, cache):
    folder, url = served
    (folder / "images.gz").write_bytes(CONTENT)
    path = locate(pinned(url), "mini", cache=cache)
    assert path == cache / "mini" / "images.gz"
    assert np.array_equal(read_idx(path), IMAGES)
    (folder / "images.gz").unlink()
    assert locate(pinned(url), "mini", cache=cache) == path


def test_download_goes_to_the_users_cache_by_default(served, tmp_path):
    folder, url = served
    (folder / "images.gz").write_bytes(CONTENT)
    assert np.array_equal(read_idx(locate(pinned(url), "mini")), IMAGES)
    assert (tmp_path / "home" / "jensen" / "mini" / "images.gz").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "wrong", [CONTENT[:-7], idx_gz(IMAGES + 1)], ids=["truncated", "other values"]
)
def test_download_with_a_wrong_checksum_is_refused_and_leaves_nothing(served, cache, wrong):
    folder, url = served
    (folder / "images.gz").write_bytes(wrong)
    with pytest.raises(
        OSError,
        match=r"images.gz of mini was not found in .*mini/images.gz, images.gz\), and downloading it failed .*hash.*data_dir= .--data-dir",
    ):
        locate(pinned(url), "mini", cache=cache)
    assert not [p for p in cache.rglob("*") if p.is_file()]


def test_the_second_url_is_tried_when_the_first_fails(served, cache):
    folder, url = served
    (folder / "images.gz").write_bytes(CONTENT)
    file = replace(pinned(url), urls=(url + "absent/images.gz", url + "images.gz"))
    assert locate(file, "mini", cache=cache).read_bytes() == CONTENT


def test_a_failed_download_names_file_places_and_remedy(served, cache, tmp_path):
    _, url = served
    with pytest.raises(
        OSError,
        match=rf"images.gz of mini was not found in {tmp_path} or {cache} \(looked for as mini/.*\).*{url}images.gz: .*404.*data_dir= .--data-dir. or",
    ):
        locate(pinned(url), "mini", data_dir=tmp_path, cache=cache)
    with pytest.raises(
        ValueError,
        match=r"not found in .*, and it is not downloaded. Ask the author. Put it into .*, or name another by data_dir= .--data-dir. or JENSEN",
    ):
        locate(pinned(), "mini", cache=cache, remedy="Ask the author.")


def test_a_named_data_set_reports_a_failed_download(served, monkeypatch):
    _, url = served
    monkeypatch.setattr(
        MNIST, "files", tuple(replace(file, urls=(url + file.name,)) for file in MNIST.files)
    )
    with pytest.raises(OSError, match=r"train-images-idx3-ubyte.gz of mnist was not found .*404"):
        load_dataset("mnist")


def test_a_named_data_set_is_downloaded_once_and_verified_by_md5(served, monkeypatch, tmp_path):
    folder, url = served
    parts = [bits(i, rows, 784) for i, rows in enumerate((4, 2, 3))]
    files = []
    for file, part in zip(StaticMNIST.files, parts):
        (folder / file.name).write_bytes(content := binary_text(part, " "))
        files.append(
            replace(
                file, checksum=f"md5:{hashlib.md5(content).hexdigest()}", urls=(url + file.name,)
            )
        )
    monkeypatch.setattr(StaticMNIST, "files", tuple(files))
    monkeypatch.setattr(StaticMNIST, "sizes", (4, 2, 3))
    data = load_dataset("static_mnist")
    assert np.array_equal(data.test.reshape(-1, 784), parts[2])
    (folder / files[0].name).unlink()
    assert load_dataset("static_mnist").fingerprint("train") == data.fingerprint("train")
    cached = tmp_path / "home" / "jensen" / "static_mnist" / files[1].name
    cached.write_bytes(cached.read_bytes()[:-10])
    with pytest.raises(
        ValueError,
        match=r"binarized_mnist_valid.amat .* has md5 .*truncated or another version. Remove it, and it is downloaded again",
    ):
        load_dataset("static_mnist")


def test_a_member_of_a_family_is_downloaded_into_its_own_folder(served, monkeypatch, tmp_path):
    folder, url = served
    parts = [bits(i, rows, 3) for i, rows in enumerate((4, 2, 3))]
    monkeypatch.setitem(density._TABLES, "nltcs", ("mini", 3, 4, 2, 3))
    monkeypatch.setattr(density, "_ADDRESS", url.rstrip("/"))
    (folder / "nltcs").mkdir()
    for part, name in zip(parts, ("train", "valid", "test")):
        (folder / "nltcs" / f"nltcs.{name}.data").write_bytes(binary_text(part))
    with pytest.raises(OSError, match=r"nltcs.train.data of density/nltcs was not found .*hash"):
        load_dataset("density/nltcs")
    monkeypatch.setitem(
        density._CHECKSUMS,
        "nltcs",
        tuple(hashlib.sha256(binary_text(part)).hexdigest() for part in parts),
    )
    assert np.array_equal(load_dataset("density/nltcs").validation, parts[1])
    assert (tmp_path / "home" / "jensen" / "density" / "nltcs" / "nltcs.train.data").is_file()


@pytest.mark.parametrize("folder", ["mini", "."])
@pytest.mark.parametrize("how", ["argument", "environment", "cache"])
def test_local_files_are_found(tmp_path, monkeypatch, folder, how):
    place = tmp_path / "mine" / folder
    place.mkdir(parents=True)
    (place / "images.gz").write_bytes(CONTENT)
    if how == "environment":
        monkeypatch.setenv("JENSEN_DATA", str(tmp_path / "mine"))
    options = {
        "argument": {"data_dir": tmp_path / "mine", "cache": tmp_path / "c"},
        "environment": {"cache": tmp_path / "c"},
    }
    assert np.array_equal(
        read_idx(locate(pinned(), "mini", **options.get(how, {"cache": tmp_path / "mine"}))), IMAGES
    )


def test_the_argument_comes_before_the_environment_and_the_folder_before_its_parent(
    tmp_path, monkeypatch
):
    for place in ("env/mini", "arg/mini", "arg"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / "images.gz").write_bytes(CONTENT)
    monkeypatch.setenv("JENSEN_DATA", str(tmp_path / "env"))
    assert (
        find_locally(pinned(), "mini", data_dir=tmp_path / "arg")
        == tmp_path / "arg" / "mini" / "images.gz"
    )
    assert find_locally(pinned(), "mini") == tmp_path / "env" / "mini" / "images.gz"
    assert find_locally(pinned(name="other.gz"), "mini") is None


def test_a_truncated_local_file_is_refused(tmp_path):
    (tmp_path / "images.gz").write_bytes(CONTENT[:-5])
    with pytest.raises(
        ValueError,
        match=rf"images.gz \({len(CONTENT) - 5} bytes\) has sha256 .* truncated or another version. Remove it",
    ):
        locate(pinned(), "mini", data_dir=tmp_path)


def test_a_data_directory_that_does_not_exist_is_refused(tmp_path, monkeypatch):
    with pytest.raises(
        ValueError,
        match=r"data directory '.*nowhere' is not a directory; create it, or name another by data_dir= .--data-dir",
    ):
        locate(pinned(), "mini", data_dir=tmp_path / "nowhere")
    monkeypatch.setenv("JENSEN_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"the JENSEN_DATA '.*nowhere' is not a directory"):
        locate(pinned(), "mini")


@pytest.mark.parametrize("array", [IMAGES, IMAGES[:, 0, 0], np.zeros((0, 3), np.uint8)])
def test_idx_files_of_every_rank_round_trip(tmp_path, array):
    (tmp_path / "a.gz").write_bytes(idx_gz(array))
    assert np.array_equal(read_idx(tmp_path / "a.gz"), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT[:-9], "no complete gzip file"),
        (b"plain text", "no complete gzip file"),
        (
            gzip.compress(b"\0\0\x0d\x01\0\0\0\0", mtime=0),
            "no idx file of unsigned bytes: it starts with 00 00 0d 01",
        ),
        (gzip.compress(b"", mtime=0), "starts with nothing"),
        (gzip.compress(b"\0\0\x08\x03\0\0", mtime=0), "no idx file"),
        (
            gzip.compress(gzip.decompress(CONTENT)[:-1], mtime=0),
            r"holds 59 values, but its header promises \(5, 4, 3\), that is 60",
        ),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, content, message):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(tmp_path / "a.gz")
