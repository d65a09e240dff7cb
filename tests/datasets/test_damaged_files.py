"""Files that lie about what they hold are refused by their headers, before anything is allocated or
unpacked, and nothing is ever unpickled."""

import io
import struct
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from jensen.datasets import _memory, load_dataset, load_rows

X = np.arange(60.0).reshape(20, 3)


def npy(shape="(20, 3)", dtype="'<f8'", values=None, version=1, header=None):
    text = header or f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}"
    body = text.encode() + b"\n"
    values = X.tobytes() if values is None else values
    size = struct.pack("<H" if version == 1 else "<I", len(body))
    return b"\x93NUMPY" + bytes([version, 0]) + size + body + values


def npz(content=None, name="x.npy", method=zipfile.ZIP_DEFLATED, **change):
    """An archive of one member, with entries of its directory changed after it was written."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, npy() if content is None else content)
    raw = bytearray(buffer.getvalue())
    entry = raw.index(b"PK\x01\x02")
    for field, value in change.items():
        at, form = {"flags": (8, "<H"), "packed": (20, "<I"), "size": (24, "<I")}[field]
        struct.pack_into(form, raw, entry + at, value)
    return bytes(raw)


def several(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


CASES = {
    "a huge shape": (
        "a.npy",
        npy("(10**9, 10**9)".replace("10**9", "1000000000")),
        "but 480 follow",
    ),
    "a huge header": ("a.npy", npy(version=2)[:8] + b"\xff\xff\xff\xff{", "header is damaged"),
    "a negative shape": ("a.npy", npy("(-20, 3)"), r"claims the shape \(-20, 3\)"),
    "nested deeply": ("a.npy", npy("(" * 4000 + ")" * 4000), "its header is damaged"),
    "nested more deeply": ("a.npy", npy("-" * 9000 + "1"), "its header is damaged"),
    "no literal": ("a.npy", npy("__import__('os')"), "its header is damaged"),
    "an unknown version": ("a.npy", npy(version=9), r"format version \(9, 0\) is not one"),
    "an unknown dtype": ("a.npy", npy(dtype="'<q9'"), "its header is damaged"),
    "objects": ("a.npy", npy(dtype="'|O'"), "holds Python objects, which are never unpickled"),
    "fields": (
        "a.npy",
        npy("(20,)", "[('a', '<f8'), ('b', '<f8'), ('c', '<f8')]"),
        "structured dtype",
    ),
    "text": ("a.npy", npy("(5, 3)", "'<U8'"), "dtype <U8; only real numbers"),
    "no numbers at all": ("a.npy", npy("(20, 3)", "'<U0'", b""), "only real numbers"),
    "a zip bomb": (
        "a.npz",
        npz(npy("(1000000000,)", values=b""), size=2**32 - 100),
        "is impossible",
    ),
    "a shape beyond its bytes": ("a.npz", npz(npy("(1000000000, 3)")), "claims an array of shape"),
    "bytes beyond its shape": ("a.npz", npz(npy() + b"12345678"), "480 bytes, but holds 488"),
    "encrypted": ("a.npz", npz(flags=1), "it is encrypted; .*without a password"),
    "LZMA": ("a.npz", npz(method=zipfile.ZIP_LZMA), "compressed by lzma; .*savez_compressed"),
    "bzip2": ("a.npz", npz(method=zipfile.ZIP_BZIP2), "compressed by bzip2; .*savez_compressed"),
    "no arrays": ("a.npz", npz(b"text", "notes.txt"), r"holds no arrays; write it with np.savez"),
    "a wrong checksum": ("a.npz", npz(method=zipfile.ZIP_STORED)[:-200], "could not be read"),
    "a member that is no array": ("a.npz", npz(b"text"), r"it is no NumPy file"),
    "a pickle": ("a.npz", several(x=np.array([{}], dtype=object)), "'x' cannot be read: .*objects"),
    "parquet": ("a.parquet", b"PAR1" + b"\x00" * 50 + b"PAR1", "could not be read as .parquet"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_lies_about_itself_is_refused(tmp_path, case):
    name, content, message = CASES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_dataset(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) or "structured" in message or "only" in message


def test_every_damaged_byte_of_a_small_archive_is_a_refusal_or_changes_nothing(tmp_path):
    whole, path, messages = npz(), tmp_path / "a.npz", []
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            values = load_rows(path).values
        except ValueError as error:
            messages.append(str(error))
        else:
            assert np.array_equal(values, X.astype(np.float32))
    assert len(messages) > 20
    assert all(str(path) in message for message in messages)


def test_more_than_the_memory_is_refused_by_its_size(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", X)
    np.savez(tmp_path / "b.npz", x=X)
    pa.parquet.write_table(pa.table({"x": X[:, 0]}), tmp_path / "c.parquet")
    np.savetxt(tmp_path / "d.csv", X, delimiter=",")
    monkeypatch.setattr(_memory, "physical_memory", lambda: 100)
    for name in ("a.npy", "b.npz", "c.parquet", "d.csv"):
        with pytest.raises(
            ValueError,
            match=rf"{name}.*, which takes .*, and this machine has 100 bytes of memory; take fewer",
        ):
            load_rows(tmp_path / name)


def test_an_allocation_that_fails_names_the_file_and_the_remedy(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", X)

    def fails(arrays):
        raise MemoryError("Unable to allocate 9.00 GiB")

    monkeypatch.setattr("jensen.datasets._user.to_storage", fails)
    for load in (load_rows, load_dataset):
        with pytest.raises(
            ValueError,
            match=r"a.npy does not fit into the memory .*Unable to allocate 9.00 GiB.*fewer rows",
        ):
            load(tmp_path / "a.npy")
