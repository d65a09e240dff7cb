"""`jensen account --model MODULE:FUNCTION --data FILE`."""

import json

import numpy as np
import pytest

import jensen
import linear_gaussian
from jensen.cli import run
from jensen.sessions import stream_key

WORLD = linear_gaussian.make(orthogonal=True)
CODE = """
import numpy as np
import jensen

W = np.array({w})
b = np.array({b})
s2 = 0.4
M = W.T @ W + s2 * np.eye(2)


def make():
    def encode(x):
        return (x - b) @ W @ np.linalg.inv(M), np.tile(np.sqrt(s2 / np.diag(M)), (len(x), 1))

    def log_likelihood(x, z):
        return -0.5 * (((x - z @ W.T - b) ** 2).sum(1) / s2 + 5 * np.log(2 * np.pi * s2))

    return jensen.foreign(event_shape=(5,), latent_dim=2, encode=encode, log_likelihood=log_likelihood)


def broken():
    import nothing_of_that_name


def of_rows():
    return jensen.foreign(event_shape=(4,), latent_dim=2, encode=None, log_likelihood=None)


def raising():
    def encode(x):
        raise KeyError("weights")

    return jensen.foreign(event_shape=(5,), latent_dim=2, encode=encode, log_likelihood=encode)


number = 3
def seven(): return 7
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_foreign_model.py").write_text(
        CODE.format(w=WORLD.w.tolist(), b=WORLD.b.tolist())
    )
    np.save(tmp_path / "x.npy", WORLD.data(30, 0).astype(np.float32))
    np.savez(tmp_path / "splits.npz", train=WORLD.data(20, 1), test=WORLD.data(10, 2))
    return tmp_path


def test_the_account_is_that_of_the_library(here, capsys):
    assert (
        run(
            [
                "account",
                "--model",
                "a_foreign_model:make",
                "--data",
                "x.npy",
                "--num-samples",
                "100",
                "--seed",
                "3",
                "--json",
                "--out",
                "values.npz",
            ]
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    ours = jensen.account(
        WORLD.model, np.load(here / "x.npy"), key=stream_key(3, "account"), num_samples=100
    )
    for name, line in ours.lines.items():
        assert found[name]["value"] == pytest.approx(line.value, abs=1e-5), name
    assert found["split"] == "x" and found["n"] == 30
    assert "annealing" in found["left_out"]
    np.testing.assert_allclose(np.load(here / "values.npz")["elbo"], ours.elbo.per_datum, atol=1e-4)


def test_a_path_and_a_split_of_a_file(here, capsys):
    assert (
        run(
            [
                "account",
                "--model",
                "./a_foreign_model.py:make",
                "--data",
                "splits.npz",
                "--split",
                "train",
                "--num-samples",
                "20",
            ]
        )
        == 0
    )
    assert "Account of the train split: 20 data" in capsys.readouterr().out


WRONG = {
    "neither": ([], "give a RUN folder.*or else --model"),
    "both": (
        ["runs/digits", "--model", "a_foreign_model:make", "--data", "x.npy"],
        "RUN .runs/digits. and --model .* exclude each other",
    ),
    "no data": (["--model", "a_foreign_model:make"], "needs --data FILE"),
    "of runs": (
        ["--model", "a_foreign_model:make", "--data", "x.npy", "--checkpoint", "3"],
        "--checkpoint: of a run",
    ),
    "form": (
        ["--model", "a_foreign_model", "--data", "x.npy"],
        "wants MODULE:FUNCTION; got 'a_foreign_model'",
    ),
    "module": (
        ["--model", "a_foreign_modle:make", "--data", "x.npy"],
        "no module 'a_foreign_modle'.*did you mean 'a_foreign_model'",
    ),
    "function": (
        ["--model", "a_foreign_model:mak", "--data", "x.npy"],
        "has no function 'mak' .did you mean 'make'.*its functions: make",
    ),
    "no function": (
        ["--model", "a_foreign_model:number", "--data", "x.npy"],
        "is int, and a function",
    ),
    "raises": (
        ["--model", "a_foreign_model:broken", "--data", "x.npy"],
        r"broken\(\) raised ModuleNotFoundError",
    ),
    "no model": (
        ["--model", "a_foreign_model:seven", "--data", "x.npy"],
        r"seven\(\) returned int, and a jensen.Model is wanted",
    ),
    "refused": (
        ["--model", "a_foreign_model:of_rows", "--data", "x.npy"],
        "encode must be callable",
    ),
    "callable": (
        ["--model", "a_foreign_model:raising", "--data", "x.npy"],
        "encode raised KeyError: 'weights'",
    ),
    "gaps": (
        ["--model", "a_foreign_model:make", "--data", "x.npy", "--gaps", "5"],
        "give log_likelihood_gradient=",
    ),
    "split": (
        ["--model", "a_foreign_model:make", "--data", "splits.npz", "--split", "tset"],
        "no split 'tset' .did you mean 'test'",
    ),
    "both splits": (
        ["--model", "a_foreign_model:make", "--data", "x.npy", "--split", "both"],
        "--split both is of a run",
    ),
    "file": (["--model", "a_foreign_model:make", "--data", "y.npy"], "y.npy"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_plain_line(name, here, capsys):
    import re

    arguments, message = WRONG[name]
    assert run(["account", *arguments]) == 2
    said = capsys.readouterr().err
    assert re.search(message, said), said
    assert "Traceback" not in said


def test_debug_shows_where_it_came_from(here):
    with pytest.raises(ValueError, match="encode raised KeyError") as caught:
        run(["account", "--model", "a_foreign_model:raising", "--data", "x.npy", "--debug"])
    assert isinstance(caught.value.__cause__, KeyError)
