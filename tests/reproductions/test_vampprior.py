"""The VampPrior table on small recipes.

Values, stored results, resumed trainings, and errors that concern one row alone.
"""

import json
import re
import signal

import jax.numpy as jnp
import numpy as np
import pytest

import jensen
from jensen import cli
from jensen._files import exclusive
from jensen.evidence import estimate_evidence
from jensen.evidence.importance import Importance
from jensen.progress import FitProgress
from jensen.reproductions import _recipes
from jensen.sessions import stream_key

RECIPE = """
[data]
source = "digits"
[model]
latent_dim = 3
[prior]
name = "{prior}"
[network]
hidden = [12]
[training]
epochs = 6
learning_rate = {rate}
warm_up = 3
cool_down = 4
patience = 0
optimiser = "adam_norm_grad"
"""
PUBLISHED = """
[sources]
rerun = "Somebody (2020)"
original = "Somebody else (2018)"
[figures]
digits-vae-vamp = [
    { source = "rerun", value = -25.0, spread = 0.5, basis = "read" },
    { source = "original", value = -24.0, basis = "from memory" },
]
digits-vae-standard_normal = [{ source = "original", value = -26.0, basis = "second-hand" }]
mnist-vae-vamp = [{ source = "original", value = -80.0, basis = "read" }]
"""


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A shelf of small recipes in place of the shipped ones."""
    folder = tmp_path / "reproductions" / "vampprior" / "recipes"
    folder.mkdir(parents=True)
    for prior in ("vamp", "standard_normal"):
        (folder / f"digits-vae-{prior}.toml").write_text(
            RECIPE.format(prior=prior, rate=0.002).replace('"vamp"', '"vamp"\nnum_components = 4')
        )
    (folder.parent / "published.toml").write_text(PUBLISHED)
    monkeypatch.setattr(_recipes, "REPRODUCTIONS", tmp_path / "reproductions")
    monkeypatch.chdir(tmp_path)
    return folder


def call(capsys, *arguments):
    code = cli.run(["reproduce", "vampprior", "--out", "out", "--num-samples", "60", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def rows_of(out):
    return {row["recipe"]: row for row in json.loads(out)["rows"]}


def test_a_row_is_the_evidence_of_the_best_model_beside_the_published_figures(
    shelf, capsys, tmp_path
):
    code, out, err = call(capsys, "--json")
    assert code == 0
    rows = rows_of(out)
    assert list(rows) == [
        "digits-vae-vamp",
        "digits-vae-standard_normal",
    ]  # in the order of the published list
    row = rows["digits-vae-vamp"]
    run = jensen.load("out/digits-vae-vamp")
    estimate = estimate_evidence(
        run.model, run.dataset.test, Importance(num_samples=60), key=stream_key(0, "evidence")
    )
    assert row["log_p"] == pytest.approx(estimate.value, abs=1e-9)
    assert row["standard_error"] == pytest.approx(
        np.sqrt((estimate.standard_errors**2).sum()) / 360
    )
    assert row["data_error"] == pytest.approx(estimate.values.std(ddof=1) / np.sqrt(360))
    assert [f["difference"] for f in row["published"]] == pytest.approx(
        [estimate.value + 25, estimate.value + 24]
    )
    assert (
        row["epochs"],
        row["shortened"],
        row["status"],
        run.config["training"]["optimiser"],
    ) == (6, False, "done", "adam_norm_grad")
    assert row["seconds"] == pytest.approx(sum(r["seconds"] for r in run.history), abs=0.01)
    assert "[2/2] digits-vae-standard_normal: log p(x) = " in err
    assert (
        json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
        == json.loads(out)["rows"]
    )
    written = (tmp_path / "out" / "results.md").read_text()
    assert re.search(
        rf"\| digits-vae-vamp \| {estimate.value:.2f} \+- [\d.]+ \| rerun -25.00 \+- 0.50, "
        rf"original -24.00\? \| {estimate.value + 25:+.2f} \| 6/6 \|",
        written,
    )
    assert "rerun: Somebody (2020)." in written
    assert (tmp_path / "out" / "published.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_what_is_done_is_skipped_and_what_is_damaged_is_made_again(
    shelf, capsys, tmp_path, monkeypatch
):
    first = rows_of(call(capsys, "--json", "--only", "digits-vae-vamp")[1])
    stored = tmp_path / "out" / "digits-vae-vamp" / "evidence" / "test-60.npz"
    times = {
        p: p.stat().st_mtime_ns
        for p in (tmp_path / "out" / "digits-vae-vamp").rglob("*")
        if p.is_file()
    }
    assert rows_of(call(capsys, "--json", "--only", "digits-vae-vamp")[1]) == first
    assert {p: p.stat().st_mtime_ns for p in times} == times
    stored.write_bytes(stored.read_bytes()[:100])
    again = rows_of(call(capsys, "--json", "--only", "digits-vae-vamp")[1])["digits-vae-vamp"]
    assert again["log_p"] == first["digits-vae-vamp"]["log_p"]
    # Other sample counts, seeds and schedules are other rows, and never taken for one another.
    other = rows_of(call(capsys, "--json", "--only", "digits-vae-vamp", "--epochs", "5")[1])[
        "digits-vae-vamp"
    ]
    assert (other["run"], other["shortened"], other["warm_up"]) == (
        "out/digits-vae-vamp-epochs5",
        True,
        2,
    )
    seeded = rows_of(call(capsys, "--json", "--only", "digits-vae-vamp", "--seed", "3")[1])[
        "digits-vae-vamp"
    ]
    assert seeded["run"] == "out/digits-vae-vamp-seed3"
    assert len({r["log_p"] for r in (again, other, seeded)}) == 3
    runs = [
        row["run"] for row in json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    ]
    assert runs == [
        "out/digits-vae-vamp",
        "out/digits-vae-vamp-epochs5",
        "out/digits-vae-vamp-seed3",
    ]
    call(
        capsys, "--only", "digits-vae-vamp", "--out", str(tmp_path / "out")
    )  # the same folder by another name
    again = [
        row["run"].replace(str(tmp_path) + "/", "")
        for row in json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    ]
    assert again == runs
    _, out, _ = call(capsys, "--only", "digits-vae-vamp", "--epochs", "5")
    assert "shortened: 5 of 6 epochs, warm-up 2; 60 importance samples, not 5000" in out


@pytest.mark.parametrize("at", [3, pytest.param(6, marks=pytest.mark.slow)])
def test_ctrl_c_exits_with_130_and_the_same_command_goes_on_exactly(
    shelf, capsys, monkeypatch, tmp_path, at
):
    straight = rows_of(call(capsys, "--json", "--only", "digits-vae-vamp", "--out", "straight")[1])[
        "digits-vae-vamp"
    ]
    shown = FitProgress.epoch

    def stop(self, record):
        shown(self, record)
        if record["epoch"] == at:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(FitProgress, "epoch", stop)
    code, out, err = call(capsys, "--json")
    assert (code, out) == (130, "")
    assert "Stopped; what is done is kept in out. The same command goes on from there." in err
    assert jensen.load("out/digits-vae-vamp").status == ("interrupted" if at == 3 else "completed")
    assert not (tmp_path / "out" / "digits-vae-standard_normal").exists()
    monkeypatch.setattr(FitProgress, "epoch", shown)
    _, listed, _ = call(capsys, "--list")
    assert ("interrupted at epoch 3" if at == 3 else "trained") in listed
    assert "digits-vae-standard_normal" in listed and "not begun" in listed
    code, out, _ = call(capsys, "--json")
    assert code == 0
    assert rows_of(out)["digits-vae-vamp"]["log_p"] == straight["log_p"]


def test_a_run_killed_before_its_first_checkpoint_or_its_last_record_goes_on(shelf, capsys):
    first = rows_of(call(capsys, "--json", "--only", "digits-vae-vamp")[1])["digits-vae-vamp"]
    run = jensen.load("out/digits-vae-vamp")
    run.update(status="running", outcome=None)
    assert (
        rows_of(call(capsys, "--json", "--only", "digits-vae-vamp")[1])["digits-vae-vamp"]["log_p"]
        == first["log_p"]
    )
    assert jensen.load("out/digits-vae-vamp").status == "completed"
    run.update(status="running", outcome=None)
    for path in run.checkpoints.folder.glob("*.sha256"):
        path.unlink()
    assert (
        rows_of(call(capsys, "--json", "--only", "digits-vae-vamp")[1])["digits-vae-vamp"]["log_p"]
        == first["log_p"]
    )


def test_a_damaged_checkpoint_is_the_fault_of_its_row_alone(shelf, capsys):
    assert call(capsys, "--json", "--only", "digits-vae-vamp")[0] == 0
    run = jensen.load("out/digits-vae-vamp")
    victim = max(
        (p for p in (run.checkpoints.folder / "6").rglob("*") if p.is_file()),
        key=lambda p: p.stat().st_size,
    )
    victim.write_bytes(victim.read_bytes()[:-1])
    (run.path / "evidence" / "test-60.npz").unlink()
    code, out, _ = call(capsys, "--json")
    rows = rows_of(out)
    assert code == 1
    assert re.search(r"checkpoint of epoch 6 .* is damaged", rows["digits-vae-vamp"]["message"])
    assert rows["digits-vae-standard_normal"]["status"] == "done"


@pytest.mark.slow
def test_one_row_that_fails_says_so_and_the_others_go_on(shelf, capsys, monkeypatch):
    import pooch

    def no_network(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(pooch, "retrieve", no_network)
    monkeypatch.setenv("XDG_CACHE_HOME", "nowhere")
    monkeypatch.setattr("jensen.datasets._files._user_cache", lambda: shelf / "cache")
    diverging = (
        RECIPE.format(prior="standard_normal", rate=1e6)
        .replace("warm_up = 3", "warm_up = 0")
        .replace('"adam_norm_grad"', '"adam"')
    )
    (shelf / "digits-vae-standard_normal.toml").write_text(
        diverging.replace("epochs = 6", "epochs = 60") + "[encoder]\nmax_log_scale = 90.0\n"
    )
    (shelf / "mnist-vae-vamp.toml").write_text(
        (shelf / "digits-vae-vamp.toml").read_text().replace("digits", "mnist")
    )
    code, out, _ = call(capsys, "--json", "--data-dir", str(shelf))
    rows = rows_of(out)
    assert code == 1
    assert {name: row["status"] for name, row in rows.items()} == {
        "digits-vae-vamp": "done",
        "digits-vae-standard_normal": "diverged",
        "mnist-vae-vamp": "failed",
    }
    assert re.search(
        r"epoch \d+, batch \d+ of 13, was not finite.*Remove out/digits-vae-standard_normal",
        rows["digits-vae-standard_normal"]["message"],
    )
    assert "train-images-idx3-ubyte.gz of mnist was not found" in rows["mnist-vae-vamp"]["message"]
    assert "log_p" not in rows["mnist-vae-vamp"]
    assert (
        rows_of(call(capsys, "--json", "--data-dir", str(shelf))[1])["digits-vae-standard_normal"][
            "status"
        ]
        == "diverged"
    )
    # A recipe that has changed since is not what is in the folder.
    (shelf / "digits-vae-vamp.toml").write_text(
        (shelf / "digits-vae-vamp.toml").read_text().replace("0.002", "0.001")
    )
    code, out, _ = call(capsys, "--json", "--only", "digits-vae-vamp")
    assert code == 1
    assert (
        "made with other settings (training.learning_rate 0.002, now 0.001)"
        in rows_of(out)["digits-vae-vamp"]["message"]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["vampprior", "--only", "digits-vae-vmap"],
            "no recipe 'digits-vae-vmap' (did you mean 'digits-vae-vamp'?)",
        ),
        (["vampprior", "--epochs", "0"], "epochs must be at least 1; got 0"),
        (
            ["vampprior", "--num-samples", "1"],
            "num_samples must be at least 2, or there is no standard error; got 1",
        ),
        (["vampprior", "--run", "runs/x"], "reproduction 'vampprior' has no option 'run'"),
        (["vampprior", "--set", "epochs=many"], "reproduction 'vampprior': epochs "),
        (["vampprior", "--set", "epoch=3"], "has no option 'epoch' (did you mean 'epochs'?)"),
        (
            ["vamprior"],
            (
                "unknown reproduction 'vamprior' (did you mean 'vampprior'?); known: divergences, "
                "iwae, posteriordb, "
            ),
        ),
        (
            ["vampprior", "--out", "reproductions/vampprior/recipes/digits-vae-vamp.toml"],
            "is a file; --out wants a folder",
        ),
    ],
)
def test_wrong_input_exits_with_2_before_anything_is_written(
    shelf, capsys, tmp_path, arguments, message
):
    assert cli.run(["reproduce", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert [p.name for p in tmp_path.iterdir()] == ["reproductions"]


def test_two_processes_do_not_work_in_one_folder(shelf, capsys, tmp_path):
    with exclusive(tmp_path / "out"):
        code, _, err = call(capsys)
    assert code == 1
    assert "another process is at work here" in err
    with exclusive(tmp_path / "out"):
        pass  # and it was let go


def test_without_a_name_the_reproductions_are_listed(capsys):
    assert cli.run(["reproduce", "--json"]) == 0
    listed = [entry["name"] for entry in json.loads(capsys.readouterr().out)["reproductions"]]
    assert listed == [
        "divergences",
        "iwae",
        "posteriordb",
        "prior-ladder",
        "temperature",
        "vampprior",
    ]
    assert cli.run(["reproduce", "vampprior", "--list", "--json", "--out", "nowhere"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == 20 and rows[0]["file"].endswith(
        "vampprior/recipes/mnist-vae-standard_normal.toml"
    )


def test_a_killed_folder_of_somebody_else_is_left_alone(shelf, capsys, tmp_path):
    (tmp_path / "out" / "digits-vae-vamp").mkdir(parents=True)
    (tmp_path / "out" / "digits-vae-vamp" / "thesis.tex").write_text("years of work")
    code, out, _ = call(capsys, "--json", "--only", "digits-vae-vamp")
    assert code == 1
    assert (
        "thesis.tex is nothing that jensen writes into a run"
        in rows_of(out)["digits-vae-vamp"]["message"]
    )
    assert (tmp_path / "out" / "digits-vae-vamp" / "thesis.tex").read_text() == "years of work"


def test_the_picture_has_every_figure_at_its_place():
    from jensen.reports._style import WIDE, styled
    from jensen.reproductions._published_picture import published_figure

    def row(recipe, ours, *published):
        figures = [{"source": s, "value": v, "spread": e, "basis": b} for s, v, e, b in published]
        return {
            "recipe": recipe,
            "log_p": ours,
            "standard_error": 0.1,
            "shortened": False,
            "seed": 0,
            "at_most_epochs": 9,
            "published": figures,
        }

    rows = [
        row(
            "mnist-vae-vamp",
            -82.5,
            ("rerun", -82.43, 0.06, "read"),
            ("original", -82.38, None, "from memory"),
        ),
        row("caltech101-vae-vamp", -115.0, ("original", -114.55, None, "second-hand")),
    ]
    with styled():
        figure = published_figure(rows, WIDE)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["mnist", "caltech101"]
    for axes, wanted in zip(figure.axes, ([-82.43, -82.38, -82.5], [-114.55, -115.0])):
        containers = axes.containers
        assert [float(c.lines[0].get_xdata()[0]) for c in containers] == wanted
        low, high = containers[-1].lines[2][0].get_segments()[0][:, 0]
        assert (low, high) == pytest.approx((wanted[-1] - 0.2, wanted[-1] + 0.2))
    assert jnp.isfinite(figure.get_size_inches()).all()
