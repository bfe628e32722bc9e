"""A training goes on and a model opens whatever letters its path has."""

import os

import pytest
import tensorflow as tf

from lsps_tf import tensorflow_paths
from lsps_tf.errors import InputError
from lsps_tf.tensorflow_paths import is_plain, plain_folder

NAMES = ["test[1]", "a\\b", "seed*", "what?", "[", "plain", os.fsdecode(b"\xfc")]


@pytest.mark.parametrize("name", NAMES)
def test_checkpoints_are_kept_and_restored(tmp_path, name):
    folder = tmp_path / name / "checkpoints"
    folder.mkdir(parents=True)
    # What a pattern would find, too.
    (tmp_path / "test1" / "checkpoints").mkdir(parents=True)
    variable = tf.Variable([1.0, 2.0])
    with plain_folder(folder) as plain:
        manager = tf.train.CheckpointManager(tf.train.Checkpoint(v=variable), plain, max_to_keep=1)
        for number in (20, 40, 60):
            manager.save(checkpoint_number=number)
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint",
        "ckpt-60.data-00000-of-00001",
        "ckpt-60.index",
    ]
    variable.assign([0.0, 0.0])
    with plain_folder(folder) as plain:
        checkpoint = tf.train.Checkpoint(v=variable)
        checkpoint.restore(tf.train.CheckpointManager(checkpoint, plain, 1).latest_checkpoint).assert_consumed()
    assert variable.numpy().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_saved_model_is_written_and_read(tmp_path, name):
    module = tf.Module()
    module.factor = tf.Variable(3.0)
    module.times = tf.function(lambda x: x * module.factor, input_signature=[tf.TensorSpec([])])
    (tmp_path / name).mkdir()
    with plain_folder(tmp_path / name) as plain:
        tf.saved_model.save(module, plain)
    with plain_folder(tmp_path / name) as plain:
        loaded = tf.saved_model.load(plain)
    assert float(loaded.times(tf.constant(2.0))) == 6.0


def test_plain_paths_stay_and_others_leave_no_file_open(tmp_path, monkeypatch):
    with plain_folder(tmp_path) as plain:
        assert plain == str(tmp_path) and is_plain(tmp_path)
    (tmp_path / "[1]").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    with plain_folder(tmp_path / "[1]") as plain:
        assert is_plain(plain) and (tmp_path / "[1]").samefile(plain)
    assert len(os.listdir("/proc/self/fd")) == before
    monkeypatch.setattr(tensorflow_paths, "_OPEN_FILES", tmp_path / "none")
    with pytest.raises(InputError, match=r"\[1\]: TensorFlow cannot use a path with"), plain_folder(tmp_path / "[1]"):
        pass
