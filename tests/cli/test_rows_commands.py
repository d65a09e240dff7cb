"""Which rows a command evaluates, in which order, and what names them in its output: --data takes
every row of a file, --split those of the run's own data."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import xarray

import jensen
from command_line import QUICK, call
from jensen.config import Config
from jensen.generation import posterior_codes
from jensen.sessions import start_run

pytestmark = pytest.mark.usefixtures("without_drawing")
COLUMNS = list("abc")


def table_of(rows, seed):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(rows, 3)), columns=COLUMNS)
    table.index = pd.Index([f"s{i}" for i in rng.permutation(rows)], name="sample_id")
    return table


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a table of 60 rows with named columns and a named index, hardly trained."""
    folder = tmp_path_factory.mktemp("rows")
    table_of(60, 0).to_parquet(folder / "own.parquet")
    settings = {
        "data": {"source": str(folder / "own.parquet")},
        "model": {"latent_dim": 3},
        "likelihood": {"name": "normal"},
        "network": {"hidden": [8]},
        "training": {"epochs": 1},
        "account": {"num_samples": 20, "num_draws": 2},
    }
    start_run(Config.read(settings), folder / "run", overwrite=False, progress=False)
    return folder / "run"


def codes_of(run, table):
    x = table[COLUMNS].to_numpy(np.float32)
    return posterior_codes(jensen.load(run).model, x)["mean"]


@pytest.mark.parametrize("rows", [1, 5, 40])
@pytest.mark.parametrize("suffix", ["npz", "csv"])
def test_codes_of_every_row_in_order_with_their_names(run, capsys, tmp_path, rows, suffix):
    table = table_of(rows, 1)
    # Other columns' order, and a column more: taken by name.
    table.assign(z=1.0)[["z", "c", "a", "b"]].to_parquet(tmp_path / "new.parquet")
    out = tmp_path / f"codes.{suffix}"
    new = str(tmp_path / "new.parquet")
    code, text, err = call(capsys, "encode", str(run), "--data", new, "--out", str(out))
    assert code == 0 and f"{rows} codes of 3 dimensions" in text and "by row, sample_id" in text
    assert "note: the columns were taken by name, as the model was fitted, without 'z'" in err
    if suffix == "npz":
        with np.load(out) as arrays:
            codes, ids, numbers = arrays["mean"], arrays["sample_id"], arrays["row"]
    else:
        written = pd.read_csv(out)
        codes = written[[f"mean_{i}" for i in range(3)]].to_numpy()
        ids, numbers = written["sample_id"].to_numpy(), written["row"].to_numpy()
    np.testing.assert_allclose(codes, codes_of(run, table), rtol=1e-5, atol=1e-6)
    assert ids.tolist() == table.index.tolist() and numbers.tolist() == list(range(rows))


def test_all_is_a_split_and_a_split_has_its_rows_numbers(run, capsys, tmp_path):
    own = table_of(60, 0)
    for split in ("all", "test"):
        out = tmp_path / f"{split}.csv"
        assert call(capsys, "encode", str(run), "--split", split, "--out", str(out))[0] == 0
        written = pd.read_csv(out)
        of_rows = own.iloc[written["row"]]
        assert written["sample_id"].tolist() == of_rows.index.tolist()
        codes = written[[f"mean_{i}" for i in range(3)]].to_numpy()
        np.testing.assert_allclose(codes, codes_of(run, of_rows), rtol=1e-5, atol=1e-6)
    everything = pd.read_csv(tmp_path / "all.csv")
    assert everything["row"].tolist() == list(range(60))
    assert everything["split"].value_counts().to_dict() == {"train": 48, "validation": 6, "test": 6}
    assert set(everything["row"][everything["split"] == "test"]) == set(written["row"])


def test_evidence_and_bounds_of_one_row(run, capsys, tmp_path):
    table_of(1, 2).to_csv(tmp_path / "one.csv")
    one = ["--data", str(tmp_path / "one.csv")]
    out = tmp_path / "values.csv"
    options = ["--no-sandwich", "--num-samples", "60", "--out", str(out)]
    code, text, err = call(capsys, "evidence", str(run), *one, *options)
    assert code == 0 and "1 one data" in text
    assert "note: the column 'sample_id' was taken for the rows' names" in err
    written = pd.read_csv(out)
    assert written[["row", "sample_id"]].values.tolist() == [[0, "s0"]]
    assert np.isfinite(written["value"]).all()
    arguments = ["--bound", "elbo", "--num-samples", "4", "--json"]
    code, text, _ = call(capsys, "bounds", str(run), *one, *arguments)
    assert code == 0 and json.loads(text)["n"] == 1
    assert json.loads(text)["rows"] == {"row": [0], "sample_id": ["s0"]}
    code, text, _ = call(capsys, "evidence", str(run), *one, *options[:3], "--json")
    assert code == 0 and json.loads(text)["rows"] == {"row": [0], "sample_id": ["s0"]}


def test_the_json_of_an_account_names_rows_and_influential_data(run, capsys, tmp_path):
    table = table_of(12, 5)
    table.iloc[7] += 1e3
    table.to_parquet(tmp_path / "odd.parquet")
    other = ["--data", str(tmp_path / "odd.parquet"), "--num-samples", "20"]
    code, text, _ = call(capsys, "account", str(run), *other, "--json")
    assert code == 0
    found, names = json.loads(text), table.index.tolist()
    assert found["rows"] == {"row": list(range(12)), "sample_id": names}
    row = {"index": 7, "row": 7, "sample_id": names[7]}
    assert found["influential"] and all(i["rows"] == [row] for i in found["influential"])
    assert f"row 7 (sample_id {names[7]}) carries" in found["verdicts"][0]
    # Of the run's own data the row is that of its file, and not the place in the split.
    copy = shutil.copytree(run, tmp_path / "copy")
    own = ["--split", "all", "--num-samples", "20"]
    code, text, _ = call(capsys, "account", str(copy), *own, "--json")
    assert code == 0 and "rows" not in json.loads(text)
    columns = jensen.load(copy).stored_account("all").row_columns
    assert sorted(columns["row"].tolist()) == list(range(60))
    own_names = table_of(60, 0).index
    assert columns["sample_id"].tolist() == own_names[columns["row"]].tolist()
    assert set(columns["split"]) == {"train", "validation", "test"}


def test_an_account_of_one_row_says_what_it_lacks(run, capsys, tmp_path):
    table_of(1, 2).to_parquet(tmp_path / "one.parquet")
    for suffix in ("nc", "csv"):
        out = tmp_path / f"a.{suffix}"
        options = ["--data", str(tmp_path / "one.parquet"), "--num-samples", "60"]
        code, text, _ = call(capsys, "account", str(run), *options, "--out", str(out))
        assert code == 0
        assert "One row: there is no I(n; z) of a single datum" in " ".join(text.split())
    with xarray.open_dataset(tmp_path / "a.nc") as dataset:
        assert dataset["sample_id"].values.tolist() == ["s0"]
        assert dataset["row"].values.tolist() == [0]
    assert pd.read_csv(tmp_path / "a.csv")["sample_id"].tolist() == ["s0"]
    assert not (run / "accounts").exists()  # that is for the run's own data


def test_an_account_of_two_rows_has_an_index_information(run, capsys, tmp_path):
    table_of(2, 2).to_parquet(tmp_path / "two.parquet")
    options = ["--data", str(tmp_path / "two.parquet"), "--num-samples", "60"]
    code, text, _ = call(capsys, "account", str(run), *options)
    assert code == 0 and "One row" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "test"], "--split test is of the run's own data; NEW is other data without"),
        (["--set", "data.heder=true"], "data.heder: says nothing .*did you mean 'header'"),
        (["--set", "alpha=1"], "--set alpha=1: encode takes data.KEY=VALUE alone"),
    ],
)
def test_wrong_input_beside_data(run, capsys, tmp_path, arguments, message):
    table_of(9, 1).to_csv(tmp_path / "new.csv")
    new, out = str(tmp_path / "new.csv"), tmp_path / "codes.npz"
    command = ["encode", str(run), "--data", new, "--out", str(out), *arguments]
    code, text, err = call(capsys, *command)
    assert code == 2 and text == "" and not out.exists()
    assert re.search(message.replace("NEW", re.escape(new)), err), err


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["a", "b"], "fitted to the columns 'a', 'b', 'c', and 'c' is not one of"),
        (None, r"describes data of shape \(3,\), but .*new.npy has rows of shape \(2,\)"),
    ],
)
def test_rows_that_do_not_fit_the_model_are_refused(run, capsys, tmp_path, columns, message):
    path = tmp_path / ("new.npy" if columns is None else "new.csv")
    if columns is None:
        np.save(path, np.zeros((4, 2)))
    else:
        table_of(4, 1)[columns].to_csv(path)
    code, _, err = call(capsys, "encode", str(run), "--data", str(path))
    assert code == 2 and re.search(message, err), err


def test_own_data_are_read_as_they_were(run, capsys):
    code, _, err = call(capsys, "encode", str(run), "--set", "data.header=false")
    assert code == 2 and "says how --data FILE is to be read" in err


def test_splits_of_other_data(run, capsys, tmp_path):
    x = np.random.default_rng(5).normal(size=(12, 3))
    np.savez(tmp_path / "k.npz", x_train=x[:8], y_train=np.arange(8), x_test=x[8:], y_test=x[8:, 0])
    new = ["encode", str(run), "--data", str(tmp_path / "k.npz"), "--out", str(tmp_path / "c.npz")]
    code, _, err = call(capsys, *new)
    assert code == 0 and "note: labels, not data: 'y_train', 'y_test'" in err
    with np.load(tmp_path / "c.npz") as arrays:
        assert arrays["split"].tolist() == ["train"] * 8 + ["test"] * 4
        assert arrays["row"].tolist() == [*range(8), *range(4)]
        assert arrays["label"].tolist() == [*range(8), *x[8:, 0]]
    assert call(capsys, *new, "--split", "test")[0] == 0
    with np.load(tmp_path / "c.npz") as arrays:
        assert arrays["row"].tolist() == list(range(4)) and "split" not in arrays


def test_the_splits_of_a_file_of_the_run_s_own_data(run, capsys, tmp_path):
    moved = tmp_path / "moved.parquet"
    moved.write_bytes((run.parent / "own.parquet").read_bytes())
    out = tmp_path / "c.npz"
    arguments = ["encode", str(run), "--split", "test", "--out", str(out)]
    assert call(capsys, *arguments)[0] == 0
    own = dict(np.load(out))
    assert call(capsys, *arguments, "--data", str(moved))[0] == 0
    again = dict(np.load(out))
    assert all(np.array_equal(own[key], again[key]) for key in own)
    table_of(60, 9).to_parquet(moved)
    for wrong in (["--split", "both"], ["--try", "vamp"]):
        reading = ["--set", "data.header=true"]
        code, _, err = call(capsys, "account", str(run), "--data", str(moved), *wrong, *reading)
        assert code == 2 and "says how other rows are read" in err
        code, _, err = call(capsys, "account", str(run), "--data", str(moved), *wrong)
        assert code == 2 and "holds other data than" in err


def test_reading_options_reach_other_data(run, capsys, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("0,1,2\n" + "3,4,5\n" * 4)
    command = ["encode", str(run), "--data", str(path), "--out", str(tmp_path / "c.npz")]
    code, _, err = call(capsys, *command)
    assert code == 2 and "may be a header or a datum" in err and "--set data.header=" in err
    for header, rows in (("false", 5), ("true", 4)):
        columns = ["--set", "data.columns=['0', '1', '2']"] if header == "true" else []
        assert call(capsys, *command, "--set", f"data.header={header}", *columns)[0] == 0
        with np.load(tmp_path / "c.npz") as arrays:
            assert len(arrays["mean"]) == rows


def test_what_a_fit_assumed_of_its_data_is_told(capsys, tmp_path):
    lines = "".join(f"{i},5;{2 * i}\n" for i in range(20))
    (tmp_path / "t.csv").write_text("id;x\n" + lines)
    arguments = ["--likelihood", "normal", "--out", str(tmp_path / "run"), "--epochs", "1"]
    code, _, err = call(capsys, "fit", str(tmp_path / "t.csv"), *QUICK, *arguments)
    assert code == 0
    for note in ("separated by semicolons", "decimal mark is a comma", "read as a header"):
        assert f"{note}" in err
    assert "note: 20 rows split by seed 0 into 16/2/2" in err
