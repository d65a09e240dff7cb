"""Tables as spreadsheets and other libraries write them: no row is added or lost, an index is no
data, and what was assumed is told."""

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.sparse

from jensen.datasets import load_dataset, load_rows

TABLE = np.random.default_rng(3).normal(50, 1, size=(30, 3))


def frame(columns=3, **options):
    return pd.DataFrame(TABLE[:, :columns], **options)


def csv(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("columns", [1, 2, 3])
@pytest.mark.parametrize("index", [False, True])
def test_positions_that_pandas_writes_are_a_header(tmp_path, columns, index):
    frame(columns).to_csv(tmp_path / "t.csv", index=index)
    rows = load_rows(tmp_path / "t.csv")
    assert np.array_equal(rows.values, TABLE[:, :columns].astype(np.float32))
    assert "the first row was read as a header" in rows.notes
    assert list(rows.names) == (["index"] if index else [])


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("0,1,2\n" + "1,0,1\n" * 5, 5),  # 2 is no value of this table
        ("3,5\n" + "1,2\n" * 5, 6),
        ("0.0,1.0\n" + "5,5\n" * 5, 6),
        ("1,0\n" + "0,1\n" * 5, 6),
        ("-1,2\n" + "0.5,1.5\n" * 5, 6),
        ("3,5\n", 1),
        ("1,2\n" + "true,1\n" * 5, 6),
    ],
)
def test_a_row_of_numbers_that_leaves_no_doubt(tmp_path, text, rows):
    assert len(load_rows(csv(tmp_path, text))) == rows


@pytest.mark.parametrize(
    "text",
    [
        "0,1,2,3\n" + "4,5,6,7\n" * 5,
        "0\n" + "1\n" * 5,
        "0,1\n" + "1,1\n" * 5,
        "2019,2020\n" + "0.5,1.5\n" * 5,
        "2019,2020\n" + "3,5\n" * 5,
        "0,1\n",
    ],
)
def test_a_row_of_numbers_that_may_be_a_header_is_asked_about(tmp_path, text):
    path = csv(tmp_path, text)
    with pytest.raises(
        ValueError,
        match=r"t.csv: the first row, .*, may be a header or a datum; decide by header=True or "
        r"header=False \(--set data.header=true or false\)",
    ):
        load_rows(path)
    body = np.loadtxt(path, delimiter=",", ndmin=2)
    assert np.array_equal(load_rows(path, header=False).values, body)
    if len(body) > 1:
        assert np.array_equal(load_rows(path, header=True).values, body[1:])


FORMS = {
    "semicolons, decimal commas": ("x;y\n{0},5;2,25\n", ["semicolons", "decimal mark is a comma"]),
    "semicolons, decimal points": ("x;y\n{0}.5;2.25\n", ["semicolons"]),
    "tabs": ("x\ty\n{0}.5\t2.25\n", ["tabs"]),
    "tabs, decimal commas": ("{0},5\t2,25\n", ["tabs", "decimal mark is a comma"]),
    "blanks": ("x y\n {0}.5   2.25\n", ["blanks"]),
    "blanks, decimal commas": ("{0},5 2,25\n", ["blanks", "decimal mark is a comma"]),
    "commas and blanks": ("x, y\n{0}.5, 2.25\n", []),
    "bars": ("x|y\n{0}.5|2.25\n", ["'|'"]),
    "a spreadsheet's separator": ("sep=;\nx;y\n{0},5;2,25\n", ["semicolons"]),
    "numpy.savetxt": ("# x y\n{0}.5 2.25\n", ["blanks", "first row was read as a header"]),
    "comments": ("# made by hand\n# x,y\n{0}.5,2.25\n", ["1 lines of comment"]),
    "quoted": ('"x","y"\n"{0}.5","2.25"\n', ["first row was read as a header"]),
}


@pytest.mark.parametrize("form", FORMS)
def test_separators_and_decimal_marks_are_found_and_told(tmp_path, form):
    text, told = FORMS[form]
    head, _, row = text.rstrip("\n").rpartition("\n")
    lines = [*([head] if head else []), *(row.format(i) for i in range(20))]
    rows = load_rows(csv(tmp_path, "\n".join(lines) + "\n"))
    assert rows.values.tolist() == [[i + 0.5, 2.25] for i in range(20)]
    for words in told:
        assert any(words in note for note in rows.notes), rows.notes
    assert ("decimal mark is a comma" in " ".join(rows.notes)) == (",5" in text)


def test_one_column_of_decimal_commas_is_no_two_columns(tmp_path):
    rows = load_rows(csv(tmp_path, "x\n" + "".join(f"{i},5\n" for i in range(9))))
    assert rows.values.ravel().tolist() == [i + 0.5 for i in range(9)]
    assert load_rows(csv(tmp_path, "1,5\n2,5\n")).values.tolist() == [[1, 5], [2, 5]]
    for ragged in ("a,b\n1,2\n3\n", "1,5\n2\n3,5\n"):
        with pytest.raises(ValueError, match=r"row [23] has 1 fields, but the first has 2"):
            load_rows(csv(tmp_path, ragged))


def test_decimal_commas_beside_points_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no numbers in 'b'"):
        load_rows(csv(tmp_path, "a;b\n1.5;2,5\n2.5;3,5\n"))


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "latin-1", "utf-32", "utf-8-sig"])
def test_encodings(tmp_path, encoding):
    text = "größe,b\n" + "".join(f"{i}.5,2\n" for i in range(20))
    rows = load_rows(csv(tmp_path, text, encoding))
    assert rows.values.tolist() == [[i + 0.5, 2] for i in range(20)]
    assert any(note.startswith("the encoding") for note in rows.notes) == (encoding != "utf-8-sig")
    assert load_dataset(tmp_path / "t.csv").columns == ("größe", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,2\n3,4\n".encode("utf-16-le"), "holds NUL bytes.*UTF-16 without its mark.*UTF-8"),
        (b"\xff\xfe1", "starts as UTF-16 but is none.*save it in the encoding UTF-8"),
        (b"\x1f\x8b\x08\x00", "is compressed by gzip; unpack it"),
        (b"PK\x03\x04\x00", "is a workbook or an archive.*save the sheet as CSV"),
        (b"\n\n\n", "holds no rows"),
        (b"<!DOCTYPE html>\n<html></html>", "is HTML or XML, not a table"),
        (b'{"a": [1, 2]}', "is JSON, not a table"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=f"t.csv.*{message}"):
        load_rows(tmp_path / "t.csv")


def test_an_empty_line_in_one_column_is_a_missing_value(tmp_path):
    with pytest.raises(ValueError, match=r"1 values .*first at index \(2, 0\) \(column 'a'\)"):
        load_rows(csv(tmp_path, "a\n1.5\n2.5\n\n4.5\n"))


def test_lines_that_end_in_a_separator_make_no_column(tmp_path):
    rows = load_rows(csv(tmp_path, "a,b,\n1,2,\n3,4,\n"))
    assert rows.values.tolist() == [[1, 2], [3, 4]]
    assert "an empty column without a name was left out" in rows.notes
    with pytest.raises(ValueError, match=r"the column '' \(position 2\) has no name"):
        load_rows(csv(tmp_path, "a,b,\n1,2,\n3,4,5\n"))


def test_what_is_no_number_is_shown(tmp_path):
    with pytest.raises(ValueError, match=r"no numbers in 'a' \(row 2: 'Total'\)"):
        load_rows(csv(tmp_path, "a,b\n1,2\n3,4\nTotal,6\n"))
    with pytest.raises(ValueError, match=r"no numbers in 'a', 'b' \(row 0: '1,234.5'\)"):
        load_rows(csv(tmp_path, 'a,b\n"1,234.5","2,000"\n'))


def test_missing_values_name_their_column(tmp_path):
    for missing in ("", "NA", "nan", "NULL", "None", "?", "<NA>"):
        with pytest.raises(ValueError, match=r"index \(1, 1\) \(column 'b'\)"):
            load_rows(csv(tmp_path, f"a,b\n1,2\n3,{missing}\n"))
    with pytest.raises(ValueError, match=r"index \(0, 0\) \(column 'dose'\)"):
        load_rows(pd.DataFrame({"dose": [None, 1.5], "n": [1, 2]}).convert_dtypes())


@pytest.mark.parametrize("form", ["csv", "parquet", "frame"])
@pytest.mark.parametrize("name", ["sample_id", None])
@pytest.mark.parametrize("kind", ["text", "numbers"])
def test_an_index_is_no_data(tmp_path, form, name, kind):
    ids = [f"s{i}" for i in range(30)] if kind == "text" else np.arange(30) * 7 + 3
    table = frame(columns=3, index=pd.Index(ids, name=name)).rename(columns=str)
    source = table if form == "frame" else tmp_path / f"t.{form}"
    if form != "frame":
        getattr(table, f"to_{form}")(source)
    # A named index is a column like any other in a .csv: only the user can tell.
    options = {"index": name} if form == "csv" and name else {}
    rows = load_rows(source, **options)
    assert np.array_equal(rows.values, TABLE.astype(np.float32))
    assert rows.names[name or "index"].tolist() == list(ids)
    assert list(rows.columns()) == ["row", name or "index"]
    data = load_dataset(source, **options)
    for split in ("train", "validation", "test", "all"):
        taken = data.take(split)
        assert taken.names[name or "index"].tolist() == [ids[i] for i in taken.numbers]
        assert np.array_equal(taken.values, TABLE.astype(np.float32)[taken.numbers])


def test_rows_that_pandas_counts_from_elsewhere_keep_their_numbers(tmp_path):
    frame().iloc[10:20].rename(columns=str).to_parquet(tmp_path / "t.parquet")
    assert load_rows(tmp_path / "t.parquet").names["index"].tolist() == list(range(10, 20))
    assert load_rows(frame().iloc[10:20]).names["index"].tolist() == list(range(10, 20))
    assert load_rows(frame()).names == {}
    two = frame(index=pd.MultiIndex.from_product([["a", "b", "c"], range(10)], names=["g", None]))
    assert list(load_rows(two).names) == ["g", "index1"]


def test_an_index_without_the_metadata_of_pandas(tmp_path):
    table = pa.table({"a": range(20), "__index_level_0__": range(20, 40)})
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    rows = load_rows(tmp_path / "a.parquet")
    assert rows.values.ravel().tolist() == list(range(20))
    assert rows.names["index"].tolist() == list(range(20, 40))


def test_a_column_chosen_as_index_and_a_column_chosen_as_data(tmp_path):
    path = csv(tmp_path, "id,a,b\n" + "".join(f"x{i},{i},{2 * i}\n" for i in range(9)))
    with pytest.raises(
        ValueError, match=r"no numbers in 'id' \(row 0: 'x0'\); choose .*index=NAME"
    ):
        load_rows(path)
    rows = load_rows(path, index="id")
    assert rows.values.tolist() == [[i, 2 * i] for i in range(9)]
    assert rows.names["id"].tolist() == [f"x{i}" for i in range(9)]
    assert load_rows(path, index=0, columns=["b"]).values.tolist() == [[2 * i] for i in range(9)]
    with pytest.raises(ValueError, match="no column is called 'ID'; columns: 'id', 'a', 'b'"):
        load_rows(path, index="ID")


NUMBERS = pd.DataFrame(
    {"age": [31, 45, 52], "dose": [0.5, 1.25, 2.0], "smoker": [True, False, True]}
)
EXPECTED = [[31, 0.5, 1], [45, 1.25, 0], [52, 2, 1]]


@pytest.mark.parametrize(
    "table",
    [
        NUMBERS,
        NUMBERS.convert_dtypes(),
        NUMBERS.convert_dtypes(dtype_backend="pyarrow"),
        NUMBERS.astype(object),
        NUMBERS.astype({"age": "UInt16", "dose": "Float32", "smoker": "boolean"}),
        NUMBERS.astype({"dose": pd.SparseDtype(float, 0.5)}),
        pa.table({name: NUMBERS[name] for name in NUMBERS}),
    ],
    ids=["mixed", "nullable", "pyarrow", "objects", "widths", "sparse", "Arrow"],
)
def test_frames_of_numbers_are_numbers(table):
    rows = load_rows(table)
    assert rows.values.tolist() == EXPECTED
    assert any("sparse" in note for note in rows.notes) == (
        any("Sparse" in str(t) for t in getattr(table, "dtypes", []))
    )


def test_a_frame_of_small_whole_numbers_stays_small():
    ages = NUMBERS[["age"]]
    for table in (ages, ages.astype("Int64"), ages.astype({"age": "int64[pyarrow]"})):
        assert load_rows(table).values.dtype == np.uint8
    assert load_rows(NUMBERS["age"]).values.tolist() == [[31], [45], [52]]


def test_an_unnamed_column_of_decimals_may_be_data(tmp_path):
    with pytest.raises(ValueError, match=r"the column '' \(position 0\) has no name and may be"):
        load_rows(csv(tmp_path, ",b\n0.5,1\n0.7,2\n"))


def test_row_names_of_r_have_no_header(tmp_path):
    rows = load_rows(csv(tmp_path, '"a" "b"\n"r1" 1.5 2\n"r2" 2.5 3\n'))
    assert rows.values.tolist() == [[1.5, 2], [2.5, 3]]
    assert list(rows.names) == ["index"]
    assert load_rows(tmp_path / "t.csv", columns=["b"]).values.tolist() == [[2], [3]]


def test_columns_that_are_no_numbers_are_named():
    table = NUMBERS.assign(name=["a", "b", "c"], day=pd.to_datetime("2020-01-01"))
    with pytest.raises(
        ValueError, match=r"no real numbers in 'name \(.*\)', 'day \(datetime64.*\)'"
    ):
        load_rows(table)
    assert load_rows(table, columns=["dose", "age"]).values.tolist() == [r[1::-1] for r in EXPECTED]


def test_splits_of_frames_must_have_the_same_columns():
    other = NUMBERS[["dose", "age", "smoker"]]
    with pytest.raises(ValueError, match="columns of the splits disagree"):
        load_dataset({"train": NUMBERS, "test": other})
    assert load_dataset((NUMBERS, NUMBERS, NUMBERS)).columns == ("age", "dose", "smoker")


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("where", ["memory", "file"])
def test_sparse_matrices_are_made_dense_and_told(tmp_path, form, where):
    dense = (TABLE > 50.5).astype(np.float64) * TABLE
    source = scipy.sparse.coo_array(dense).asformat(form)
    if where == "file":
        scipy.sparse.save_npz(tmp_path / "s.npz", source)
        source = tmp_path / "s.npz"
    rows = load_rows(source)
    assert np.array_equal(rows.values, dense.astype(np.float32))
    assert any("a sparse matrix of" in note and "made dense" in note for note in rows.notes)


def test_a_sparse_matrix_beyond_memory_is_refused():
    huge = scipy.sparse.coo_matrix(([1.0], ([0], [0])), shape=(10**8, 10**8))
    with pytest.raises(ValueError, match=r"shape \(100000000, 100000000\).*80000 TB.*fewer rows"):
        load_rows(huge)


def test_further_rows_are_read_as_the_training_data_were(tmp_path):
    data = load_dataset(pd.DataFrame(TABLE, columns=list("abc")))
    for order in itertools.permutations("abc"):
        table = pd.DataFrame(TABLE, columns=list("abc"))[list(order)].assign(extra=1.0)
        rows = load_rows(table, like=data)
        assert np.array_equal(rows.values, TABLE.astype(np.float32))
        assert any("without 'extra'" in note for note in rows.notes)
    same = pd.DataFrame(TABLE, columns=list("abc"))
    assert load_rows(same, like=data).notes == ()
    with pytest.raises(ValueError, match="fitted to the columns 'a', 'b', 'c', and 'c' is not one"):
        load_rows(same.rename(columns={"c": "d"}), like=data)
    assert np.array_equal(load_rows(TABLE, like=data).values, TABLE.astype(np.float32))


def test_a_threshold_is_that_of_the_training_data():
    grey = np.arange(100.0).reshape(20, 5)
    data = load_dataset(grey, binarise="threshold", split="contiguous")
    assert data.threshold == 79 / 2  # train is the first 16 rows
    rows = load_rows(grey[:1] + 38, binarise="threshold", like=data)
    assert rows.values.tolist() == [[0, 0, 1, 1, 1]]
    with pytest.raises(ValueError, match="rows by themselves has no threshold"):
        load_rows(grey, binarise="threshold")
