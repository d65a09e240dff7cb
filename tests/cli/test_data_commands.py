"""Data from the command line: what there is, what is known of it, and a user's own."""

import json
from pathlib import Path

import numpy as np
import pytest

import jensen
from command_line import QUICK, call

pytestmark = pytest.mark.usefixtures("without_drawing")


def test_datasets_lists_everything_in_80_columns(capsys, tmp_path):
    folder = tmp_path / "caltech101"
    folder.mkdir()
    (folder / "caltech101_silhouettes_28_split1.mat").touch()
    code, out, _ = call(capsys, "datasets", "--data-dir", str(tmp_path))
    found = json.loads(call(capsys, "datasets", "--data-dir", str(tmp_path), "--json")[1])[
        "datasets"
    ]
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines() if line and not line.startswith(" ")}
    for d in found:
        row, sizes, shape = (
            rows[d["name"]],
            "/".join(f"{n:,}" for n in d["sizes"]),
            "x".join(map(str, d["event_shape"])),
        )
        assert row.split()[1:4] == [sizes, shape, d["values"]]
        assert (
            ("found" in row or "bundled" in row) and "not found" not in row
            if d["found"]
            else "download" in row or "not found" in row
        )
    licences = " ".join(out.partition("Licences:")[2].split())
    for d in found:
        assert d["name"] in licences and d["licence"] in licences
    assert f"{folder}: caltech101" in " ".join(out.split())
    assert all(len(line) <= 80 or str(tmp_path) in line for line in out.splitlines())


def test_datasets_tells_all_of_one(capsys):
    code, out, _ = call(capsys, "datasets", "frey_faces")
    text = " ".join(out.split())
    assert code == 0
    assert (
        "data.binarise=none|dynamic|threshold; data.split=random|contiguous (the first is the default)"
        in text
    )
    assert "freyfaces_u8.npy" in text and "frey_rawface.mat" in text
    assert "1,565/200/200" in text
    assert "to be downloaded from https://github.com/yburda" in " ".join(
        call(capsys, "datasets", "omniglot")[1].split()
    )
    assert [
        d["name"]
        for d in json.loads(call(capsys, "datasets", "density/nltcs", "--json")[1])["datasets"]
    ] == ["density/nltcs"]
    code, _, err = call(capsys, "datasets", "nltcs")
    assert code == 2
    assert "did you mean 'density/nltcs'?" in err


@pytest.mark.slow
def test_a_data_set_with_a_slash_in_its_name(capsys, tmp_path, monkeypatch):
    from jensen.datasets import density

    monkeypatch.setitem(density._TABLES, "dna", ("pairs", 5, 60, 20, 20))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for part, rows in (("train", 60), ("valid", 20), ("test", 20)):
        np.savetxt(
            tmp_path / f"dna.{part}.data", rng.integers(0, 2, (rows, 5)), fmt="%d", delimiter=","
        )
    assert call(capsys, "fit", "density/dna", "--data-dir", str(tmp_path), *QUICK)[0] == 0
    run = jensen.load(tmp_path / "runs" / "density-dna")
    assert run.config["data"]["source"] == "density/dna"
    assert run.dataset.name == "density/dna"
    (tmp_path / "again.toml").write_text((run.path / "config.toml").read_text())
    assert call(capsys, "fit", "--config", "again.toml", "--out", "again")[0] == 0
    assert jensen.load("again").record["data"]["fingerprints"] == run.record["data"]["fingerprints"]
    code, _, err = call(capsys, "fit", "density/dns", "--data-dir", str(tmp_path), *QUICK)
    assert code == 2
    assert "did you mean 'density/dna'?" in err


def test_a_users_table_from_file_to_account(capsys, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 4)) * 50 + 300 + rng.normal(size=(300, 4))
    np.savetxt(tmp_path / "t.csv", x, delimiter=",", header="a,b,c,d", comments="")
    table = str(tmp_path / "t.csv")
    run = str(tmp_path / "run")
    assert call(capsys, "fit", table, "--likelihood", "normal", "--out", run, *QUICK)[0] == 0
    code, out, _ = call(capsys, "account", run, "--json")
    assert code == 0
    assert json.loads(out)["n"] == 30
    # The run's own data by the name of their file: its splits hold, and give the same figures.
    code, out, _ = call(capsys, "account", run, "--data", table, "--split", "test", "--json")
    assert json.loads(out)["elbo"]["value"] == jensen.load(run).account.elbo.value
    Path(table).write_text(Path(table).read_text().replace("\n3", "\n4", 1))
    code, _, err = call(capsys, "account", run)
    assert code == 1
    assert "fingerprints differ" in err


def test_grey_data_for_a_binary_likelihood(capsys, tmp_path):
    np.save(tmp_path / "grey.npy", np.random.default_rng(0).random((50, 4)).astype(np.float32))
    code, _, err = call(
        capsys, "fit", str(tmp_path / "grey.npy"), "--out", str(tmp_path / "run"), *QUICK
    )
    assert code == 2
    assert "outside the support of the bernoulli likelihood (0 and 1)" in err
    assert "normal (all real numbers)" in err and "--likelihood NAME" in err
    assert "--set data.binarise=dynamic" in err
    assert (
        call(
            capsys,
            "fit",
            str(tmp_path / "grey.npy"),
            "--out",
            str(tmp_path / "run"),
            "--set",
            "data.binarise=dynamic",
            *QUICK,
        )[0]
        == 0
    )
