"""`jensen account`: both splits, files, and what is refused before anything is computed."""

import json
import shutil

import numpy as np
import pytest
import xarray

from command_line import QUICK, call
from jensen import load


def test_train_and_test_beside_each_other(plain, capsys, tmp_path):
    plain = shutil.copytree(plain, tmp_path / "run")  # its accounts change
    code, out, _ = call(
        capsys, "account", str(plain), "--split", "both", "--num-samples", "60", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert [found[s]["n"] for s in ("train", "test")] == [1257, 360]
    assert found["generalisation"]["aggregated_over"] == 360
    for name in ("elbo", "reconstruction", "evidence", "jensen_gap"):
        change = found["generalisation"][name]
        assert change["difference"] == pytest.approx(
            found["test"][name]["value"] - found["train"][name]["value"]
        )
        if change["bound"] is not None:
            assert name in ("evidence", "jensen_gap") and change["standard_error"] is None
            continue
        assert change["standard_error"] == pytest.approx(
            np.hypot(found["test"][name]["data_error"], found["train"][name]["data_error"])
        )
    # I(n; z) of 1257 data is larger than that of 360 by their number alone; the difference is over 360 on both sides.
    information = found["generalisation"]["index_information"]
    assert information["test"] == pytest.approx(found["test"]["index_information"]["value"])
    assert information["train"] < found["train"]["index_information"]["value"]
    run = load(plain)
    assert run.stored_account("train").n == 1257 and run.stored_account("test").n == 360
    code, out, _ = call(capsys, "account", str(plain), "--split", "both", "--num-samples", "60")
    assert (
        code == 0
        and "test - train" in out
        and "their differences are of q(z) over 360 data" in " ".join(out.split())
    )


def test_values_per_datum_as_netcdf_and_as_a_table(plain, capsys, tmp_path):
    for suffix in (".nc", ".npz", ".csv"):
        assert (
            call(
                capsys,
                "account",
                str(plain),
                "--num-samples",
                "60",
                "--out",
                str(tmp_path / f"a{suffix}"),
            )[0]
            == 0
        )
    with xarray.open_dataset(tmp_path / "a.nc") as dataset, np.load(tmp_path / "a.npz") as arrays:
        for name in ("elbo", "total_correlation", "dimension_wise_kl"):
            np.testing.assert_array_equal(dataset[name], arrays[name])
            assert float(dataset[name].mean()) == pytest.approx(dataset[name].attrs["value"])
        shares = {
            c: dataset[f"{c}_by_dimension"].values
            for c in ("average_kl", "index_information", "marginal_kl")
        }
        assert shares["average_kl"].sum() == pytest.approx(
            dataset["average_kl"].attrs["value"], abs=1e-4
        )
        np.testing.assert_allclose(
            shares["index_information"] + shares["marginal_kl"], shares["average_kl"], atol=1e-9
        )
        table = np.genfromtxt(tmp_path / "a.csv", delimiter=",", names=True)
        np.testing.assert_allclose(table["elbo"], dataset["elbo"], rtol=1e-8)


@pytest.mark.usefixtures("without_drawing")
def test_fit_takes_accounts_on_its_way(capsys, tmp_path):
    code, _, _ = call(
        capsys,
        "fit",
        "digits",
        "--out",
        str(tmp_path / "run"),
        "--account-every",
        "1",
        "--set",
        "training.account_rows=100",
        *QUICK,
    )
    assert code == 0
    first = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])["account"]
    assert (
        first["n"] == 100
        and "at most log 100 = 4.61" in first["label"]
        and 0 <= first["index_information"]["value"] < np.log(100)
    )
    split = first["index_information"]["value"] + first["marginal_kl"]["value"]
    assert first["average_kl"]["value"] == pytest.approx(split, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "a.txt"], "ends in .npz, .csv or .nc; got 'a.txt'"),
        (["--split", "both", "--out", "a.npz"], "--split both goes with neither --out nor --try"),
        (["--split", "boht"], "test"),
    ],
)
def test_wrong_input(plain, capsys, arguments, message):
    code, out, error = call(capsys, "account", str(plain), *arguments)
    assert code == 2 and not out and message in error
