"""`--overwrite` removes a run of jensen's and nothing else, and what is refused changes nothing."""

import os

import pytest

from command_line import call
from jensen.runs.replacing import check_replaceable, first_foreign, fresh_folder
from small_runs import every_byte


def test_all_that_jensen_writes_is_its_own(run, capsys, tmp_path):
    assert first_foreign(run) is None
    for arguments in (["sample", str(run)], ["encode", str(run)]):
        assert call(capsys, *arguments)[0] == 0
    for name in (
        "figures/sandwich.png",
        "evidence/annealed.npz",
        "report.html",
        ".run.json.ab12_xyz",
    ):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).touch()
    (run / "checkpoints" / "9.orbax-checkpoint-tmp" / "d").mkdir(parents=True)
    (run / "checkpoints" / "9.orbax-checkpoint-tmp" / "d" / "part").touch()
    (run / "checkpoints" / "8").mkdir()
    assert first_foreign(run) is None
    check_replaceable(run, overwrite=True)


@pytest.mark.parametrize(
    "name",
    [
        "thesis.tex",
        "notes/thesis.tex",
        "accounts/thesis.tex",
        "evidence/draft/a.npz",
        "figures/drawing.ai",
        "checkpoints/thesis.tex",
        "checkpoints/4/thesis.tex",
        "checkpoints/mine/4",
        ".git/config",
        "run.json.orig",
    ],
)
def test_what_is_foreign_is_named_and_stays(run, name):
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).write_text("years of work")
    before = every_byte(run)
    with (
        pytest.raises(ValueError, match=r"will not be overwritten: .* is nothing that jensen"),
        fresh_folder(run, overwrite=True),
    ):
        pass
    assert every_byte(run) == before


def test_links_are_foreign_and_what_they_point_to_stays(run, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "a.png").write_text("years of work")
    (run / "figures").symlink_to(tmp_path / "thesis")
    with pytest.raises(ValueError, match=r"figures is nothing that"):
        check_replaceable(run, overwrite=True)
    (run / "figures").unlink()
    (tmp_path / "link").symlink_to(run)
    with pytest.raises(ValueError, match="is a symbolic link; it will not be overwritten"):
        check_replaceable(tmp_path / "link", overwrite=True)
    assert (tmp_path / "thesis" / "a.png").read_text() == "years of work"


@pytest.mark.parametrize("name", ["config.toml", "run.json", "metrics.jsonl", "checkpoints/1/x"])
def test_names_like_ours_make_no_run(tmp_path, name):
    project = tmp_path / "project"
    (project / name).parent.mkdir(parents=True)
    (project / name).write_text('[tool]\nname = "theirs"\n')
    with pytest.raises(ValueError, match="is not a run folder"):
        check_replaceable(project, overwrite=True)


def test_half_written_and_damaged_runs_of_ours_can_be_replaced(run):
    (run / "run.json").write_text('{"format": 1, "sta')
    check_replaceable(run, overwrite=True)
    (run / "run.json").unlink()
    check_replaceable(run, overwrite=True)
    (run / "config.toml").write_text("seed = 1\n")
    with pytest.raises(ValueError, match="is not a run folder"):
        check_replaceable(run, overwrite=True)


def test_a_failure_puts_the_old_run_back(run):
    before = every_byte(run)

    def fail():
        with fresh_folder(run, overwrite=True):
            (run / "config.toml").write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fail()
    assert every_byte(run) == before
    assert [p.name for p in run.parent.iterdir()] == ["run"]


def test_a_new_folder_takes_the_place_of_the_old_one(run, tmp_path):
    with fresh_folder(run, overwrite=True) as lock:
        assert [p.name for p in run.iterdir()] == [".lock"]
    assert lock.in_place()
    lock.release()
    assert os.listdir(run) == []
    assert os.listdir(tmp_path) == ["run"]


def test_a_folder_that_cannot_be_made_is_named(run):
    for out in (run / "run.json" / "deeper", run / "run.json"):
        with (
            pytest.raises(ValueError, match=r"run.json.*(cannot be made|exists)"),
            fresh_folder(out, overwrite=False),
        ):
            pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checkpoint", "3", "--epochs", "3"], "has done all its 3 epochs"),
        (["--epochs", "2"], "is of epoch 4, and --epochs 2 is fewer"),
        (["--checkpoint", "9"], "no checkpoint of epoch 9"),
        (["--epochs", "0"], "epochs must be at least 1; got 0"),
        (["--epochs", "9", "--patience", "-1"], "patience must be at least 0"),
        (["--prior", "vamp"], "prior may not"),
    ],
)
def test_a_refused_resume_changes_no_byte(run, capsys, arguments, message):
    before = every_byte(run)
    code, _, err = call(capsys, "fit", "--resume", str(run), *arguments)
    assert code in (1, 2)
    assert message in err
    assert every_byte(run) == before


def test_a_resume_without_its_data_changes_no_byte(finished, run, capsys, tmp_path):
    text = (run / "config.toml").read_text().partition("\n")[2]
    gone = text.replace(str(finished.parent / "x.npy"), str(tmp_path / "gone.npy"))
    (run / "config.toml").write_text(gone)
    before = every_byte(run)
    code, _, err = call(capsys, "fit", "--resume", str(run), "--epochs", "9")
    assert code == 2
    assert "gone.npy" in err
    assert every_byte(run) == before
