"""The tables of importance weighted auto-encoders on small recipes.

Schedules, seeds, active units, and the orders that the rows decide.
"""

import json
import math

import numpy as np
import pytest

import jensen
from jensen import cli
from jensen.anatomy.units import active_units, active_units_by_level
from jensen.generation import posterior_codes
from jensen.reproductions import _recipes
from jensen.reproductions.iwae import CLAIMS
from jensen.reproductions.iwae._recipe_comparisons import compare_recipes, comparison_text
from jensen.sessions import stream_key

RECIPE = """
[data]
source = "digits"
[model]
{model}
[network]
hidden = [8]
activation = "tanh"
[bound]
name = "{bound}"
[training]
epochs = 40
batch_size = 100
num_samples = {k}
learning_rate = 1e-2
rate_stages = 3
adam_epsilon = 1e-4
warm_up = 0
patience = 0
"""
PUBLISHED = """
[sources]
original = "Somebody (2016)"
[[figures.mnist-1layer-vae-k1]]
source = "original"
value = -25.0
basis = "second-hand"
active = "3"
active_basis = "from memory"
[[figures.mnist-1layer-iwae-k5]]
source = "original"
value = -24.0
basis = "second-hand"
"""


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Small recipes in place of the shipped ones, under the names that the claims compare."""
    folder = tmp_path / "reproductions" / "iwae" / "recipes"
    folder.mkdir(parents=True)
    one, two = "latent_dim = 3", 'name = "markov"\nlatent_dim = [3, 2]'
    for name, bound, k, model in [
        ("1layer-vae-k1", "elbo", 1, one),
        ("1layer-iwae-k5", "iwae", 5, one),
        ("2layer-iwae-k5", "iwae", 5, two),
    ]:
        (folder / f"mnist-{name}.toml").write_text(RECIPE.format(bound=bound, k=k, model=model))
    (folder.parent / "published.toml").write_text(PUBLISHED)
    monkeypatch.setattr(_recipes, "REPRODUCTIONS", tmp_path / "reproductions")
    monkeypatch.chdir(tmp_path)
    return folder


def call(capsys, *arguments):
    code = cli.run(["reproduce", "iwae", "--out", "out", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_rows_are_trained_for_every_seed_and_the_orders_are_those_of_their_means(
    shelf, capsys, tmp_path
):
    small = ["--set", "share=0.1", "--set", "seeds=2", "--num-samples", "30"]
    code, out, err = call(capsys, *small, "--json")
    assert code == 0, out + err
    output = json.loads(out)
    rows = {(row["recipe"], row["seed"]): row for row in output["rows"]}
    names = ["mnist-1layer-vae-k1", "mnist-1layer-iwae-k5", "mnist-2layer-iwae-k5"]
    assert list(rows) == [(name, seed) for name in names for seed in (0, 1)]
    row = rows[names[2], 1]
    assert (row["run"], row["epochs"], row["shortened"]) == (
        "out/mnist-2layer-iwae-k5-epochs4-seed1",
        4,
        True,
    )
    run = jensen.load(row["run"])
    training = run.config["training"]
    assert (
        training["epochs"],
        training["rate_stages"],
        training["num_samples"],
        run.config["seed"],
    ) == (4, 3, 5, 1)
    test = run.dataset.test
    assert row["active_units"] == list(
        active_units_by_level(run.model, test, key=stream_key(1, "account"))
    )
    first = active_units(posterior_codes(run.model, test)["mean"])
    assert row["active_units"][0] == first
    # The order under the table, from the rows by hand.
    ours, theirs = ([rows[name, seed]["log_p"] for seed in (0, 1)] for name in (names[1], names[0]))
    difference, error = (
        np.mean(ours) - np.mean(theirs),
        math.sqrt(np.var(ours, ddof=1) / 2 + np.var(theirs, ddof=1) / 2),
    )
    assert (
        f"{names[1]} over {names[0]}: {difference:+.2f} +- {error:.2f} "
        "(2 and 2 trainings, 4 epochs)" in output["notes"][0]
    )
    assert not any("2layer" in note for note in output["notes"])
    # Called again with one recipe and no second seed, nothing is trained again and the table keeps
    # the other rows.
    code, out, _ = call(capsys, "--set", "share=0.1", "--num-samples", "30", "--only", names[0])
    assert code == 0
    assert (
        "shortened: 4 of 40 epochs, 3 stages of the learning rate in proportion; 30 importance "
        "samples, not 5000" in out
    )
    units = rows[names[0], 0]["active_units"]
    assert f"{units[0]}, original 3?" in out
    assert [
        row["run"] for row in json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    ] == [row["run"] for row in output["rows"]]


def test_the_short_schedule_is_a_row_of_its_own(shelf, capsys):
    code, out, _ = call(
        capsys, "--json", "--set", "schedule=short", "--only", "mnist-1layer-iwae-k5"
    )
    assert code == 0
    row = json.loads(out)["rows"][0]
    assert (row["run"], row["epochs"], row["num_samples"]) == (
        "out/mnist-1layer-iwae-k5-short4",
        4,
        500,
    )
    training = jensen.load(row["run"]).config["training"]
    assert (
        training["rate_stages"],
        training["cool_down"],
        training["learning_rate"],
        training["batch_size"],
    ) == (0, 2, 1e-2, 100)
    _, out, _ = call(capsys, "--set", "schedule=short", "--only", "mnist-1layer-iwae-k5")
    assert (
        "not the paper's schedule: 4 epochs of its 40, batches of 100, rate 0.01 falling to 0; 500 "
        "importance samples, not 5000" in out
    )
    _, out, _ = call(capsys, "--list", "--set", "schedule=short", "--set", "seeds=2")
    assert out.count("trained") == 1 and out.count("not begun") == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--set", "share=0"],
            "share must be above 0 and at most 1, a fraction of the paper's epochs; got 0",
        ),
        (
            ["--set", "share=0.5", "--epochs", "3"],
            "share is a fraction of the paper's epochs: give it without epochs",
        ),
        (["--set", "share=0.5", "--set", "schedule=short"], "without schedule=short"),
        (["--set", "seeds=0"], "seeds must be at least 1; got 0"),
        (["--epochs", "0"], "epochs must be at least 1; got 0"),
        (["--set", "schedule=long"], "reproduction 'iwae': schedule "),
        (
            ["--num-samples", "1"],
            "num_samples must be at least 2, or there is no standard error; got 1",
        ),
        (
            ["--only", "mnist-1layer-iwae-k6"],
            "no recipe 'mnist-1layer-iwae-k6' (did you mean 'mnist-1layer-iwae-k5'?)",
        ),
    ],
)
def test_wrong_input_exits_with_2_before_anything_is_written(
    shelf, capsys, tmp_path, arguments, message
):
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert [p.name for p in tmp_path.iterdir()] == ["reproductions"]


def rows_of(name, values, **changes):
    alike = {
        "at_most_epochs": 4,
        "batch_size": 20,
        "learning_rate": 1e-3,
        "rate_stages": 0,
        "num_samples": 500,
    }
    return [
        {"recipe": name, "status": "done", "seed": i, "log_p": value, **alike, **changes}
        for i, value in enumerate(values)
    ]


def test_orders_are_decided_by_two_standard_errors_of_the_difference():
    claims = [("b", "a")]
    # Means -89 and -90, variances 0.04 and 0.01 over 3 trainings: error sqrt(0.05 / 3) = 0.129
    a, b = [-90.1, -90.0, -89.9], [-89.2, -89.0, -88.8]
    (comparison,) = compare_recipes(rows_of("a", a) + rows_of("b", b), claims)
    assert comparison["difference"] == pytest.approx(1.0)
    assert comparison["standard_error"] == pytest.approx(math.sqrt((0.01 + 0.04) / 3))
    assert (comparison["verdict"], comparison["trainings"]) == ("higher", (3, 3))
    assert (
        comparison_text(comparison)
        == "b over a: +1.00 +- 0.13 (3 and 3 trainings, 4 epochs): higher, outside two standard "
        "errors."
    )
    (reverse,) = compare_recipes(rows_of("b", a) + rows_of("a", b), claims)
    assert reverse["verdict"] == "lower" and "LOWER" in comparison_text(reverse)
    (close,) = compare_recipes(rows_of("a", a) + rows_of("b", [value - 0.8 for value in b]), claims)
    assert close["difference"] == pytest.approx(0.2)
    assert close["verdict"] == "undecided" and "not decided" in comparison_text(close)
    (single,) = compare_recipes(rows_of("a", a) + rows_of("b", b[:1]), claims)
    assert (single["standard_error"], single["verdict"]) == (None, "undecided")
    assert "the spread over trainings is not known from one" in comparison_text(single)


def test_only_rows_of_one_schedule_are_compared():
    rows = (
        rows_of("a", [-90.0])
        + rows_of("b", [-89.0], at_most_epochs=8)
        + rows_of("b", [-80.0], num_samples=5000)
    )
    assert compare_recipes(rows, [("b", "a")]) == []
    failed = [row | {"status": "failed"} for row in rows_of("b", [-80.0])]
    assert compare_recipes(rows + failed, [("b", "a")]) == []
    assert len(compare_recipes(rows + rows_of("a", [-91.0], at_most_epochs=8), [("b", "a")])) == 1
    assert ("mnist-1layer-dreg-k50", "mnist-1layer-iwae-k50") in CLAIMS and (
        "mnist-1layer-iwae-k5",
        "mnist-1layer-vae-k1",
    ) in CLAIMS
