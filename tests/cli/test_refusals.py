"""Wrong input: exit code 2, what to do instead, and nothing written."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from command_line import call
from jensen import cli


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit"], "name the data"),
        (["fit", "digit"], r"digit.*did you mean 'digits'"),
        (["fit", "digits", "--prior", "vmap"], "unknown prior 'vmap'.*did you mean 'vamp'"),
        (["fit", "digits", "--likelihood", "bernouli"], "did you mean 'bernoulli'"),
        (["fit", "digits", "--bound", "elb"], "did you mean 'elbo'"),
        (
            ["fit", "digits", "--gradient", "closed_form_kl", "--bound", "iwae"],
            "closed_form_kl: the IWAE bound is not an average of log w.*--gradient pathwise",
        ),
        (["fit", "digits", "--latent-dim", "0"], "latent-dim.*got .0"),
        (["fit", "digits", "--hidden", "a,b"], "--hidden wants widths"),
        (["fit", "digits", "--batch-size", "0"], "batch_size must be at least 1; got 0"),
        (
            ["fit", "digits", "--set", "prior.num_components=200"],
            "prior.num_components does not exist for the prior 'standard_normal'",
        ),
        (["fit", "digits", "--checkpoint", "3"], "--checkpoint goes with --resume"),
        (["fit", "digits", "--config", "nowhere.toml"], "no such configuration file"),
        (["account", "nowhere"], "no run at nowhere"),
        (
            ["fit", "digits", "--hidden", "100000,100000"],
            (
                r"the model has 20,0\d\d,\d\d\d,\d\d\d parameters, .* takes 37\d.\d GiB .* smaller "
                r"network.hidden \(it is 100,000\)"
            ),
        ),
        (["fit", "digits", "--latent-dim", "1" + "0" * 30], "latent_dim is at most 2147483647"),
        (["fit", "digits", "--set", "data.test_fraction=[]"], "test_fraction: Input should be a"),
        (["fit", "digits", "--set", "data.source=[]"], "data.source: should be a name or a path"),
        (["fit", "digits", "--set", "prior=" + "[" * 100_000], "prior: the value is nested too"),
        (["fit", "digits", "--set", "prior.name=[]"], "prior.name must be a text"),
        (["fit", "digits", "--epochs", "2.5"], "Invalid value for '--epochs'"),
        (["evidence", "PLAIN", "--num-samples", "1"], "num_samples must be at least 2.*got 1"),
        (["evidence", "PLAIN", "--estimator", "importanc"], "did you mean 'importance'"),
        (
            ["evidence", "PLAIN", "--num-samples", "9", "--out", "values.txt"],
            r"ends in .npz or .csv",
        ),
        (["account", "PLAIN", "--split", "testing"], "unknown split 'testing'"),
        (["account", "PLAIN", "--frobnicate"], "No such option"),
        (["accont"], "No such command"),
    ],
)
def test_wrong_input_exits_with_2_and_says_what_to_do(
    plain, capsys, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *[str(plain) if a == "PLAIN" else a for a in arguments])
    assert code == 2
    assert re.search(message, " ".join(err.split())), err
    assert out == ""
    assert not list(tmp_path.iterdir())  # nothing was written before the checks had passed


def test_deep_nesting_is_refused_wherever_text_is_read(plain, capsys, tmp_path):
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000)
    code, _, err = call(capsys, "fit", "--config", str(tmp_path / "deep.toml"))
    assert code == 2
    assert "is nested too deeply to be read" in err
    for name, text in [("run.json", '{"a":' * 100_000), ("config.toml", "a = " + "[" * 100_000)]:
        shutil.copytree(plain, tmp_path / name)
        (tmp_path / name / name).write_text(text)
        code, _, err = call(capsys, "account", str(tmp_path / name))
        assert code == 1
        assert re.search(r"nested too deeply to be read.*damaged", err)


SCRIPT = "import sys; from jensen.cli import main; main(sys.argv[1:])"


def shell(command, *arguments, **environment):
    """(exit code, stdout, stderr) of jensen in a shell, where streams can be closed."""
    line = f"exec {command.format(jensen=f'{sys.executable} -c {shlex.quote(SCRIPT)}')}"
    process = subprocess.run(
        ["sh", "-c", line, "sh", *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore", **environment},
    )
    return process.returncode, process.stdout, process.stderr


def test_closed_and_full_streams_end_without_a_traceback(tmp_path):
    assert shell("{jensen} account nowhere 2>&-") == (2, b"", b"")
    code, _, err = shell("{jensen} datasets --json >/dev/full")
    assert code == 1
    assert err.decode().startswith("jensen: no space left")
    assert "Traceback" not in err.decode()
    code, _, err = shell("{jensen} --version >&-")
    assert (code, err) == (0, b"")


def test_a_locale_without_a_letter_of_a_path_is_no_obstacle():
    latin = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    code, _, err = shell('{jensen} account "$1"', "nichts/grün", **latin)
    assert code == 2
    assert err.startswith(b"jensen: no run at nichts/gr")
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            MemoryError("Unable to allocate 7.45 GiB for an array with shape (1000000000,)"),
            "not enough memory (allocate 7.45 GiB for an array with shape (1000000000,)).*--chunk",
        ),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes."), "allocating 99"),
    ],
)
def test_too_little_memory_names_the_size_and_the_remedy(capsys, monkeypatch, error, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("jensen.runs.load", fail)
    code, _, err = call(capsys, "account", "run")
    assert code == 1
    assert re.search(message.replace("(", r"\(").replace(")", r"\)"), err)
    assert "unexpected" not in err


def test_a_traceback_is_shown_with_debug_only(capsys):
    assert "Traceback" not in call(capsys, "account", "nowhere")[2]
    with pytest.raises(ValueError, match="no run at nowhere"):
        cli.run(["account", "nowhere", "--debug"])
