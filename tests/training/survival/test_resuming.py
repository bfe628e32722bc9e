"""Runs that are stopped, killed and gone on with: they end like those that were not."""

import os
import pathlib
import shlex
import shutil
import signal

import numpy as np
import pytest

from lsps_tf import run_folder
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from tests.training.run_files import assert_same_weights, metrics, weights
from training import callbacks, session
from training.methods import LSPS
from training.session import STOPPED, run_session

STAGES = LSPS.stages


@pytest.fixture
def stopping(monkeypatch):
    """Sends Ctrl-C to a run after a given step of a stage."""
    end, plan = callbacks.Progress.on_train_batch_end, {}

    def on_train_batch_end(self, batch, logs=None):
        end(self, batch, logs)
        if plan.get(self.name) == int(self.step):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(callbacks.Progress, "on_train_batch_end", on_train_batch_end)
    return plan


@pytest.mark.parametrize("how", ["eagerly", pytest.param("in_graphs", marks=pytest.mark.slow)])
def test_a_run_that_was_stopped_in_every_stage_ends_like_one_that_never_was(
    how, request, arguments, tmp_path, stopping, capsys
):
    run_dir = tmp_path / "a run"
    common = [*arguments, "--log-every", "3"]
    if how == "eagerly":
        request.getfixturevalue(how)
        common += ["--pose-steps", "20", "--depth-steps", "4", "--posterior-steps", "4", "--depth-average", "0.5"]
        finished_run = tmp_path / "whole"
        assert run_session([*common, "--run-dir", str(finished_run)]) == 0
    else:
        finished_run = request.getfixturevalue("finished_run")
    capsys.readouterr()
    stopping.update(pose=17, depth=3, mapping=2, posterior=2)
    command = [*common, "--run-dir", str(run_dir)]
    for number, stage in enumerate(STAGES):
        assert run_session(command) == STOPPED
        said = capsys.readouterr().err
        assert "Stopped and saved. Go on with:\n" in said
        printed = shlex.split(said.strip().splitlines()[-1])
        assert printed[0] == "python" and pathlib.Path(printed[1]).samefile("training/run.py")
        # Weights have their final name when their stage is finished, and not before.
        assert sorted(path.stem for path in run_dir.glob("weights/*")) == sorted(STAGES[:number])
        assert (run_dir / "checkpoints" / stage / f"ckpt-{stopping[stage]}.index").exists()
        command = printed[2:]
        with pytest.raises(InputError, match="the run is not finished; go on with"):
            run_folder.load_run(run_dir)
    assert run_session(command) == 0
    assert_same_weights(finished_run, run_dir, STAGES)
    assert [(line["stage"], line["step"]) for line in metrics(run_dir)] == [
        (line["stage"], line["step"]) for line in metrics(finished_run)
    ]
    # A finished run has nothing left to do.
    before = run_folder.weights_path(run_dir, "posterior").stat().st_mtime_ns
    assert run_session(command) == 0
    assert run_folder.weights_path(run_dir, "posterior").stat().st_mtime_ns == before


def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(arguments, tmp_path, eagerly, monkeypatch):
    command = [*arguments, "--stages", "pose", "--pose-steps", "8", "--checkpoint-every", "3"]
    whole, killed = (tmp_path / name for name in ("whole", "killed"))
    assert run_session([*command, "--run-dir", str(whole)]) == 0
    with monkeypatch.context() as patch:
        end = callbacks.Position.on_train_batch_end

        def die(self, batch, logs=None):
            end(self, batch, logs)
            if int(self.step) == 5:
                raise MemoryError

        patch.setattr(callbacks.Position, "on_train_batch_end", die)
        with pytest.raises(MemoryError):
            run_session([*command, "--run-dir", str(killed)])
    assert (killed / "checkpoints" / "pose" / "ckpt-3.index").exists()
    assert run_session(["--run-dir", str(killed), "--resume"]) == 0
    assert_same_weights(whole, killed, ["pose"])


def test_a_store_that_grew_meanwhile_changes_nothing(arguments, tmp_path, eagerly, stopping, store_path):
    grown = tmp_path / "grown.h5"
    grown.write_bytes(store_path.read_bytes())
    command = ["--dataset", str(grown), "--preset", "tiny", "--labels", "0.3", "--stages", "pose", "--pose-steps", "6"]
    assert run_session([*command, "--run-dir", str(tmp_path / "whole")]) == 0
    stopping["pose"] = 2
    assert run_session([*command, "--run-dir", str(tmp_path / "stopped")]) == STOPPED
    larger = pathlib.Path(shutil.copy(grown, tmp_path / "larger.h5"))
    with open_store(larger, "a") as store:
        for split in ("synthetic/train", "real/train"):
            store.append(split, store.read(split, np.arange(9)))
    larger.replace(grown)
    assert run_session(["--run-dir", str(tmp_path / "stopped"), "--resume"]) == 0
    assert_same_weights(tmp_path / "whole", tmp_path / "stopped", ["pose"])


def test_a_second_ctrl_c_still_says_how_to_go_on(arguments, tmp_path, eagerly, monkeypatch, capsys):
    def interrupt(self, batch, logs=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(callbacks.Position, "on_train_batch_end", interrupt)
    assert run_session([*arguments, "--run-dir", str(tmp_path / "run")]) == STOPPED
    said = capsys.readouterr().err
    assert "Stopped; what was saved before is kept. Go on with:" in said and said.strip().endswith("--resume")


@pytest.mark.parametrize("where", ["_train", "show_end"])
def test_sigterm_between_the_steps_says_how_to_go_on(copy_of_run, monkeypatch, capsys, where):
    before = signal.getsignal(signal.SIGTERM)

    def stop(*_):
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        # As TensorFlow does while it traces.
        raise AttributeError("what a library makes of it")

    with monkeypatch.context() as patch:
        patch.setattr(session, where, stop)
        assert run_session(["--run-dir", str(copy_of_run), "--resume"]) == STOPPED
    assert "Stopped; what was saved before is kept. Go on with:" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_one_command_starts_a_run_and_goes_on_with_it(arguments, tmp_path, eagerly, stopping, capsys):
    """For a machine that may be taken away at any moment."""
    run_dir = tmp_path / "run"
    command = [*arguments, "--resume", "--stages", "pose", "--pose-steps", "4", "--run-dir", str(run_dir)]
    stopping["pose"] = 2
    assert run_session(command) == STOPPED
    assert run_session(command) == 0 and weights(run_dir, "pose")
    with pytest.raises(InputError, match="--resume: name the run with --run-dir"):
        run_session([*arguments, "--resume"])


@pytest.mark.parametrize("name", ["test[1]", "a\\b*"])
def test_a_stage_goes_on_in_a_folder_of_any_name(arguments, tmp_path, eagerly, name):
    """It goes on from the last checkpoint; two are kept."""
    run_dir = tmp_path / name
    short = ["--method", "synthetic-only", "--stages", "pose", "--pose-steps", "3", "--checkpoint-every", "1"]
    assert run_session([*arguments, *short, "--run-dir", str(run_dir)]) == 0
    checkpoints = sorted(path.name for path in (run_dir / "checkpoints" / "pose").iterdir())
    assert checkpoints == [f"ckpt-{n}.{part}" for n in (2, 3) for part in ("data-00000-of-00001", "index")]
    before = weights(run_dir, "pose")
    shutil.rmtree(run_dir / "weights")
    assert run_session(["--run-dir", str(run_dir), "--resume"]) == 0
    for variable, value in weights(run_dir, "pose").items():
        np.testing.assert_array_equal(value, before[variable])
    assert any((run_dir / "tensorboard" / "pose").iterdir())
