"""`--dataset frames`: the store, the contact sheet and the report; then to the end, with few labels and with none."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from lsps_tf import camera, mirror
from lsps_tf.datasets.own.sides import FEWEST_FRAMES
from lsps_tf.datasets.store import open_store
from lsps_tf.depth_files import write_depth_png16
from lsps_tf.errors import InputError
from lsps_tf.prediction_files import read_joints_uvd
from lsps_tf.run_folder import RunSettings, read_settings, write_settings
from lsps_tf.skeleton import NYU
from tests.conftest import write_run
from tests.recordings.writers import bag_of
from tests.scene_frames import CAMERA, empty_frames, hand_frames
from training.arguments import parse_arguments, resolve_config
from training.data.table import get_dataset
from training.evaluation.command import run_evaluation
from training.evaluation.measure import as_recorded
from training.session import run_session

UNIT_MM, COUNT = 0.5, FEWEST_FRAMES + 4
LABELLED = 10
SHORT = ["--pose-steps", "2", "--depth-steps", "2", "--posterior-steps", "2", "--log-every", "1"]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for number, depth_mm in enumerate([*hand_frames()[0][:4], *empty_frames("wall")[:1]]):
        write_depth_png16(folder / f"{number}.png", mirror.mirror_depth(depth_mm), UNIT_MM)
    mirrored = mirror.mirror_camera(CAMERA)
    numbers = "".join(f"{name} = {getattr(mirrored, name)}\n" for name in ("fx", "fy", "cx", "cy"))
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


def test_a_recording_too_short_for_a_background_is_used_with_all_that_it_shows(folder, tmp_path, capsys):
    store, report = make(tmp_path, "--data-root", str(folder), "--remove-background")
    assert "-still-" in store.name and report["background_removed"] == []
    assert "Background: '.': 5 frames are too few" in capsys.readouterr().out


def test_a_recording_is_imported_shown_reported_and_used_again(folder, tmp_path, capsys):
    store, report = make(tmp_path, "--data-root", str(folder))
    assert store.parent == folder and store.name.startswith("frames-v2-32px-250mm-sim8-")
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
        ([], "name the folder with the frames and camera.toml, or a recording, with --data-root"),
        (["--data-root", str(tmp_path / "none")], "there is no such folder"),
        (["--data-root", str(tmp_path / "run")], "there is no such folder"),
        (["--data-root", str(folder), "--labels", "0.5"], "there is no joints.csv"),
        (["--data-root", str(folder), "--num-joints", "16"], "--num-joints 16"),
    ):
        with pytest.raises(InputError, match=message):
            resolve(*arguments)


@pytest.mark.usefixtures("rosbags")
def test_a_bag_has_its_camera_and_its_store_beside_it(tmp_path):
    path = bag_of(tmp_path / "hand.bag", [np.rint(frame) for frame in hand_frames()[0][:3]], CAMERA.intrinsics)
    store, report = make(tmp_path, "--data-root", str(path), "--hand", "right")
    assert store.parent == tmp_path
    assert report["camera"]["fx"] == CAMERA.fx
    assert (report["frames"], report["used"], report["depth_unit_mm"]) == (3, 3, 1.0)
    assert report["hand"] == {"hand.bag": "right"}
    with pytest.raises(InputError, match="there is no image topic '/other'"):
        resolve("--data-root", str(path), "--hand", "right", "--topic", "/other")


@pytest.mark.slow
@pytest.mark.usefixtures("rosbags")
def test_from_a_bag_to_an_exported_model(tmp_path, command):
    from export.prediction import predict_command

    frames = [np.rint(frame) for frame in hand_frames("bare", COUNT, 1)[0]]
    path = bag_of(tmp_path / "hand.bag", frames, CAMERA.intrinsics)
    model = tmp_path / "model"
    start(path, tmp_path / "run", "--hand", "right", "--export", str(model))
    assert (model / "lsps" / "1" / "saved_model.pb").is_file()
    status, out, _ = command(predict_command, "--model", model / "lsps.tflite", f"{path}#0")
    assert status == 0
    assert "hand.bag#0: a right hand around" in out


def write(path, depth_mm):
    counts = np.rint(depth_mm / UNIT_MM).astype(np.uint16)
    if path.suffix == ".npy":
        np.save(path, counts)
    elif path.suffix == ".tiff":
        Image.fromarray(counts).save(path)
    else:
        write_depth_png16(path, depth_mm, UNIT_MM)


@pytest.fixture(scope="module")
def both_hands(tmp_path_factory):
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


def start(recording, run_dir, *options):
    common = ["--dataset", "frames", "--data-root", str(recording), "--preset", "tiny", "--sim-synthetic-frames", "8"]
    assert run_session([*common, *SHORT, *options, "--run-dir", str(run_dir)]) == 0
    return [set(json.loads(line)) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def test_both_hands_are_told_and_a_few_labels_are_learned_from(both_hands, tmp_path, eagerly, capsys):
    logged = start(both_hands, tmp_path / "run")
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


def test_labels_are_left_alone_where_that_is_asked_for(both_hands, tmp_path, eagerly):
    start(both_hands, tmp_path / "off", "--labels", "0", "--stages", "pose")
    assert read_settings(tmp_path / "off").labels == 0.0
    start(both_hands, tmp_path / "other", "--method", "synthetic-only", "--stages", "pose")
    assert read_settings(tmp_path / "other").labels == 0.0


def test_a_trained_model_is_adapted_to_a_recording(folder, finished_run, tmp_path, eagerly):
    run_dir = tmp_path / "adapted"
    options = [
        "--method",
        "adapt",
        "--pretrained",
        str(finished_run),
        "--sim-synthetic-frames",
        "4",
        "--fit-steps",
        "2",
    ]
    done = run_session(["--dataset", "frames", "--data-root", str(folder), "--run-dir", str(run_dir), *options])
    settings = read_settings(run_dir)
    assert done == 0 and settings.stages == ("fit1",) and settings.config.preset == "tiny"
    assert (settings.pretrained_stage, settings.centering) == (read_settings(finished_run).last_stage, "joints")
    with open_store(settings.store) as store:
        # Scenes in place of the clean hand.
        assert store.splits()["synthetic/sensed"] == 4 and "synthetic/train" not in store.splits()
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in lines} == {"fit1"}
    assert (run_dir / "fits" / "fit1.npz").exists() and (run_dir / "weights" / "fit1.h5").exists()


def test_an_adapted_model_keeps_its_networks_whatever_its_preset_has(folder, tmp_path, eagerly):
    trained = write_run(tmp_path / "trained", method="real", vote_widths=(6, 5))
    run_dir = tmp_path / "adapted"
    options = ["--method", "adapt", "--pretrained", str(trained), "--sim-synthetic-frames", "4", "--fit-steps", "1"]
    done = run_session(["--dataset", "frames", "--data-root", str(folder), "--run-dir", str(run_dir), *options])
    assert done == 0 and read_settings(run_dir).config.network == read_settings(trained).config.network
