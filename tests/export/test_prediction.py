"""The command predict.py: every kind of model, frame and camera."""

import hashlib
import json
import pathlib
import re

import numpy as np
import pytest
from PIL import Image

import lsps_tf
from export.prediction import predict_command
from lsps_tf import draw
from lsps_tf.camera import NYU, mm_to_uvd
from lsps_tf.depth_files import read_depth, write_depth_png16
from lsps_tf.predictor import predictor_of_run
from lsps_tf.run_folder import SHIPPED, load_run
from lsps_tf.skeleton import HAND21, HAND21_FROM_NYU, SKELETONS
from tests import two_hands
from tests.recordings.writers import bag_of

REAL = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "real"


@pytest.fixture(scope="module")
def expected(run_dir, frame_mm):
    outputs = predictor_of_run(load_run(run_dir))(frame_mm[None], NYU.intrinsics[None])
    return {name: value.numpy()[0] for name, value in outputs.items()}


def predict(command, model, frame, *options):
    """Runs the command; gives what it wrote as JSON."""
    output = frame.with_name("out.json")
    status, out, err = command(predict_command, "--model", model, frame, "--json", output, *options)
    assert (status, err) == (0, ""), err
    assert re.search(rf"^{re.escape(str(frame))}: a (right|left) hand around", out) and f"Joints: {output}" in out
    return json.loads(output.read_text())


def assert_same(values, expected, atol=0.02):
    for name in ("joints_mm", "joints_uvd", "center_mm"):
        np.testing.assert_allclose(values[name], expected[name], atol=atol)


@pytest.mark.parametrize("kind", ["run", "lsps", "lsps/1", "lsps.tflite"])
def test_every_kind_of_model_predicts_what_the_networks_do(command, run_dir, model_dir, frame, expected, kind):
    values = predict(command, run_dir if kind == "run" else model_dir / kind, frame)
    assert_same(values, expected)
    assert values["frame"] == str(frame) and values["skeleton"] == "nyu"
    assert values["joint_names"] == list(SKELETONS["nyu"].joint_names)
    uvd = mm_to_uvd(np.array(values["joints_mm"]), NYU.intrinsics.astype(np.float64))
    np.testing.assert_allclose(values["joints_uvd"], uvd, atol=0.01)


def test_without_a_model_the_one_that_comes_with_the_program_predicts(command, frame):
    output = frame.with_name("shipped.json")
    status, out, err = command(predict_command, frame, "--json", output)
    assert (status, err) == (0, "") and "that comes with the program" in out
    depth_mm = read_depth(frame, None)
    values = json.loads(output.read_text())
    predictor, frame = predictor_of_run(load_run(SHIPPED)), (depth_mm[None], NYU.intrinsics[None])
    # The finder's weights have 8 bits in its file for devices.
    np.testing.assert_allclose(values["center_mm"], predictor(*frame)["center_mm"][0], atol=5.0)
    # The very same centre: a rounding may take a crop's pixels from beside them.
    expected = predictor(*frame, center_mm=np.float32([values["center_mm"]]))
    # The file that ships has weights of 8 bits.
    assert np.linalg.norm(values["joints_mm"] - expected["joints_mm"][0].numpy(), axis=1).mean() < 2.0
    shipped = lsps_tf.load_predictor()(depth_mm, NYU)
    np.testing.assert_allclose(values["joints_mm"], shipped.joints_mm, atol=0.001)


@pytest.mark.parametrize("kind", ["run", "lsps", "lsps.tflite"])
def test_a_model_can_be_insisted_on(command, run_dir, model_dir, frame, kind):
    path = run_dir if kind == "run" else model_dir / kind
    asked = ["--model", path, frame, "--expect"]
    status, out, err = command(predict_command, *asked, "0" * 64)
    assert status == 2 and out == "" and re.fullmatch(r"error: \S+: its hash is \w+, not 0{64}; this is .*\n", err)
    found = re.search(r"its hash is (\w+)", err)[1]
    assert command(predict_command, *asked, f"sha256:{found}")[0] == 0
    if kind == "lsps.tflite":
        assert found == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_server_s_model_cannot_be_insisted_on_from_here(command, frame):
    status, _, err = command(predict_command, "--url", "http://127.0.0.1:1", frame, "--expect", "0" * 64)
    assert status == 2 and "--expect: what a server runs is not seen from here" in err


def test_every_frame_format_gives_the_same_joints(command, model_dir, frame, frame_mm, expected):
    counts = frame_mm.astype(np.uint16)
    folder = frame.parent
    nyu = np.stack([np.zeros_like(counts), counts >> 8, counts & 255], axis=-1).astype(np.uint8)
    Image.fromarray(nyu).save(folder / "nyu.png")
    Image.fromarray(counts * 5).save(folder / "fifths.png")
    np.save(folder / "whole.npy", counts)
    np.save(folder / "meters.npy", frame_mm.astype(np.float64) / 1000)
    for name, options in {
        "nyu.png": [],
        "fifths.png": ["--depth-unit", "0.2"],
        "whole.npy": ["--depth-unit=1"],
        "meters.npy": ["--depth-unit", "1000"],
    }.items():
        assert_same(predict(command, model_dir / "lsps.tflite", folder / name, *options), expected)


def test_every_form_of_camera_gives_the_same_joints(command, model_dir, frame, expected):
    for text in ("nyu", "NYU", "588.036865,587.075073,320,240"):
        assert_same(predict(command, model_dir / "lsps.tflite", frame, "--camera", text), expected)
    # A longer focal length: everything is narrower.
    other = predict(command, model_dir / "lsps.tflite", frame, "--camera", "676,675,320,240")
    assert abs(other["center_mm"][0]) < 0.95 * abs(expected["center_mm"][0])


@pytest.mark.usefixtures("rosbags")
def test_a_frame_of_a_recording_has_its_camera(command, model_dir, frame, frame_mm, expected, tmp_path):
    path = bag_of(tmp_path / "a.bag", [np.zeros_like(frame_mm) + 900, frame_mm], NYU.intrinsics)
    values = predict(command, model_dir / "lsps.tflite", tmp_path / "a.bag#1")
    assert_same(values, expected, atol=0.5)
    status, _, err = command(predict_command, path)
    assert status == 2
    assert f"{path}: no hand was found" in err


def test_a_frame_of_each_named_camera_is_taken(command, model_dir, frame, frame_mm):
    predict(command, model_dir / "lsps.tflite", frame, "--camera", "sr305")
    half = frame.with_name("half.png")
    Image.fromarray(frame_mm[::2, ::2].astype(np.uint16)).save(half)
    predict(command, model_dir / "lsps.tflite", half, "--camera", "icvl")


def test_a_given_center_is_used(command, run_dir, model_dir, frame, frame_mm):
    center_mm = np.array([[210.0, -60.0, 765.0]], np.float32)
    outputs = predictor_of_run(load_run(run_dir))(frame_mm[None], NYU.intrinsics[None], center_mm)
    expected = {name: value.numpy()[0] for name, value in outputs.items()}
    for model in ("lsps", "lsps.tflite"):
        assert_same(predict(command, model_dir / model, frame, "--center", "210,-60,765"), expected)


def test_21_joints_and_a_turned_camera(command, model_dir, frame, frame_mm, expected):
    upside_down = frame.with_name("upside_down.png")
    Image.fromarray(frame_mm[::-1, ::-1].astype(np.uint16)).save(upside_down)
    camera = ["--camera", f"{NYU.fx},{NYU.fy},{639 - NYU.cx},{479 - NYU.cy}", "--rotate", "180"]
    values = predict(command, model_dir / "lsps.tflite", upside_down, *camera, "--joints", "21")
    assert values["skeleton"] == "hand21" and values["joint_names"] == list(HAND21.joint_names)
    turned_mm = expected["joints_mm"][list(HAND21_FROM_NYU)] * [-1.0, -1.0, 1.0]
    np.testing.assert_allclose(values["joints_mm"], turned_mm, atol=0.02)


def test_16_joints_do_not_give_21(command, frame, tmp_path, make_run):
    run = make_run(tmp_path / "icvl", skeleton="icvl")
    status, out, err = command(predict_command, "--model", run, frame, "--joints", "21")
    assert (status, out) == (2, "") and err.count("\n") == 1 and "cannot be had from a model of icvl's 16" in err


def test_an_overlay_is_a_picture_of_the_hand_and_a_table_is_printed(command, model_dir, frame):
    overlay = frame.with_name("overlay.png")
    status, out, err = command(predict_command, "--model", model_dir / "lsps.tflite", frame, "--overlay", overlay)
    assert (status, err) == (0, "") and "thumb_tip" in out and f"Overlay: {overlay}" in out
    with Image.open(overlay) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert min(pixels.shape[:2]) >= 200 and (np.ptp(pixels, axis=-1) > 30).mean() > 0.005


@pytest.fixture
def frame_of_two(monkeypatch, tmp_path):
    """A frame of two hands as a file, what says its camera, and a finder that finds them."""
    two_hands.know(monkeypatch)
    depth_mm, camera, _ = two_hands.two_hands()
    path = tmp_path / "two.png"
    write_depth_png16(path, depth_mm, 1.0)
    return path, ["--camera", f"{camera.fx},{camera.fy},{camera.cx},{camera.cy}"]


def test_several_hands_come_as_tables_a_list_and_a_picture(command, model_dir, frame_of_two, tmp_path):
    frame, camera = frame_of_two
    start = ["--model", model_dir / "lsps.tflite", frame, *camera]
    status, out, err = command(predict_command, *start, "--hands", "2", "--overlay", tmp_path / "two_overlay.png")
    assert (status, err) == (0, "") and out.count("thumb_tip") == 2
    assert out.index("a right hand around (-120, 10, 600) mm") < out.index("a left hand around (110, -15, 660) mm")
    with Image.open(tmp_path / "two_overlay.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    for color in draw.HAND_COLORS[:2]:
        assert (pixels == color).all(axis=-1).sum() > 20
    assert command(predict_command, *start, "--hands", "2", "--json", tmp_path / "two.json")[0] == 0
    values = json.loads((tmp_path / "two.json").read_text())
    assert set(values) == {"frame", "skeleton", "joint_names", "hands"}
    assert [(hand["side"], hand["right_logit"]) for hand in values["hands"]] == list(
        zip(("right", "left"), two_hands.RIGHT_LOGITS)
    )
    one = predict(command, model_dir / "lsps.tflite", frame, *camera)
    assert values["hands"][0].items() <= one.items() and "hands" not in one


def test_hands_that_were_not_asked_for_and_unsure_sides_are_said(command, model_dir, frame_of_two, monkeypatch):
    frame, camera = frame_of_two
    start = ["--model", model_dir / "lsps.tflite", frame, *camera]
    _, out, _ = command(predict_command, *start)
    assert "2 hands are seen, and this is the nearest; --hands 2 gives all\n" in out and "does not tell" not in out
    assert "are seen" not in command(predict_command, *start, "--center", "110,-15,660")[1]
    for hands in ("2", "4"):
        assert "are seen" not in command(predict_command, *start, "--hands", hands)[1]
    monkeypatch.setattr(two_hands, "LOGITS", (0.5, -0.5))
    assert (
        "One frame does not tell its side well; --hand right or --hand left says it"
        in command(predict_command, *start)[1]
    )
    assert "does not tell the side of 2 of them well" in command(predict_command, *start, "--hands", "3")[1]
    assert "does not tell" not in command(predict_command, *start, "--hand", "left")[1]


def test_a_frame_of_another_skeleton_s_run_has_its_joints(command, frame, tmp_path, make_run):
    values = predict(command, make_run(tmp_path / "icvl", skeleton="icvl"), frame)
    assert values["skeleton"] == "icvl" and np.shape(values["joints_mm"]) == (16, 3)
    assert np.isfinite(values["joints_mm"]).all()


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no {REAL}")
def test_frames_of_real_cameras_end_with_joints(command, model_dir, tmp_path):
    model = ["--model", model_dir / "lsps.tflite", "--json", tmp_path / "out.json"]
    for path in sorted((REAL / "sr305").glob("*.png")):
        assert command(predict_command, *model, path, "--camera", "sr305", "--depth-unit", "0.125")[0] == 0
        values = json.loads((tmp_path / "out.json").read_text())
        assert np.isfinite(values["joints_mm"]).all() and 300 < values["center_mm"][2] < 800
    assert command(predict_command, *model, REAL / "nyu" / "test_depth_1_0000001.png", "--camera", "nyu")[0] == 0


def test_joints_are_refined_where_that_is_asked_for(command, frame):
    joints_mm = []
    for options in ((), ("--refine",)):
        output = frame.with_name("refined.json")
        status, _, err = command(predict_command, frame, "--json", output, *options)
        assert (status, err) == (0, "")
        joints_mm.append(np.array(json.loads(output.read_text())["joints_mm"]))
    moved_mm = np.linalg.norm(joints_mm[1] - joints_mm[0], axis=-1).mean()
    assert 0.5 < moved_mm < 60.0
