"""One process at a time writes a run folder, and a process that dies lets it go."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import jensen
from command_line import call
from jensen._locks import NAME, FolderInUseError, FolderLock
from jensen._notes import Note
from jensen.runs import RunError
from small_runs import every_byte

HOLD = """
import sys, time
from pathlib import Path
from jensen._locks import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(100)
"""


@pytest.fixture
def holder(run):
    """Another process that writes `run`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize(
    "command",
    [
        ["account", "RUN", "--num-samples", "5"],
        ["account", "RUN", "--split", "both"],
        ["account", "RUN", "--try", "mixture"],
        ["evidence", "RUN", "--num-samples", "5", "--no-sandwich"],
        ["report", "RUN"],
        ["fit", "--resume", "RUN", "--epochs", "6"],
        ["fit", "DATA", "--likelihood", "normal", "--hidden", "8", "--out", "RUN", "--overwrite"],
    ],
)
def test_a_second_writer_is_refused_by_name(run, finished, holder, capsys, command):
    before = every_byte(run)
    names = {"RUN": str(run), "DATA": str(finished.parent / "x.npy")}
    code, _, err = call(capsys, *[names.get(part, part) for part in command])
    assert code == 1
    assert f"process {holder.pid} on {socket.gethostname()}" in err
    assert f"stop it with: kill {holder.pid}" in err
    assert every_byte(run) == before


def test_readers_need_no_lock(run, holder, capsys, tmp_path):
    assert call(capsys, "encode", str(run), "--out", str(tmp_path / "codes.npz"))[0] == 0
    assert call(capsys, "compare", str(run), str(run))[0] == 0


def test_a_killed_writer_leaves_a_lock_that_is_taken_over_with_a_word(run, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (run / NAME).exists()
    opened = jensen.load(run)
    with pytest.warns(Note, match=rf"process {holder.pid} on .* died while it wrote .*/run"):
        opened.acquire()
    with pytest.raises(RunError, match=rf"process {os.getpid()} on"):
        jensen.load(run).acquire()
    opened.release()
    assert not (run / NAME).exists()


def test_a_lock_of_another_machine_is_left_alone(run):
    other = {"pid": 1, "host": "elsewhere", "boot": "another", "since": "2026-01-01 00:00:00"}
    (run / NAME).write_text(json.dumps(other))
    with pytest.raises(FolderInUseError, match=r"process 1 on elsewhere, .* remove .*/\.lock"):
        FolderLock(run)
    assert json.loads((run / NAME).read_text()) == other
    (run / NAME).unlink()
    FolderLock(run).release()


def test_a_lock_of_this_machine_before_it_started_again_is_taken_over(run):
    other = {"pid": 1, "host": socket.gethostname(), "boot": "before", "since": ""}
    (run / NAME).write_text(json.dumps(other))
    lock = FolderLock(run)
    assert "process 1 on" in lock.taken_over
    lock.release()


def test_where_the_system_has_no_locks_the_process_named_decides(run, holder, monkeypatch):
    import errno
    import fcntl

    def unsupported(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(FolderInUseError, match=f"process {holder.pid} on"):
        FolderLock(run)
    holder.kill()
    holder.wait()
    lock = FolderLock(run)
    assert lock.taken_over
    lock.release()


def test_never_two_holders(tmp_path):
    """Threads that take and let go as fast as they can: no two are ever within at once."""
    within, most, wins = 0, 0, 0
    guard = threading.Lock()

    def work():
        nonlocal within, most, wins
        for _ in range(200):
            try:
                lock = FolderLock(tmp_path)
            except FolderInUseError:
                continue
            with guard:
                within += 1
                wins += 1
                most = max(most, within)
            with guard:
                within -= 1
            lock.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert wins > 10


def test_a_folder_is_followed_where_it_goes(tmp_path):
    (tmp_path / "a").mkdir()
    lock = FolderLock(tmp_path / "a")
    assert lock.in_place()
    assert lock.whereabouts() == tmp_path / "a"
    (tmp_path / "a").rename(tmp_path / "b")
    assert not lock.in_place()
    assert lock.whereabouts() == tmp_path / "b"
    (tmp_path / "a").mkdir()  # another folder of that name
    assert not lock.in_place()
    assert lock.whereabouts() == tmp_path / "b"
    lock.release()
    assert not list(Path(tmp_path / "b").iterdir())


def test_a_deleted_folder_is_nowhere(tmp_path):
    import shutil

    (tmp_path / "a").mkdir()
    lock = FolderLock(tmp_path / "a")
    shutil.rmtree(tmp_path / "a")
    assert lock.whereabouts() is None
    lock.release()
    assert not (tmp_path / "a").exists()
