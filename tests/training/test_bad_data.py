"""Bad data through the whole command: one clear line on standard error, exit code 2, and no training."""

import re
import shutil

import numpy as np
import pytest
import scipy.io
from PIL import Image

from lsps_tf import mirror
from lsps_tf.camera import Camera
from lsps_tf.commandline.command import exit_status
from lsps_tf.depth_files import write_depth_png16
from tests.datasets.official_trees import write_icvl, write_labels, write_nyu
from tests.scene_frames import CAMERA, empty_frames, hand_frames
from training.session import run_session

TINY = ["--preset", "tiny", "--sim-synthetic-frames", "8", "--workers", "0"]


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """The one line that the command ends in; fails where it ends otherwise, or a run is left behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LSPS_DATA", raising=False)

    def run(dataset, *options):
        arguments = ["--dataset", dataset, *TINY, *map(str, options), "--run-dir", str(tmp_path / "run")]
        assert exit_status(lambda: run_session(arguments)) == 2
        assert not (tmp_path / "run" / "settings.json").exists()
        # Progress bars draw over their line.
        lines = [line for line in re.split(r"[\r\n]", capsys.readouterr().err) if line.startswith("error: ")]
        assert len(lines) == 1
        return lines[0]

    return run


@pytest.fixture
def nyu(tmp_path):
    write_nyu(tmp_path / "data" / "nyu", train=10, test=4)
    return tmp_path / "data" / "nyu"


@pytest.fixture
def icvl(tmp_path):
    write_icvl(tmp_path / "data" / "icvl", train=8, test=4, rotated=False)
    return tmp_path / "data" / "icvl"


def test_a_missing_dataset(refused, tmp_path):
    for name, page in (("nyu", "NYU Hand Pose Dataset"), ("icvl", "ICVL Hand Posture Dataset")):
        said = refused(name)
        assert f"data/{name}: the {name} dataset is not there" in said and page in said and "--data-root" in said
    (tmp_path / "empty").mkdir()
    assert "empty/nyu: the nyu dataset is not there" in refused("nyu", "--data-root", tmp_path / "empty")


def test_half_copied_nyu(refused, nyu):
    for name in (
        "train/depth_1_0000002",
        "train/depth_1_0000005",
        "train/synthdepth_1_0000003",
        "test/depth_1_0000004",
    ):
        (nyu / f"{name}.png").unlink()
    said = refused("nyu")
    for part in (
        "2 of 9 frames of real/train: the file is missing (train/depth_1_0000002.png, train/depth_1_0000005.png)",
        "1 of 9 frames of synthetic/train: the file is missing (train/synthdepth_1_0000003.png)",
        "1 of 4 frames of real/test: the file is missing (test/depth_1_0000004.png)",
        "--skip-bad",
    ):
        assert part in said
    (nyu / "test" / "joint_data.mat").unlink()
    assert "test/joint_data.mat: the file is missing" in refused("nyu")
    shutil.rmtree(nyu / "test")
    assert "nyu/test: the folder is missing" in refused("nyu")


def test_nyu_without_its_renderings_has_another_way(refused, nyu):
    for path in (nyu / "train").glob("synthdepth_*"):
        path.unlink()
    said = refused("nyu")
    assert "9 of 9 frames of synthetic/train: the file is missing" in said
    assert "--synthetic sim" in said


def test_half_copied_icvl(refused, icvl):
    (icvl / "Training" / "Depth" / "201403121135" / "image_0001.png").unlink()
    for path in (icvl / "Testing" / "Depth" / "test_seq_2").iterdir():
        path.unlink()
    said = refused("icvl")
    assert "1 of 4 frames of real/train: the file is missing (Training/Depth/201403121135/image_0001.png)" in said
    assert "2 of 4 frames of real/test: the file is missing (Testing/Depth/test_seq_2/image_0000.png, " in said
    (icvl / "Testing" / "test_seq_2.txt").unlink()
    assert "test_seq_2.txt: the file is missing" in refused("icvl")


@pytest.mark.parametrize("shape", [(36, 3), (3, 10, 14, 3)])
def test_labels_of_other_shapes(refused, nyu, shape):
    scipy.io.savemat(nyu / "train" / "joint_data.mat", {"joint_uvd": np.ones(shape)})
    said = refused("nyu")
    assert f"train/joint_data.mat: 'joint_uvd' has the shape {shape} and not (3 cameras, frames, 36 joints, 3)" in said


def test_labels_that_are_nan(refused, nyu, icvl):
    labels = np.full((4, 36, 3), 700.0)
    labels[2, 5] = np.nan
    write_labels(nyu / "test" / "joint_data.mat", labels)
    said = refused("nyu")
    assert "1 of 4 frames of real/test: its label holds NaN" in said
    assert "test/depth_1_0000003.png" in said
    lines = (icvl / "Training" / "labels.txt").read_text().splitlines()
    lines[1] = " ".join([*lines[1].split()[:-1], "nan"])
    (icvl / "Training" / "labels.txt").write_text("\n".join(lines) + "\n")
    assert "1 of 4 frames of real/train: its label holds NaN" in refused("icvl")


def test_broken_and_odd_pngs_of_public_datasets(refused, nyu, icvl):
    path = nyu / "train" / "depth_1_0000002.png"
    path.write_bytes(path.read_bytes()[:300])
    Image.fromarray(np.zeros((240, 320, 3), np.uint8)).save(nyu / "test" / "depth_1_0000001.png")
    said = refused("nyu")
    assert "2 of 24 frames cannot be used" in said and "--skip-bad" in said
    assert "train/depth_1_0000002.png: the PNG is truncated or damaged" in said
    assert "test/depth_1_0000001.png: its size is 320 x 240 pixels, the camera's is 640 x 480" in said
    path = icvl / "Testing" / "Depth" / "test_seq_1" / "image_0001.png"
    path.write_bytes(path.read_bytes()[:200])
    assert "test_seq_1/image_0001.png: the PNG is truncated or damaged" in refused("icvl")


def record(folder, depths_mm, unit_mm=0.5, written_mm=None, camera=CAMERA, extra=""):
    """Frames in counts of `unit_mm`, of which `camera.toml` says `written_mm`."""
    folder.mkdir(exist_ok=True)
    for number, depth_mm in enumerate(depths_mm):
        write_depth_png16(folder / f"{number:04d}.png", depth_mm, unit_mm)
    numbers = "".join(f"{name} = {getattr(camera, name)}\n" for name in ("fx", "fy", "cx", "cy"))
    text = f'{numbers}depth_unit_mm = {unit_mm if written_mm is None else written_mm}\nhand = "right"\n{extra}'
    (folder / "camera.toml").write_text(text)
    return folder


def test_no_recording(refused, tmp_path):
    assert "there is no such folder" in refused("frames", "--data-root", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "empty: there are no frames; record some as .png" in refused("frames", "--data-root", tmp_path / "empty")
    folder = record(tmp_path / "mine", hand_frames()[0][:1])
    (folder / "camera.toml").unlink()
    assert "camera.toml: there is no such file; write one with fx" in refused("frames", "--data-root", folder)


def test_unknown_keys_of_the_camera(refused, tmp_path):
    folder = record(tmp_path / "mine", hand_frames()[0][:1], extra="near = 3\n")
    assert "unknown key 'near'; the nearest one is 'near_mm'" in refused("frames", "--data-root", folder)


def test_broken_frames_and_frames_of_mixed_sizes(refused, tmp_path):
    """Tiny frames, so that it takes no time."""
    camera = Camera(45.0, 45.0, 30.0, 22.0)
    folder = record(tmp_path / "mine", empty_frames("wall")[[0] * 12, ::4, ::4], camera=camera)
    broken = folder / "0007.png"
    broken.write_bytes(broken.read_bytes()[:60])
    write_depth_png16(folder / "0010.png", np.full((45, 55), 900.0))
    said = refused("frames", "--data-root", folder)
    assert "2 of 12 frames cannot be used" in said and "or leave them out with --skip-bad" in said
    assert "0007.png: the PNG is truncated or damaged" in said
    assert "0010.png: its size is 55 x 45 pixels, not 60 x 45" in said
    # Skipped, there is nothing left, and that is said with its counts.
    said = refused("frames", "--data-root", folder, "--skip-bad")
    assert "no frame shows a hand that can be used (2 cannot be read, 10 no hand in view" in said


@pytest.mark.parametrize("written_mm, where", [(50.0, " m away"), (0.0025, " mm away")])
def test_wrong_units(refused, tmp_path, written_mm, where):
    folder = record(tmp_path / "mine", hand_frames()[0], written_mm=written_mm)
    said = refused("frames", "--data-root", folder)
    assert where in said and "with depth_unit_mm = 0.5 hands are" in said and "write that" in said


@pytest.mark.parametrize("scale, hint", [(0.001, "as metres"), ([1.0, -1.0, 1.0], "with y up")])
def test_labels_in_another_unit_or_frame(refused, tmp_path, scale, hint):
    depth_mm, joints_mm = hand_frames()
    # All hands well below the optical axis, so that y up moves every one.
    shift = 60
    folder = record(tmp_path / "mine", np.pad(depth_mm, ((0, 0), (shift, 0), (0, 0))))
    moved_mm = joints_mm + joints_mm[..., 2:] * [0.0, shift / CAMERA.fy, 0.0]
    lines = [",".join([f"{n:04d}.png", *map(str, (joints * scale)[34])]) for n, joints in enumerate(moved_mm)]
    (folder / "joints.csv").write_text("\n".join(["frame,palm_x,palm_y,palm_z", *lines]))
    said = refused("frames", "--data-root", folder)
    assert "joints.csv: in the median the labels lie" in said and f"read {hint} they fit" in said


def test_a_run_inside_the_recording(refused, tmp_path):
    record(tmp_path, hand_frames()[0][:1])
    assert "run: this folder lies in the recording" in refused("frames", "--data-root", tmp_path)


def test_the_other_hand_cannot_be_told_from_few_frames(refused, tmp_path):
    folder = record(tmp_path / "mine", mirror.mirror_depth(hand_frames()[0][:3]))
    said = refused("frames", "--data-root", folder, "--hand", "auto")
    assert "cannot be told from 3 frames with a hand" in said and 'hand = "right" or "left"' in said
