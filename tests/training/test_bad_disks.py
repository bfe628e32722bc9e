"""`training/run.py` where a disk is full, data vanish, or it is stopped while data are made: what is done stays."""

import errno
import os
import pathlib
import re

import pytest
import tensorflow as tf

from lsps_tf import run_folder
from lsps_tf.datasets.store import StoreFile
from tests.training.refusals import SHORT, refused, start
from training import callbacks
from training.data import table
from training.session import STOPPED, run_session


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_while_the_data_is_made(arguments, tmp_path, eagerly, monkeypatch):
    monkeypatch.setattr("lsps_tf.datasets.store.StoreFile.append", no_space)
    command = [*arguments, "--data-root", str(tmp_path / "data"), "--run-dir", str(tmp_path / "run")]
    message = refused(command)
    assert "the disk is full" in message and "sim-v1" in message
    assert not list((tmp_path / "data").rglob("*.h5"))
    # After some space is freed, the same command starts again.
    assert not run_folder.settings_path(tmp_path / "run").exists()


def test_ctrl_c_while_the_data_is_made(arguments, tmp_path, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(table, "ensure_store", stop)
    command = [*arguments, "--run-dir", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as status:
        run_session(command)
    assert status.value.code == STOPPED and not run_folder.settings_path(tmp_path / "run").exists()
    said = capsys.readouterr().err.strip().splitlines()
    assert "what is made is kept" in said[-2]
    assert said[-1].split()[0] == "python" and " ".join(command) in said[-1]


def test_a_full_disk_while_a_checkpoint_is_saved(arguments, tmp_path, eagerly, monkeypatch):
    command = [*arguments, *SHORT, "--checkpoint-every", "1", "--run-dir", str(tmp_path / "run")]
    write = tf.train.Checkpoint.write

    def second_fails(self, prefix):
        if prefix.endswith("-1"):
            return write(self, prefix)
        raise tf.errors.ResourceExhaustedError(None, None, "{{function_node x}} ckpt; No space left [Op:SaveV2]")

    with monkeypatch.context() as patch:
        patch.setattr(tf.train.Checkpoint, "write", second_fails)
        message = refused(command)
    assert "the checkpoint cannot be written (ckpt; No space left); free some space and go on with --resume" in message
    assert not run_folder.weights_path(tmp_path / "run", "pose").exists()
    kept = sorted(path.name for path in (tmp_path / "run" / "checkpoints" / "pose").iterdir())
    assert kept == ["ckpt-1.data-00000-of-00001", "ckpt-1.index"]
    assert run_session(["--run-dir", str(tmp_path / "run"), "--resume"]) == 0


def test_a_full_disk_while_weights_are_saved(arguments, tmp_path, eagerly, monkeypatch):
    run_dir = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "write_bytes", half_written)
        message = refused([*arguments, *SHORT, "--run-dir", run_dir])
    assert "weights/pose.h5: the disk is full" in message
    assert not list((run_dir / "weights").iterdir())
    assert run_session(["--run-dir", str(run_dir), "--resume"]) == 0


@pytest.mark.parametrize("change", ["cut", "gone"])
def test_data_that_vanish_during_the_training(copy_of_store, tmp_path, eagerly, monkeypatch, change):
    """What was trained until then is saved; the run goes on when the store is back."""
    run_dir, whole = tmp_path / "run", copy_of_store.read_bytes()
    short = ["--method", "synthetic-only", "--stages", "pose,regression", "--pose-steps", "1"]
    end = callbacks.Position.on_train_batch_end

    def lose(self, batch, logs=None):
        end(self, batch, logs)
        if self.model.name.startswith("regression") and int(self.step) == 2:
            os.truncate(copy_of_store, 5000)

    with monkeypatch.context() as patch:
        if change == "cut":
            patch.setattr(callbacks.Position, "on_train_batch_end", lose)
        else:
            patch.setattr("lsps_tf.datasets.store.StoreFile.read", lost_after(3))
        message = refused(start(copy_of_store, run_dir, *short, "--posterior-steps", "40"))
    assert f"{copy_of_store}: frames of 'synthetic/train' cannot be read" in message
    step = int(re.search(r"; the run stopped after step (\d+) and is saved$", message)[1])
    assert step >= 2 and (run_dir / "checkpoints" / "regression" / f"ckpt-{step}.index").exists()
    copy_of_store.write_bytes(whole)
    assert run_session(["--run-dir", str(run_dir), "--resume"]) == 0


def lost_after(count):
    """`StoreFile.read` that finds the disk gone after so many batches."""
    read, left = StoreFile.read, iter(range(count))

    def wrapped(self, split, indices):
        with self._read_errors(split):
            if next(left, None) is None:
                raise OSError(errno.EIO, "Input/output error")
        return read(self, split, indices)

    return wrapped


def half_written(path, data):
    with path.open("wb") as file:
        file.write(data[: len(data) // 2])
    no_space()


def test_a_full_disk_while_the_log_is_written(arguments, tmp_path, eagerly, monkeypatch):
    run_dir = tmp_path / "run"
    opened = pathlib.Path.open
    with monkeypatch.context() as patch:
        patch.setattr(
            pathlib.Path,
            "open",
            lambda path, mode="r", **options: no_space() if mode == "a" else opened(path, mode, **options),
        )
        message = refused([*arguments, *SHORT, "--run-dir", run_dir])
    assert "metrics.jsonl: the disk is full" in message
    assert run_session(["--run-dir", str(run_dir), "--resume"]) == 0
