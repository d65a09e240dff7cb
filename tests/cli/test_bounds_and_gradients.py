"""`jensen bounds`, `jensen gradients`, and training by every kind of bound from the command line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import jensen
from jensen import cli

pytestmark = pytest.mark.usefixtures("without_drawing")

QUICK = [
    "--epochs",
    "3",
    "--hidden",
    "16",
    "--latent-dim",
    "3",
    "--set",
    "account.num_samples=50",
    "--set",
    "account.num_draws=2",
]


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command."""
    code = cli.run(list(arguments))
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("runs") / "iwae"
    assert (
        cli.run(
            [
                "fit",
                "digits",
                "--out",
                str(path),
                "--bound",
                "iwae",
                "--num-samples",
                "5",
                "--gradient",
                "doubly_reparameterised",
                *QUICK,
            ]
        )
        == 0
    )
    return str(path)


def test_bounds_are_all_printed_in_order_with_what_they_guarantee(run, capsys):
    code, out, _ = call(capsys, "bounds", run, "--num-samples", "16", "--seed", "3")
    assert code == 0
    lines = re.findall(r"^  (\S+).*?(-\d+\.\d+) \+- (\d+\.\d+)  (.*)$", out, re.MULTILINE)
    assert {line[0] for line in lines} == set(jensen.bounds.bounds.names())
    values = [float(line[1]) for line in lines]
    assert values == sorted(values)
    assert {line[0] for line in lines if "certifies nothing" in line[3]} == {"cubo", "eubo"}
    found = json.loads(
        call(capsys, "bounds", run, "--num-samples", "16", "--seed", "3", "--json")[1]
    )
    assert (
        found["bounds"]["elbo"]["value"]
        < found["bounds"]["iwae"]["value"]
        < found["bounds"]["cubo"]["value"]
    )
    assert found["bounds"]["elbo"]["value"] == pytest.approx(
        float({line[0]: line[1] for line in lines}["elbo"]), abs=1e-3
    )
    # The same draws as importance sampling of as many samples: at 64 of them the mean of 4 bounds of 16 is below one of 64.
    importance = ["--estimator", "importance", "--num-samples", "64", "--seed", "3"]
    evidence = json.loads(call(capsys, "evidence", run, *importance, "--json")[1])
    assert found["bounds"]["iwae"]["value"] < evidence["value"]


def test_options_choose_bounds_and_what_they_cannot_take_is_said(run, capsys):
    found = json.loads(
        call(
            capsys,
            "bounds",
            run,
            "--bound",
            "renyi",
            "--set",
            "renyi.alpha=0.0",
            "--bound",
            "iwae",
            "--num-samples",
            "8",
            "--json",
        )[1]
    )["bounds"]
    assert found["renyi"]["value"] == pytest.approx(found["iwae"]["value"], abs=1e-9)
    code, out, _ = call(capsys, "bounds", run, "--num-samples", "4")
    assert code == 0
    assert "miwae: not evaluated: 8 groups want" in out
    for arguments, message in [
        (
            ["--bound", "miwae", "--num-samples", "4"],
            "bound miwae: 8 groups want a number of samples",
        ),
        (["--bound", "iwea"], "unknown bound 'iwea' (did you mean 'iwae'?)"),
        (
            ["--bound", "iwae", "--set", "renyi.alpha=0.5"],
            "no such bound among those evaluated: iwae",
        ),
        (["--bound", "renyi", "--set", "renyi.alpha=1"], "use --bound elbo"),
        (["--repeats", "1"], "repeats must be at least 2"),
    ]:
        code, _, err = call(capsys, "bounds", run, *arguments)
        assert code == 2
        assert message in err


def test_gradients_prints_signal_and_noise_and_draws_the_curve(run, capsys):
    quick = ["--rows", "4", "--draws", "20"]
    code, out, err = call(capsys, "gradients", run, "--num-samples", "2,8", *quick)
    assert code == 0, err
    lines = re.findall(
        r"^  (\w+) +(\d+)  (encoder|decoder) +(\S+) +(\S+) +(\S+) \+- ", out, re.MULTILINE
    )
    assert {line[0] for line in lines} == {
        "pathwise",
        "doubly_reparameterised",
        "score_function",
        "vimco",
    }
    assert len(lines) == 4 * 2 * 2
    for line in lines:
        signal, noise, ratio = map(float, line[3:6])
        assert ratio == pytest.approx(signal / noise, rel=1e-2, abs=1e-3)
    # At the same draws the decoder's gradient is the same under both reparameterised estimators.
    decoder = {(line[0], line[1]): line[3:] for line in lines if line[2] == "decoder"}
    np.testing.assert_allclose(
        *(np.array(decoder[name, "8"], float) for name in ("pathwise", "doubly_reparameterised")),
        rtol=1e-2,
    )
    picture = Path(re.search(r"picture: (.*)", out)[1])
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    # At another beta the same draws have another gradient.
    half = json.loads(
        call(
            capsys,
            "gradients",
            run,
            "--num-samples",
            "8",
            "--gradient",
            "pathwise",
            "--beta",
            "0.5",
            *quick,
            "--json",
        )[1]
    )["lines"]
    assert (
        abs(
            half[0]["signal"]
            - float(next(x[3] for x in lines if x[:3] == ("pathwise", "8", "encoder")))
        )
        > 1e-2
    )
    only = ["--gradient", "closed_form_kl", "--bound", "elbo", "--num-samples", "1"]
    found = json.loads(call(capsys, "gradients", run, *only, *quick, "--json")[1])
    assert {line["gradient"] for line in found["lines"]} == {"closed_form_kl"}
    for arguments, message in [
        (["--gradient", "closed_form_kl", "--num-samples", "4"], "no term of it has a closed form"),
        (["--num-samples", "4,x"], "--num-samples wants numbers of 1 or more"),
        (
            ["--gradient", "pathwse"],
            "unknown gradient estimator 'pathwse' (did you mean 'pathwise'?)",
        ),
        (["--draws", "3"], "draws must be at least 20"),
        (["--bound", "cubo", "--num-samples", "1"], "bound cubo needs at least 2 samples"),
        (["--set", "gradient.flor=0.5"], "--set gradient.flor: none of"),
        (["--set", "bound.alhpa=3", "--bound", "renyi"], "did you mean 'alpha'?"),
    ]:
        code, _, err = call(capsys, "gradients", run, *quick, *arguments)
        assert code == 2
        assert message in err


@pytest.mark.parametrize(
    "options",
    [
        [
            "--bound",
            "renyi",
            "--set",
            "bound.alpha=0.3",
            "--num-samples",
            "4",
            "--gradient",
            "doubly_reparameterised",
            "--beta",
            "0.5",
        ],
        ["--bound", "piwae", "--set", "bound.num_groups=2", "--num-samples", "4"],
        ["--bound", "eubo", "--num-samples", "8", "--gradient", "wake"],
        ["--bound", "cubo", "--num-samples", "8", "--gradient", "wake"],
        [
            "--bound",
            "iwae",
            "--num-samples",
            "4",
            "--gradient",
            "vimco",
            "--set",
            "training.select_by=elbo",
        ],
        [
            "--bound",
            "f_divergence",
            "--set",
            "bound.generator=hellinger",
            "--num-samples",
            "4",
            "--gradient",
            "score_function",
        ],
    ],
    ids=lambda o: o[1],
)
def test_any_bound_trains_and_is_recorded(options, capsys, tmp_path):
    quick = [*QUICK, "--epochs", "25", "--learning-rate", "0.005", "--warm-up", "3"]
    code, _, err = call(capsys, "fit", "digits", "--out", str(tmp_path / "run"), *quick, *options)
    assert code == 0, err
    history = jensen.load(tmp_path / "run").history
    assert (
        history[-1]["validation"]["reconstruction"]
        > history[0]["validation"]["reconstruction"] + 0.5
    )
    config = jensen.load(tmp_path / "run").config
    assert config["bound"]["name"] == options[1]


def test_invalid_combinations_end_before_anything_is_written(capsys, tmp_path):
    for options, message in [
        (
            ["--bound", "iwae", "--gradient", "sticking_the_landing"],
            "Valid here: --gradient doubly_reparameterised, --gradient pathwise",
        ),
        (["--bound", "eubo", "--num-samples", "4"], "Valid here: --gradient wake"),
        (["--bound", "miwae"], "got 1. The number of groups is --set bound.num_groups"),
        (["--gradient", "score_function"], "at least 2 samples per datum (--num-samples); got 1"),
        (["--bound", "renyi", "--set", "bound.alpha=1"], "use --bound elbo"),
        (["--bound", "cubo", "--gradient", "wake"], "at least 2 samples"),
    ]:
        code, _, err = call(
            capsys, "fit", "digits", "--out", str(tmp_path / "run"), *QUICK, *options
        )
        assert code == 2
        assert message in err
        assert not (tmp_path / "run").exists()
