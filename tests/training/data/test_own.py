"""`--dataset frames` from the command line to the store, the contact sheet and the report, without training."""

import json

import numpy as np
import pytest
from PIL import Image

from lsps_tf import mirror
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.depth_files import write_depth_png16
from lsps_tf.run_folder import RunSettings
from tests.scene_frames import CAMERA, empty_frames, hand_frames
from training.arguments import parse_arguments, resolve_config
from training.data.table import get_dataset
from training.evaluation.measure import as_recorded

UNIT_MM = 0.5


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for number, depth_mm in enumerate([*hand_frames()[0][:4], *empty_frames("wall")[:1]]):
        write_depth_png16(folder / f"{number}.png", mirror.mirror_depth(depth_mm), UNIT_MM)
    camera = mirror.mirror_camera(CAMERA)
    numbers = "".join(f"{name} = {getattr(camera, name)}\n" for name in ("fx", "fy", "cx", "cy"))
    (folder / "camera.toml").write_text(f'{numbers}depth_unit_mm = {UNIT_MM}\nhand = "left"\n')
    return folder


def resolve(*arguments):
    given = parse_arguments(["--preset", "tiny", "--dataset", "frames", "--sim-synthetic-frames", "8", *arguments])
    return given, get_dataset("frames").resolve(given, resolve_config(given))


def make(tmp_path, *arguments):
    given, source = resolve(*arguments)
    settings = RunSettings(source.config, "lsps", source.skeleton, "frames", str(source.store), source.sensor)
    get_dataset("frames").make(given, settings, tmp_path / "run")
    return source.store, json.loads((tmp_path / "run" / "dataset.json").read_text())


def test_a_recording_is_imported_shown_reported_and_used_again(folder, tmp_path, capsys):
    store, report = make(tmp_path, "--data-root", str(folder))
    assert store.parent == folder and store.name.startswith("frames-v1-32px-250mm-sim8-")
    said = capsys.readouterr().out
    assert f"{report['used']} of 5 frames show a hand" in said and "left (stored as its mirror image)" in said
    assert "no hand in view" in said and str(tmp_path / "run" / "crops.png") in said
    assert report["used"] >= 3 and report["hand"] == {".": "left"} and report["depth_unit_mm"] == UNIT_MM
    assert report["unusable"]["no hand in view"]["first"][-1] == "4.png"
    with open_store(store) as opened:
        assert opened.splits() == report["splits"] == {"real/train": report["used"], "synthetic/train": 8}
        assert opened.info.camera == mirror.mirror_camera(CAMERA)
        subjects = opened.column("real/train", "subject")
        joints_mm = np.ones((len(subjects), 36, 3))
        np.testing.assert_array_equal(
            as_recorded(opened, joints_mm, subjects)[:, 0], [[-1.0, 1.0, 1.0]] * len(subjects)
        )
    with Image.open(tmp_path / "run" / "crops.png") as sheet:
        assert sheet.width > 3 * 96
    before = store.stat().st_mtime_ns
    again, same = make(tmp_path, "--data-root", str(folder))
    assert again == store and same == report and store.stat().st_mtime_ns == before


def test_a_changed_recording_or_hand_makes_another_store(folder):
    first = resolve("--data-root", str(folder))[1].store
    assert resolve("--data-root", str(folder))[1].store == first
    assert resolve("--data-root", str(folder), "--hand", "right")[1].store != first
    write_depth_png16(folder / "9.png", hand_frames()[0][0], UNIT_MM)
    assert resolve("--data-root", str(folder))[1].store != first


@pytest.mark.slow
def test_broken_frames_stop_it_before_training(folder, tmp_path):
    (folder / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(InputError, match=r"1 of 5 frames cannot be used \(.*2\.png"):
        make(tmp_path, "--data-root", str(folder))
    _, report = make(tmp_path, "--data-root", str(folder), "--skip-bad")
    assert report["unusable"]["cannot be read"]["frames"] == 1
    with pytest.raises(InputError, match="go on with --skip-bad"):
        make(tmp_path, "--data-root", str(folder))


def test_mistakes_are_said_before_anything_is_read(folder, tmp_path):
    for arguments, message in (
        ([], "name the folder with the frames and camera.toml with --data-root"),
        (["--data-root", str(tmp_path / "none")], "there is no such folder"),
        (["--data-root", str(tmp_path / "run")], "there is no such folder"),
        (["--data-root", str(folder), "--labels", "0.5"], "there is no joints.csv"),
        (["--data-root", str(folder), "--num-joints", "16"], "--num-joints 16"),
    ):
        with pytest.raises(InputError, match=message):
            resolve(*arguments)
