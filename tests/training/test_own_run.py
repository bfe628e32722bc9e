"""`--dataset frames` to the end: both hands told apart, every format, few labels, and none."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from lsps_tf import camera, mirror
from lsps_tf.datasets.own.hands import FEWEST_FRAMES
from lsps_tf.datasets.store import open_store
from lsps_tf.depth_files import write_depth_png16
from lsps_tf.errors import InputError
from lsps_tf.prediction_files import read_joints_uvd
from lsps_tf.run_folder import read_settings, write_settings
from lsps_tf.skeleton import NYU
from tests.scene_frames import CAMERA, hand_frames
from training.evaluation.command import run_evaluation
from training.session import run_session

UNIT_MM, COUNT = 0.5, FEWEST_FRAMES + 4
LABELLED = 10
SHORT = ["--pose-steps", "2", "--depth-steps", "2", "--posterior-steps", "2", "--log-every", "1"]


def write(path, depth_mm):
    counts = np.rint(depth_mm / UNIT_MM).astype(np.uint16)
    if path.suffix == ".npy":
        np.save(path, counts)
    elif path.suffix == ".tiff":
        Image.fromarray(counts).save(path)
    else:
        write_depth_png16(path, depth_mm, UNIT_MM)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Right hands in files of every format, and a video of left ones of which the first are labelled."""
    folder = tmp_path_factory.mktemp("mine")
    for number, depth_mm in enumerate(hand_frames("bare", COUNT, 1)[0]):
        write(folder / f"{number}{('.png', '.tiff', '.npy')[number % 3]}", depth_mm)
    depth_mm, joints_mm = hand_frames("bare", COUNT, 2)
    left_mm = mirror.mirror_depth(depth_mm)
    np.savez_compressed(folder / "take.npz", depth=np.rint(left_mm / UNIT_MM).astype(np.uint16))
    uvd = mirror.mirror_uvd(camera.mm_to_uvd(joints_mm, CAMERA.intrinsics), CAMERA.width)
    columns = [f"{joint}_{axis}" for joint in NYU.joint_names for axis in "uvd"]
    lines = [",".join([f"take.npz#{n}", *map(str, joints.ravel())]) for n, joints in enumerate(uvd[:LABELLED])]
    (folder / "joints.csv").write_text("\n".join([",".join(["frame", *columns]), *lines]))
    numbers = "".join(f"{name} = {getattr(CAMERA, name)}\n" for name in ("fx", "fy", "cx", "cy"))
    (folder / "camera.toml").write_text(f'{numbers}depth_unit_mm = {UNIT_MM}\nhand = "auto"\n')
    return folder


def start(folder, run_dir, *options):
    common = ["--dataset", "frames", "--data-root", str(folder), "--preset", "tiny", "--sim-synthetic-frames", "8"]
    assert run_session([*common, *SHORT, *options, "--run-dir", str(run_dir)]) == 0
    return [set(json.loads(line)) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def test_both_hands_are_told_and_a_few_labels_are_learned_from(folder, tmp_path, eagerly, capsys):
    logged = start(folder, tmp_path / "run")
    said = capsys.readouterr().out
    report = json.loads((tmp_path / "run" / "dataset.json").read_text())
    assert report["hand"] == {".": "right", "take.npz": "left"} and report["doubtful"] == []
    assert report["used"] >= 2 * COUNT - 4 and report["labels_misplaced"] == []
    assert sum(report["labelled"].values()) + report["labels_unused"] == LABELLED
    assert "Labels: " in said and "for train" in said and "export/run.py" in said.splitlines()[-1]
    ended_with = json.loads((tmp_path / "run" / "evaluation" / "test.json").read_text())
    assert f"{ended_with['mean_error_mm']:.2f} mm" in said
    # Section 3.3: regression on real labels and the mapping on the real side.
    assert read_settings(tmp_path / "run").labels == 1.0
    every = set().union(*logged)
    assert {"eq7_posterior_real_regression", "eq6_mapping_real_nll"} <= every
    figures, written = tmp_path / "figures.json", tmp_path / "written.txt"
    options = ["--json", str(figures), "--write-predictions", str(written)]
    assert run_evaluation(["--run-dir", str(tmp_path / "run"), *options]) == 0
    assert json.loads(figures.read_text()) == ended_with
    assert ended_with["frames"] == report["labelled"]["test"]
    assert_written_as_recorded(report, written)
    assert_shown_without_labels(tmp_path / "run", figures, capsys)


def assert_written_as_recorded(report, path):
    """Where the left hands are in the video, not where their mirror images are."""
    with open_store(report["store"]) as store:
        assert store.info.source["mirrored"] == [1]
        frames, joints_mm = store.column("real/test", "frame"), store.column("real/test", "joints_mm")
    seen = camera.mm_to_uvd(hand_frames("bare", COUNT, 2)[1][frames - COUNT], CAMERA.intrinsics)
    recorded_uvd = mirror.mirror_uvd(seen, CAMERA.width)
    stored_uvd = camera.mm_to_uvd(mirror.mirror_points(joints_mm), CAMERA.intrinsics)
    np.testing.assert_allclose(stored_uvd, recorded_uvd, atol=1e-3)
    middle = recorded_uvd.mean(axis=1)
    np.testing.assert_allclose(read_joints_uvd(path, NYU).mean(axis=1)[:, :2], middle[:, :2], atol=45.0)


def assert_shown_without_labels(run_dir, figures, capsys):
    """As if no frame were there to test on: nothing is measured, but something is shown."""
    settings = read_settings(run_dir)
    frames = {split: count for split, count in settings.frames.items() if split != "real/test"}
    write_settings(run_dir, dataclasses.replace(settings, frames=frames))
    capsys.readouterr()
    assert run_evaluation(["--run-dir", str(run_dir)]) == 0
    assert "there is nothing to measure" in capsys.readouterr().out
    with Image.open(run_dir / "evaluation" / "unlabelled-frames.png") as sheet:
        assert sheet.width > 5 * 96 and np.asarray(sheet).std() > 10
    # The run itself, resumed, says the same in other words.
    assert run_session(["--run-dir", str(run_dir), "--resume"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-2].startswith("Next: python ") and "evaluate.py" in said[-2] and "export/run.py" in said[-1]
    with pytest.raises(InputError, match="no labelled frames to test on, so leave out --json"):
        run_evaluation(["--run-dir", str(run_dir), "--json", str(figures)])


def test_labels_are_left_alone_where_that_is_asked_for(folder, tmp_path, eagerly):
    start(folder, tmp_path / "off", "--labels", "0", "--stages", "pose")
    assert read_settings(tmp_path / "off").labels == 0.0
    start(folder, tmp_path / "other", "--method", "synthetic-only", "--stages", "pose")
    assert read_settings(tmp_path / "other").labels == 0.0
