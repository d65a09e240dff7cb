"""A folder that is moved or deleted, a disk that is full, a kill or a hang-up: noticed, said, and
gone on from."""

import json
import os
import re
import shutil
import signal

import numpy as np
import pytest

import jensen
from command_line import call
from jensen._checksums import to_checked_json
from jensen.config import Config
from jensen.progress import FitProgress
from jensen.recording import stop_on_signals
from jensen.runs import RunError
from jensen.sessions import account_of, resume_run, start_run
from jensen.training import Checkpoints
from small_runs import SETTINGS, every_byte, leaves


@pytest.fixture
def at_epoch(monkeypatch):
    """A function: from then on `action` is called when an epoch of that number is done."""

    def install(number, action):
        monkeypatch.setattr(
            FitProgress,
            "epoch",
            lambda self, record: action() if record["epoch"] == number else None,
        )

    return install


def test_a_run_moved_in_mid_training_is_saved_where_it_is(run, at_epoch, tmp_path):
    straight, _ = resume_run(jensen.load(run), epochs=9, progress=False)
    shutil.rmtree(run)
    run_again = tmp_path / "again"
    config = Config.read(straight.run.config | {"training": SETTINGS["training"] | {"epochs": 9}})
    config.training = config.training.__class__(**straight.run.config["training"])
    at_epoch(6, lambda: os.rename(run_again, tmp_path / "moved"))
    with pytest.raises(
        RunError,
        match=r"again was moved while it was trained, to .*moved; .* stopped after epoch 6, and its "
        r"state was saved there. Go on with: jensen fit --resume .*moved",
    ):
        start_run(config, run_again, overwrite=False, progress=False)
    assert not run_again.exists()
    moved = jensen.load(tmp_path / "moved")
    assert moved.status == "interrupted"
    assert [r["epoch"] for r in moved.history] == [1, 2, 3, 4, 5, 6]
    assert not (tmp_path / "moved" / ".lock").exists()
    resumed, _ = resume_run(moved, progress=False)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(leaves(resumed.last), leaves(straight.last), strict=True)
    )


@pytest.mark.parametrize("epoch", [5, 6])  # in the middle, and when nothing is to be trained more
def test_a_run_deleted_in_mid_training_is_no_success(run, at_epoch, capsys, epoch):
    at_epoch(epoch, lambda: shutil.rmtree(run))
    code, out, err = call(capsys, "fit", "--resume", str(run), "--epochs", "6", "--json")
    assert code == 1
    assert out == ""
    assert f"{run} was deleted, or moved out of reach, while it was being written" in err
    assert "could not be saved" in err
    assert not run.exists()  # and it did not come to life again, half empty


def test_another_run_in_the_place_of_a_deleted_one_is_not_touched(run, finished, at_epoch):
    def replace():
        shutil.rmtree(run)
        shutil.copytree(finished, run)

    at_epoch(5, replace)
    with pytest.raises(RunError, match="was deleted, or moved out of reach"):
        resume_run(jensen.load(run), epochs=6, progress=False)
    assert every_byte(run) == every_byte(finished)


def test_an_account_of_a_deleted_run_is_not_stored(run, monkeypatch):
    from jensen.sessions import evaluation

    loaded = jensen.load(run)
    made = loaded.account
    _ = loaded.model, loaded.dataset

    def account(*_, **__):
        shutil.rmtree(run)
        return made

    monkeypatch.setattr(evaluation, "account", account)
    with pytest.raises(RunError, match="was deleted, or moved out of reach"):
        account_of(loaded, "train")
    assert not run.exists()


def fill_the_disk(monkeypatch, epoch, error):
    """From `epoch` on, orbax writes a part of a checkpoint and raises `error`."""
    import orbax.checkpoint as ocp

    save = ocp.Checkpointer.save

    def full(self, path, *arguments, **options):
        if int(path.name) < epoch:
            return save(self, path, *arguments, **options)
        (path.parent / f"{path.name}.orbax-checkpoint-tmp" / "d").mkdir(parents=True)
        raise error

    monkeypatch.setattr(ocp.Checkpointer, "save", full)


ORBAX = (
    "RESOURCE_EXHAUSTED: Failed to write 5637 bytes to file 7: No space left [os_error_code='28']"
)


@pytest.mark.parametrize("error", [ValueError(ORBAX), OSError(28, "No space left on device")])
def test_a_full_disk_in_a_checkpoint_is_one_error_and_the_run_goes_on(
    run, finished, monkeypatch, capsys, error
):
    with monkeypatch.context() as patch:
        fill_the_disk(patch, 6, error)
        code, _, err = call(capsys, "fit", "--resume", str(run), "--epochs", "7")
    assert code == 1
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("jensen:")]) == 1
    assert f"{run} could not be written: no space is left on the disk" in err
    assert "The checkpoint of epoch 5 is intact; free some space and go on with: " in err
    assert f"jensen fit --resume {run}" in err
    names = sorted(p.name for p in (run / "checkpoints").iterdir())
    assert names == ["4", "4.sha256", "5", "5.sha256"]
    resumed, _ = resume_run(jensen.load(run), progress=False)
    assert [r["epoch"] for r in jensen.load(run).history] == [1, 2, 3, 4, 5, 6, 7]
    assert resumed.outcome.status == "completed"


def test_too_little_space_is_refused_before_a_checkpoint_is_begun(run, monkeypatch):
    usage = shutil.disk_usage(run)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000))
    with pytest.raises(RunError, match=r"no space is left on the disk .*checkpoints/5.*epoch 4 is"):
        resume_run(jensen.load(run), epochs=5, progress=False)


def test_what_a_kill_left_half_written_is_removed_at_the_next_start(run):
    folder = run / "checkpoints"
    for name in (
        "5.orbax-checkpoint-tmp/d",
        "4.orbax-checkpoint-tmp",
        "6",
        "99.orbax-checkpoint-tmp-1",
    ):
        (folder / name).mkdir(parents=True)
    (folder / "9.sha256").write_text("{}")
    (folder / ".6.sha256.ab12cd_4").write_text("{")
    resume_run(jensen.load(run), epochs=5, progress=False)
    assert sorted(p.name for p in folder.iterdir()) == ["4", "4.sha256", "5", "5.sha256"]
    assert Checkpoints(folder).epochs() == [4, 5]


@pytest.mark.parametrize("status", ["completed", "running"])
def test_a_run_killed_in_its_last_account_is_finished_by_resume(
    run, capsys, without_drawing, status
):
    """Killed after its last record ('completed'), or between the last checkpoint and that."""
    shutil.rmtree(run / "accounts")
    record = json.loads((run / "run.json").read_text())
    del record["sha256"]
    before = jensen.load(run)
    (run / "run.json").write_text(to_checked_json(record | {"status": status}))
    code, out, err = call(capsys, "fit", "--resume", str(run), "--json")
    assert code == 0, err
    after = jensen.load(run)
    assert after.status == "completed"
    assert after.history == before.history  # nothing was trained
    assert json.loads(out)["account"]["elbo"]["value"] == after.account.elbo.value
    assert (run / "report.html").exists()
    code, _, err = call(capsys, "fit", "--resume", str(run))
    assert code == 1
    assert re.search(r"has done all its 4 epochs.*--epochs 8", err)


@pytest.fixture
def hang_up_ends():
    """SIGHUP ends this process, also where the tests were started by nohup, which ignores it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_up_ends")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_each_signal_that_ends_a_process_asks_the_training_to_stop(number):
    before = signal.getsignal(number)
    with stop_on_signals() as asked:
        assert not asked()
        signal.raise_signal(number)
        assert asked()
        signal.raise_signal(signal.SIGTERM)  # a second one, as service managers send, loses nothing
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(number) is before


def test_nohup_stays_in_force():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as asked:
            signal.raise_signal(signal.SIGHUP)
            assert not asked()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_up_ends")
def test_a_hang_up_saves_and_says_how_to_go_on(run, at_epoch, capsys):
    at_epoch(5, lambda: signal.raise_signal(signal.SIGHUP))
    code, _, err = call(capsys, "fit", "--resume", str(run), "--epochs", "7")
    assert code == 130
    assert f"Saved. Go on with: jensen fit --resume {run}" in err
    assert jensen.load(run).checkpoints.epochs()[-1] == 5
    assert jensen.load(run).status == "interrupted"
