"""Damage to checkpoints is noticed before anything is loaded, and the last good one is offered."""

import errno
import os

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random as jr

from jensen._files import write_atomically
from jensen.models.vae import vae
from jensen.training import CheckpointError, Checkpoints
from jensen.training.state import initial_state


def state_at(epoch):
    model = vae((4,), latent_dim=2, network={"name": "dense", "hidden": (3,)}, key=jr.key(0))
    state = initial_state(model, optax.adam(1e-3))
    return eqx.tree_at(
        lambda s: (s.epoch, s.parameters.decoder.head.bias),
        state,
        (jnp.asarray(epoch, jnp.int32), jnp.full(4, float(epoch))),
    )


@pytest.fixture
def saved(tmp_path):
    for epoch in (3, 7):
        Checkpoints(tmp_path).save(state_at(epoch))
    return tmp_path


def largest_file(folder):
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def truncate(folder):
    path = largest_file(folder / "7")
    path.write_bytes(path.read_bytes()[:-1])


def flip_one_bit(folder):
    path = largest_file(folder / "7")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def remove_a_file(folder):
    largest_file(folder / "7").unlink()


def add_a_file(folder):
    (folder / "7" / "extra").write_text("x")


def spoil_the_checksums(folder):
    (folder / "7.sha256").write_text("{")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, "was altered or truncated"),
        (flip_one_bit, "was altered or truncated"),
        (remove_a_file, "is missing"),
        (add_a_file, "extra was added"),
        (spoil_the_checksums, "its checksums cannot be read"),
    ],
)
def test_damage_is_noticed_and_the_previous_good_checkpoint_is_offered_and_works(
    saved, damage, words
):
    damage(saved)
    with pytest.raises(
        CheckpointError,
        match=rf"epoch 7 in .* is damaged \(.*{words}.*\). The checkpoint of epoch 3 is good: choose it with --checkpoint 3",
    ):
        Checkpoints(saved).restore(state_at(0))
    restored = Checkpoints(saved).restore(state_at(0), epoch=3)
    assert int(restored.epoch) == 3
    np.testing.assert_array_equal(restored.parameters.decoder.head.bias, np.full(4, 3.0))


def test_when_none_is_good_that_is_said(saved):
    for epoch in ("3", "7"):
        largest_file(saved / epoch).unlink()
    with pytest.raises(CheckpointError, match="No other good checkpoint is left"):
        Checkpoints(saved).restore(state_at(0))


def test_an_unfinished_checkpoint_does_not_count_and_is_written_over(saved):
    (saved / "7.sha256").unlink()  # a kill between orbax's rename and our checksums
    assert Checkpoints(saved).epochs() == [3]
    assert int(Checkpoints(saved).restore(state_at(0)).epoch) == 3
    Checkpoints(saved).save(state_at(7))
    assert int(Checkpoints(saved).restore(state_at(0)).epoch) == 7


def test_checksums_without_their_folder_do_not_count(saved):
    (saved / "9.sha256").write_text("{}")
    assert Checkpoints(saved).epochs() == [3, 7]


def test_no_checkpoint_and_an_unknown_epoch_are_named(tmp_path, saved):
    with pytest.raises(CheckpointError, match=r"holds no finished checkpoint.*--overwrite"):
        Checkpoints(tmp_path / "none").restore(state_at(0))
    with pytest.raises(CheckpointError, match="has no checkpoint of epoch 5; it has 3, 7"):
        Checkpoints(saved).restore(state_at(0), epoch=5)


def test_the_newest_two_are_kept(saved):
    Checkpoints(saved).save(state_at(10))
    assert Checkpoints(saved).epochs() == [7, 10]
    assert sorted(p.name for p in saved.iterdir()) == ["10", "10.sha256", "7", "7.sha256"]


def test_a_failure_while_saving_leaves_the_earlier_ones_good(saved, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("jensen._files.os.replace", full)
        with pytest.raises(OSError, match="No space left"):
            Checkpoints(saved).save(state_at(10))
    assert Checkpoints(saved).epochs() == [3, 7]
    assert int(Checkpoints(saved).restore(state_at(0)).epoch) == 7


@pytest.mark.parametrize("failing", ["os.replace", "os.fsync"])
def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, failing):
    path = tmp_path / "run.json"
    write_atomically(path, "old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"jensen._files.{failing}", full)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["run.json"]
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
