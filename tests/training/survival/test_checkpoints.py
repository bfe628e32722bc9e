"""Checkpoints through kills and damage: what is there afterwards is whole, or is said to be damaged."""

import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.errors import InputError
from training.survival import checkpoints
from training.survival.checkpoints import StageCheckpoints, saved_steps


def stage(folder, value=0.0, step=0):
    """Checkpoints of one weight and its position."""
    checkpoint = tf.train.Checkpoint(
        weight=tf.Variable(np.full([50, 20], value, np.float32)), step=tf.Variable(step, dtype=tf.int64)
    )
    return StageCheckpoints(checkpoint, folder), checkpoint


def saved(folder, *steps):
    for step in steps:
        stage(folder, value=step, step=step)[0].save()


def restored(folder):
    kept, checkpoint = stage(folder, value=-1.0)
    kept.restore()
    (value,) = np.unique(checkpoint.weight)
    return int(checkpoint.step), float(value)


def part(folder, step, name):
    (path,) = folder.glob(f"ckpt-{step}.{name}*")
    return path


def test_the_last_two_are_kept(tmp_path):
    assert saved_steps(tmp_path / "none") == [] and restored(tmp_path) == (0, -1.0)
    saved(tmp_path, 2, 10, 9)
    # 10 was written before 9, so the stage went back behind it: it is of no use any more.
    assert sorted(saved_steps(tmp_path)) == [2, 9] and restored(tmp_path) == (9, 9.0)
    saved(tmp_path, 10, 11)
    assert sorted(saved_steps(tmp_path)) == [10, 11] and len(list(tmp_path.iterdir())) == 4


def test_checkpoints_of_older_versions_are_read(tmp_path):
    """Those had a file that names the last one."""
    _, checkpoint = stage(tmp_path, value=5.0, step=5)
    tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=1).save(checkpoint_number=5)
    assert restored(tmp_path) == (5, 5.0)
    saved(tmp_path, 6)
    assert sorted(saved_steps(tmp_path)) == [5, 6] and not (tmp_path / "checkpoint").exists()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["data", "index"])
@pytest.mark.parametrize(
    "damage", [cut, flip, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(os.urandom(3000))]
)
def test_a_torn_checkpoint_is_named_and_the_one_before_taken(tmp_path, capsys, name, damage):
    saved(tmp_path, 3, 4)
    damage(part(tmp_path, 4, name))
    assert restored(tmp_path) == (3, 3.0)
    said = capsys.readouterr().err
    assert said.startswith(f"{tmp_path / 'ckpt-4'}: the checkpoint is damaged (") and said.count("\n") == 1
    assert said.endswith("; going on from 3\n")
    # The next one takes its place.
    saved(tmp_path, 4)
    assert restored(tmp_path) == (4, 4.0) and not capsys.readouterr().err


def test_without_a_whole_one_nothing_is_thrown_away(tmp_path):
    saved(tmp_path, 3, 4)
    before = sorted(path.name for path in tmp_path.iterdir())
    for step in (3, 4):
        cut(part(tmp_path, step, "data"))
    with pytest.raises(InputError, match=r"ckpt-4: the checkpoint is damaged \(.*\); delete .* to do this stage again"):
        restored(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_checkpoint_of_other_networks(tmp_path):
    saved(tmp_path, 3)
    checkpoint = tf.train.Checkpoint(weight=tf.Variable(np.zeros([7, 7], np.float32)), step=tf.Variable(0, tf.int64))
    with pytest.raises(InputError, match=r"ckpt-3: the checkpoint is of other settings"):
        StageCheckpoints(checkpoint, tmp_path).restore()


@pytest.fixture
def photographed(tmp_path, monkeypatch):
    """Copies of the folder as a kill would leave it: before each operation that changes what is on the disk."""
    copies = []

    def before(function):
        def call(*arguments, **options):
            copies.append(shutil.copytree(tmp_path / "run", tmp_path / f"killed-{len(copies)}"))
            return function(*arguments, **options)

        return call

    def watch():
        for name in ("replace", "unlink", "mkdir"):
            monkeypatch.setattr(pathlib.Path, name, before(getattr(pathlib.Path, name)))
        monkeypatch.setattr(tf.train.Checkpoint, "write", before(tf.train.Checkpoint.write))
        monkeypatch.setattr(checkpoints, "_sync", before(checkpoints._sync))

    yield watch, copies


def test_a_kill_while_saving_leaves_a_whole_checkpoint(tmp_path, photographed, monkeypatch, capsys):
    watch, copies = photographed
    saved(tmp_path / "run", 1, 2)
    watch()
    saved(tmp_path / "run", 3)
    monkeypatch.undo()
    # A folder, the files in it, these and their folder to the disk, two names, and three files fewer.
    assert len(copies) == 10
    found = [restored(folder) for folder in copies]
    # The index, which is renamed by the sixth, is what makes it a checkpoint.
    assert found == [(2, 2.0)] * 6 + [(3, 3.0)] * 4 and not capsys.readouterr().err
    for folder in copies:
        saved(folder, 4)
        assert restored(folder) == (4, 4.0) and len(saved_steps(folder)) == 2
        assert not (folder / ".saving").exists() and len(list(folder.iterdir())) == 4
