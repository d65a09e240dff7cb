"""Readers of published forms: what was written is read again, and what is damaged is refused with file, reason and remedy."""

import gzip

import numpy as np
import pytest
from _miniatures import binary_text, bits, mat

from jensen.datasets._published_formats import read_binary_text, read_mat

TABLE = bits(0, 7, 5)


@pytest.mark.parametrize("name", ["t.data", "t.data.gz"])
@pytest.mark.parametrize(("separator", "end"), [(",", "\n"), (" ", " \n"), (", ", "\r\n")])
def test_binary_text_is_read_as_written(tmp_path, name, separator, end):
    content = binary_text(TABLE, separator, end)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert np.array_equal(read_binary_text(tmp_path / name), TABLE)


def test_the_last_line_may_lack_its_end(tmp_path):
    (tmp_path / "t.data").write_bytes(binary_text(TABLE).rstrip())
    assert np.array_equal(read_binary_text(tmp_path / "t.data"), TABLE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            binary_text(TABLE)[:-6],
            r"t.data, line 7 holds 2 values, but line 1 holds 5; it is truncated or damaged",
        ),
        (b"0,1\n0,1,1\n", r"line 2 holds 3 values, but line 1 holds 2"),
        (b"0,1\n\n0,1\n", r"line 2 holds 0 values"),
        (b"0,1\n1,2\n", r"line 2: '2' is neither 0 nor 1.*remove it and fetch it again"),
        (b"0,1\n1,0.5\n", r"line 2: '0.5' is neither"),
        (b"10,1\n1,0\n", r"line 1: '10' is neither"),
        (b"<!DOCTYPE html>\n<html>10</html>", r"line 1: '<!DOCTYPE' is neither"),
        (b"\xef\xbb\xbf0,1\n", r"line 1: .* is neither"),
        (b"", r"holds no 0 or 1; it should be a table of them"),
        (b"\n\n", r"holds no 0 or 1"),
    ],
)
def test_damaged_binary_text_is_refused(tmp_path, content, message):
    (tmp_path / "t.data").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_binary_text(tmp_path / "t.data")


def test_a_truncated_gzip_file_is_refused(tmp_path):
    (tmp_path / "t.data.gz").write_bytes(gzip.compress(binary_text(TABLE))[:-6])
    with pytest.raises(ValueError, match=r"t.data.gz is no complete gzip file .*fetch it again"):
        read_binary_text(tmp_path / "t.data.gz")


def test_mat_arrays_are_read_as_written(tmp_path):
    path = mat(tmp_path / "a.mat", data=TABLE / 4, other=np.array(["text"], object))
    assert np.array_equal(read_mat(path, {"data": (7, 5)})["data"], TABLE / 4)


def test_mat_files_that_are_something_else_are_refused(tmp_path):
    path = mat(
        tmp_path / "a.mat", data=TABLE, text="no numbers", cells=np.array([[1, "a"]], object)
    )
    for key, shape, message in [
        (
            "data",
            (5, 7),
            r"a.mat: 'data' has shape \(7, 5\), but it should have \(5, 7\); this is another file",
        ),
        (
            "absent",
            (1,),
            r"should hold numbers called 'absent', but it is missing; this is another file. Remove it and fetch the right one",
        ),
        ("text", (1,), r"should hold numbers called 'text', but it is <U10"),
        ("cells", (1, 2), r"should hold numbers called 'cells', but it is object"),
    ]:
        with pytest.raises(ValueError, match=message):
            read_mat(path, {key: shape})


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_mat_file_is_refused(tmp_path, keep):
    path = mat(tmp_path / "a.mat", data=np.random.default_rng(0).normal(size=(50, 20)))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(
        ValueError,
        match=r"a.mat could not be read .*truncated or damaged: remove it and fetch it again",
    ):
        read_mat(path, {"data": (50, 20)})


@pytest.mark.parametrize(
    "content", [b"", b"<html>no such page</html>" * 20, b"MATLAB 5.0 MAT-file"]
)
def test_what_is_no_mat_file_is_refused_before_it_is_parsed(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"a.mat is no MATLAB 5 file: it starts with "):
        read_mat(tmp_path / "a.mat", {"data": (1,)})
