"""What `training/run.py` refuses: one clear line, and nothing left behind that keeps the right command from running."""

import io
import json
import shutil

import h5py
import numpy as np
import pytest

from lsps_tf import run_folder
from lsps_tf.camera import NYU
from lsps_tf.datasets.store import create_store, open_store
from tests.training.refusals import SHORT, refused, start
from training.session import run_session


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--labels", "1.5"], "--labels 1.5: it is a fraction of the real labels, from 0 to 1, or from 2 on"),
        (["--labels", "inf"], "--labels inf: it is a fraction"),
        (["--fit-label-share", "1"], "--fit-label-share 1: it is a part below 1, such as 0.25"),
        (["--labels", "-0.1"], "--labels -0.1: it is a fraction"),
        (["--labels", "nan"], "--labels nan: it is a fraction"),
        (["--method", "real", "--labels", "0"], "--method real trains on real labels alone and needs some"),
        (["--method", "synthetic-only", "--labels", "0.1"], "--method synthetic-only uses no real labels"),
        (["--depth-steps", "0"], "--depth-steps 0: without a depth stage nothing teaches the posterior stage"),
        (["--depth-steps", "0", "--method", "crossing-nets"], "the posterior stage of --method crossing-nets to read"),
        (["--stages", "depht"], "not 'depht'"),
        (["--depth-batches", "4"], "unknown setting '--depth-batches'; the nearest one is '--depth-batch'"),
        (["--sensor", "sonar"], "sonar"),
        (["--sim-real-frames", "0"], "--sim-real-frames 0: at least one frame is needed"),
        (["--image-size", "30"], "image_size: 30 is not divisible by 4"),
        (["--mapping", "code", "--mapping-widths", "8,8"], "mapping_widths: M ends in"),
        (["--dataset", "kinect"], "--dataset kinect: choose sim"),
        (["--dataset", "missing.h5"], "missing.h5: there is no such store"),
        (["--export", __file__], "test_bad_input.py is a file; give another folder for --export"),
        (["--export", f"{__file__}/model"], "test_bad_input.py is a file; give another folder for --export"),
        (
            ["--export", "model", "--stages", "pose"],
            "this run ends after the stage pose, and what can be exported",
        ),
        (["--pretrained", "nowhere"], "nowhere: this is no run folder"),
        (["--shard-frames", "0"], "--shard-frames 0: a shard holds at least one frame"),
        (["--dataset", "a.h5", "--shard-frames", "9"], "--shard-frames 9: a.h5 is made already"),
        (["--workers", "-1"], "--workers -1: it must be at least 0"),
        (["--workers", "2", "--cluster", "head:6379"], "--workers and --cluster: the cluster's cores are the workers"),
        (["--cluster", "head"], "--cluster head: give HOST:PORT of the cluster's head"),
        (["--stream"], "--stream: its frames have no end; leave out --sim-synthetic-frames, or --stream"),
        (["--dataset", "a.h5", "--stream"], "--stream: the simulator alone has frames without end; choose sim, sim-v2"),
    ],
)
def test_refused_before_anything_is_written(arguments, tmp_path, options, message):
    run_dir = tmp_path / "run"
    assert message in refused([*arguments, *options, "--run-dir", run_dir])
    assert not run_dir.exists()


def test_a_dataset_is_needed(tmp_path):
    assert "--dataset is needed" in refused(["--preset", "tiny", "--run-dir", tmp_path / "run"])


def test_an_existing_run_is_not_overwritten(arguments, copy_of_run):
    before = {path: path.read_bytes() for path in copy_of_run.rglob("*") if path.is_file()}
    assert "there is a run already; go on with --resume" in refused([*arguments, "--run-dir", copy_of_run])
    assert before == {path: path.read_bytes() for path in copy_of_run.rglob("*") if path.is_file()}


def test_a_run_folder_that_cannot_be_made(arguments, tmp_path):
    (tmp_path / "file").write_text("in the way")
    message = refused([*arguments, "--run-dir", tmp_path / "file" / "run"])
    assert "cannot be written" in message and "choose another folder" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "compact"], "this run was started with --preset tiny, not compact"),
        (["--seed", "5"], "this run was started with --seed 0, not 5"),
        (["--labels", "0.5"], "this run was started with --labels 0.0, not 0.5"),
        (["--depth-steps", "7"], "this run was started with --depth-steps 6, not 7"),
        (["--lambda-8-posterior", "2"], "--lambda-8-posterior 1.0, not 2.0"),
        (["--encoder-widths", "4,6,9"], "--encoder-widths (4, 6, 8), not (4, 6, 9)"),
        (["--method", "real"], "--method lsps, not real"),
        (["--dataset", "other.h5"], "--dataset sim, not other.h5"),
        (["--stages", "pose"], "--stages pose,depth,mapping,posterior, not pose"),
        (["--no-cycle"], "this run was started with --cycle, not --no-cycle"),
        (["--sim-real-frames", "99"], "--sim-real-frames 24, not 99"),
        (["--pretrained", "other"], "--pretrained , not"),
        (["--stream"], "this run was started with no --stream, not --stream"),
    ],
)
def test_a_run_goes_on_with_its_own_settings_alone(finished_run, options, message):
    said = refused(["--run-dir", finished_run, "--resume", *options])
    assert message in said and "leave the option out, or start a new run" in said


def test_repeating_a_runs_own_settings_is_fine(finished_run, arguments):
    own = [*arguments, "--log-every", "3", "--stages", "depth,pose, mapping, posterior", "--seed", "0"]
    assert run_session([*own, "--run-dir", str(finished_run), "--resume"]) == 0


def test_what_is_no_run_cannot_go_on(tmp_path, copy_of_run):
    assert "--resume: name the run with --run-dir" in refused(["--resume"])
    assert f"{tmp_path}: this is no run folder" in refused(["--run-dir", tmp_path, "--resume"])
    path = run_folder.settings_path(copy_of_run)
    values = json.loads(path.read_text())
    for damaged, message in (
        ("{", "the settings are damaged"),
        ("[]", "the settings are damaged"),
        (json.dumps({**values, "version": 99}), "made by version 99 of lsps-run"),
        (json.dumps({**values, "config": {"training": {"sede": 1}}}), "unknown setting 'sede'; the nearest one"),
    ):
        path.write_text(damaged)
        assert message in refused(["--run-dir", copy_of_run, "--resume"])


def test_weights_of_another_preset(finished_run, arguments, tmp_path):
    options = ["--encoder-widths", "4,6,12", "--pretrained", finished_run, "--run-dir", tmp_path / "run"]
    message = refused([*arguments, *options])
    assert "the weights belong to a run with another preset or skeleton" in message and "depth.h5" in message
    assert not (tmp_path / "run").exists()


def test_damaged_weights_and_checkpoints(copy_of_run, capsys):
    weights = run_folder.weights_path(copy_of_run, "pose")
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert run_session(["--run-dir", str(copy_of_run), "--resume"]) == 0
    said = capsys.readouterr().err
    assert f"{weights}: the weights cannot be read; they are made again from the last checkpoint" in said
    with h5py.File(weights) as file, h5py.File(io.BytesIO(whole)) as before:
        np.testing.assert_array_equal(file["pose_encoder/000"], before["pose_encoder/000"])
    weights.unlink()
    for data in (copy_of_run / "checkpoints" / "pose").glob("*.data*"):
        data.write_bytes(data.read_bytes()[:100])
    message = refused(["--run-dir", copy_of_run, "--resume"])
    assert "the checkpoint is damaged" in message and "to do this stage again" in message
    shutil.rmtree(copy_of_run / "checkpoints" / "pose")
    weights.write_bytes(whole[: len(whole) // 2])
    assert "the weights are damaged" in refused(["--run-dir", copy_of_run, "--resume"])


def test_stores_that_cannot_be_read(copy_of_store, tmp_path):
    run_dir = tmp_path / "run"
    whole = copy_of_store.read_bytes()
    copy_of_store.write_bytes(whole[:-2000])
    assert "cut short" in refused(start(copy_of_store, run_dir))
    copy_of_store.write_bytes(whole)
    with h5py.File(copy_of_store, "a") as file:
        file.attrs["version"] = 7
    assert "the store has version 7, this program reads version 1" in refused(start(copy_of_store, run_dir))
    copy_of_store.write_bytes(b"")
    assert "no HDF5 file" in refused(start(copy_of_store, run_dir))
    assert not run_dir.exists()


def test_stores_that_do_not_fit_the_run(copy_of_store, tmp_path):
    run_dir = tmp_path / "run"
    assert "--num-joints 16: the store" in refused(start(copy_of_store, run_dir, "--num-joints", "16"))
    sizes = ["--image-size", "64"]
    assert "its crops of 48 pixels are too small for --image-size 64" in refused(start(copy_of_store, run_dir, *sizes))
    with h5py.File(copy_of_store, "a") as file:
        file["real/train/joints_mm"][:] = np.nan
    assert "no frame of 'real/train' has labels" in refused(start(copy_of_store, run_dir, "--labels", "0.5"))
    with h5py.File(copy_of_store, "a") as file:
        del file["real/train"]
    assert "trains on 'real/train', of which this store has no frames" in refused(start(copy_of_store, run_dir))
    # Nothing of all this keeps the folder from its run.
    assert not run_folder.settings_path(run_dir).exists()
    with create_store(tmp_path / "empty.h5", "nyu", NYU, 48, {}):
        pass
    assert "the store holds no frames" in refused(start(tmp_path / "empty.h5", run_dir))


def test_a_store_that_shrank_cannot_go_on(copy_of_store, tmp_path, eagerly):
    run_dir = tmp_path / "run"
    assert run_session([str(part) for part in start(copy_of_store, run_dir, *SHORT)]) == 0
    with open_store(copy_of_store) as store:
        rows, camera = store.read("synthetic/train", np.arange(3)), store.info.camera
    with create_store(tmp_path / "small.h5", "nyu", camera, 48, {}) as store:
        store.append("synthetic/train", rows)
    (tmp_path / "small.h5").replace(copy_of_store)
    assert "bring the run's store back, or start a new run" in refused(["--run-dir", run_dir, "--resume"])
    copy_of_store.unlink()
    assert "there is no such store" in refused(["--run-dir", run_dir, "--resume"])
