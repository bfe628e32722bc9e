"""What feeds a run: the simulator without end and without a store to train on, and what then cannot be asked for."""

import h5py
import numpy as np
import pytest

from lsps_tf import run_folder
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from training import callbacks
from training.session import STOPPED, run_session

TINY = ["--dataset", "sim", "--preset", "tiny", "--sim-test-frames", "6"]
STREAM = [*TINY, "--stream"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--labels", "0.1"], "--stream: --labels takes its real labels from a store; leave out --stream"),
        (["--method", "real"], "--stream: --method real takes its real labels from a store"),
        (["--recipe", "fitting"], "--stream: rounds of fitting go over the frames of a store"),
        (["--shard-frames", "64"], "--stream: its frames have no end; leave out --shard-frames"),
        (["--workers", "0"], "--workers 0: with --stream other processes simulate, at least 1"),
    ],
)
def test_options_that_need_a_store_are_refused(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        run_session([*STREAM, *options])
    assert message in str(error.value) and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_streamed_run_that_was_stopped_ends_as_one_that_was_not(tmp_path, monkeypatch):
    stages = ["--method", "synthetic-only", "--pose-steps", "4", "--posterior-steps", "6", "--workers", "1"]
    command = [*STREAM, *stages, "--data-root", str(tmp_path / "data")]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run_session([*command, "--run-dir", str(whole)]) == 0
    settings = run_folder.read_settings(whole)
    assert settings.stream and settings.frames == {"real/validation": 6, "real/test": 6}
    with open_store(settings.store) as store:
        assert store.splits() == {"real/test": 6, "real/validation": 6}

    on_train_batch_end = callbacks.Position.on_train_batch_end

    def interrupted(self, *given):
        on_train_batch_end(self, *given)
        if int(self.step) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Position, "on_train_batch_end", interrupted)
        assert run_session([*command, "--run-dir", str(stopped), "--checkpoint-every", "1"]) == STOPPED
    resumed = [*command, "--run-dir", str(stopped), "--resume", "--checkpoint-every", "1"]
    assert run_session(resumed) == 0
    for stage in settings.stages:
        with (
            h5py.File(run_folder.weights_path(whole, stage)) as first,
            h5py.File(run_folder.weights_path(stopped, stage)) as second,
        ):
            names: list[str] = []
            first.visit(names.append)
            names = [name for name in names if isinstance(first[name], h5py.Dataset)]
            assert names
            for name in names:
                np.testing.assert_array_equal(first[name][...], second[name][...])
