"""`evaluate.py --predictions`: the six published results, and files and runs side by side."""

import json
import pathlib
import types

import numpy as np
import pytest

from lsps_tf import camera, skeleton
from lsps_tf.datasets.importing import Target, import_store
from lsps_tf.datasets.public import icvl
from lsps_tf.datasets.public.source import RecordedSource
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.networks import build_networks
from lsps_tf.prediction_files import read_joints_uvd, write_joints_uvd
from lsps_tf.presets import PRESETS
from lsps_tf.run_folder import RunSettings, load_run, save_weights, weights_path, write_settings
from tests.datasets.official_trees import PUBLISHED, write_icvl, write_nyu
from training.evaluation import measure
from training.evaluation.command import run_evaluation

KNOWN = {
    "nyu": {
        "CVWW15_NYU_Prior.txt": (20.75, 49.24),
        "ICCV15_NYU_Feedback.txt": (15.97, 65.85),
        "IJCAI16_NYU_DeepModel.txt": (17.04, 58.20),
        "ICCVW17_NYU_DeepPrior++.txt": (12.24, 83.53),
    },
    "icvl": {"CVPR14_LRF_Results.txt": (12.58, 70.86), "IJCAI16_ICVL_DeepModel.txt": (11.56, 84.02)},
}


def evaluate(*arguments):
    return run_evaluation([str(argument) for argument in arguments])


@pytest.mark.parametrize("dataset", ["nyu", "icvl"])
def test_published_results_come_out(dataset, tmp_path):
    folder = PUBLISHED / dataset
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: the published predictions are not part of the project")
    files = [folder / name for name in KNOWN[dataset]]
    labels = ["--groundtruth", folder / "groundtruth_uvd.txt", "--output", tmp_path]
    evaluate("--dataset", dataset, "--predictions", *files, *labels, "--json", tmp_path / "all.json")
    results = json.loads((tmp_path / "all.json").read_text())["results"]
    for name, (mean_mm, within_percent) in KNOWN[dataset].items():
        figures = results[pathlib.Path(name).stem]
        assert figures["mean_error_mm"] == pytest.approx(mean_mm, abs=0.01)
        assert figures["within_40_mm_percent"] == pytest.approx(within_percent, abs=0.01)
        assert len(figures["per_joint_mm"]) == len(skeleton.SKELETONS[dataset].evaluated)
    for picture in ("curve.png", "joints.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    true_mm = rng.normal((0, 0, 800), 30.0, (20, 14, 3))
    paths = {}
    for name, offset in (("labels", 0.0), ("near", 6.0), ("far", 50.0)):
        paths[name] = tmp_path / f"{name}.txt"
        uvd = camera.mm_to_uvd(true_mm + np.array([0.0, offset, 0.0]), camera.NYU.intrinsics.astype(np.float64))
        write_joints_uvd(paths[name], uvd)
    return paths


def test_one_file_gives_its_figures_at_the_top(files, tmp_path, capsys):
    target = tmp_path / "one.json"
    given = ["--predictions", files["near"], "--groundtruth", files["labels"], "--output", tmp_path / "out"]
    evaluate("--dataset", "nyu", *given, "--json", target)
    summary = json.loads(target.read_text())
    assert summary["mean_error_mm"] == pytest.approx(6.0, abs=0.01)
    assert summary["within_40_mm_percent"] == 100.0 and summary["frames"] == 20
    assert summary["curve"]["percent"][5] == 0.0 and summary["curve"]["percent"][7] == 100.0
    assert "6.00 mm" in capsys.readouterr().out


def test_several_files_share_a_table(files, tmp_path, capsys):
    given = ["--predictions", files["near"], files["far"], "--groundtruth", files["labels"]]
    evaluate("--dataset", "nyu", *given, "--output", tmp_path / "out")
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("near")).split()[1:4] == ["20", "6.00", "100.00"]
    assert next(line for line in lines if line.startswith("far")).split()[1:4] == ["20", "50.00", "0.00"]
    assert next(line for line in lines if line.startswith("pinky tip")).split()[2:] == ["6.00", "50.00"]


def test_many_files_make_rows_and_not_columns(files, tmp_path, capsys):
    paths = [tmp_path / f"result_of_checkpoint_{number:03d}.txt" for number in range(60)]
    for path in paths:
        path.write_bytes(b"\xef\xbb\xbf" + files["near"].read_bytes().replace(b"\n", b" \r\n"))
    given = ["--predictions", *paths, "--groundtruth", files["labels"], "--output", tmp_path / "out"]
    evaluate("--dataset", "nyu", *given)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 140
    last = [line.split() for line in lines if line.startswith("result_of_checkpoint_059")]
    # The summary, the shares, and 14 joints; all joints are 6 mm off.
    assert last[0][1:3] == ["20", "6.00"]
    values = [value for row in last[1:] for value in row[1:]]
    assert len(values) == len(measure.TABLE_MM) + 14 and values[-14:] == ["6.00"] * 14


def test_the_datasets_own_labels_are_the_default(tmp_path, monkeypatch):
    labels = write_nyu(tmp_path / "data" / "nyu", train=2, test=3)["test"]
    monkeypatch.chdir(tmp_path)
    write_joints_uvd(tmp_path / "a.txt", labels[:, list(skeleton.NYU.evaluated)])
    evaluate("--dataset", "nyu", "--predictions", "a.txt", "--json", "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["mean_error_mm"] < 2e-3


def test_what_does_not_fit_is_said(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LSPS_DATA", raising=False)
    near = ["--predictions", files["near"]]
    with pytest.raises(InputError, match="--dataset"):
        evaluate(*near)
    with pytest.raises(InputError, match="--groundtruth: give a file of labels.*data/nyu"):
        evaluate(*near, "--dataset", "nyu")
    short = tmp_path / "short.txt"
    short.write_text("".join(files["labels"].read_text().splitlines(keepends=True)[:7]))
    with pytest.raises(InputError, match=r"near\.txt: 20 rows, but the labels have 7"):
        evaluate(*near, "--dataset", "nyu", "--groundtruth", short)
    with pytest.raises(InputError, match="--run-dir is needed"):
        evaluate()


@pytest.fixture(scope="module")
def icvl_run(tmp_path_factory):
    """An untrained tiny run on an ICVL store of five test frames."""
    folder = tmp_path_factory.mktemp("icvl")
    _, tests = write_icvl(folder / "data", train=4, test=5, rotated=False)
    splits = icvl.recordings(folder / "data")
    config = PRESETS["tiny"].replace(num_joints=16, cube_mm=icvl.CUBE_MM)
    sources = {split: RecordedSource(frames, icvl.CUBE_MM, config.data.image_size) for split, frames in splits.items()}
    source = {"made_by": "icvl", "mirrored": True}
    target = Target(folder / "a.h5", "icvl", camera.ICVL, config.data.image_size, icvl.CUBE_MM, source)
    import_store(target, sources)
    ends = {"last_stage": "regression", "domain": "synthetic"}
    settings = RunSettings(config, "synthetic-only", "icvl", "icvl", str(folder / "a.h5"), **ends)
    write_settings(folder / "run", settings)
    networks = build_networks(config.network, config.data.image_size, seed=0)
    save_weights(networks, weights_path(folder / "run", "regression"))
    return folder / "run", np.stack(list(tests.values()))


def test_own_predictions_are_written_as_the_camera_saw_the_hand(icvl_run, tmp_path):
    run_dir, true_uvd = icvl_run
    path = tmp_path / "own.txt"
    evaluate("--run-dir", run_dir, "--write-predictions", path, "--output", tmp_path / "out")
    run = load_run(run_dir)
    predictions = measure.predict_store(run)
    intrinsics = camera.ICVL.intrinsics.astype(np.float64)
    written_mm = camera.uvd_to_mm(read_joints_uvd(path, skeleton.ICVL), intrinsics)
    np.testing.assert_allclose(written_mm * [-1, 1, 1], predictions.predicted_mm, atol=0.01)
    # The error is the same in the store's mirrored space and in the camera's.
    own = measure.summarize(predictions, skeleton.ICVL)
    expected = np.linalg.norm(written_mm - camera.uvd_to_mm(true_uvd, intrinsics), axis=-1).mean()
    assert own["mean_error_mm"] == pytest.approx(expected, abs=0.01)


def test_a_run_stands_beside_published_files(icvl_run, tmp_path, monkeypatch):
    run_dir, true_uvd = icvl_run
    labels, shifted = tmp_path / "labels.txt", tmp_path / "shifted.txt"
    write_joints_uvd(labels, true_uvd)
    write_joints_uvd(shifted, true_uvd + np.array([0, 0, 10.0]))
    given = ["--predictions", shifted, "--groundtruth", labels, "--run-dir", run_dir]
    evaluate("--dataset", "icvl", *given, "--json", tmp_path / "a.json")
    results = json.loads((tmp_path / "a.json").read_text())["results"]
    own = measure.summarize(measure.predict_store(load_run(run_dir)), skeleton.ICVL)
    assert results["run run"]["mean_error_mm"] == pytest.approx(own["mean_error_mm"], abs=0.01)
    assert 10.0 < results["shifted"]["mean_error_mm"] < 12.0
    assert (run_dir / "evaluation" / "comparison-icvl" / "curve.png").is_file()
    # Without a file and without the dataset's folder the labels are those of the run's store.
    monkeypatch.chdir(tmp_path)
    evaluate("--dataset", "icvl", "--predictions", labels, "--run-dir", run_dir, "--json", tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["results"]["labels"]["mean_error_mm"] < 2e-3
    write_joints_uvd(labels, true_uvd[:, :14])
    with pytest.raises(InputError, match="made from 'icvl', so it is no result on nyu"):
        evaluate("--dataset", "nyu", "--predictions", labels, "--groundtruth", labels, "--run-dir", run_dir)


def test_predictions_of_a_store_with_gaps_are_not_written(icvl_run, tmp_path):
    run_dir, _ = icvl_run
    run = load_run(run_dir)
    predictions = measure.predict_store(run)
    kept = [0, 1, 3]
    holed = measure.Predictions(predictions.rows[kept], predictions.predicted_mm[kept], predictions.true_mm[kept])
    with pytest.raises(InputError, match="were left out"):
        measure.write_predictions(run, "test", holed, tmp_path / "a.txt")
    with open_store(run.store_path) as store:
        assert store.info.source["mirrored"] is True


def test_joints_of_a_turned_recording_are_given_as_its_camera_saw_them():
    """A quarter turn clockwise makes (x, y, z) of the camera (-y, x, z) upright."""
    turned = types.SimpleNamespace(source={"rotation_degrees": 90, "mirrored": [1]}, camera=camera.NYU)
    store = types.SimpleNamespace(info=turned)
    joints_mm = np.array([[[-2.0, 1.0, 500.0]], [[2.0, 1.0, 500.0]]])
    recorded_mm = measure.as_recorded(store, joints_mm, np.array([0, 1]))
    np.testing.assert_array_equal(recorded_mm, [[[1.0, 2.0, 500.0]], [[1.0, 2.0, 500.0]]])
    seen_by = measure.recording_camera(store)
    assert (seen_by.width, seen_by.height, seen_by.fx) == (480, 640, camera.NYU.fy)
