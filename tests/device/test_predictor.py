"""The edge path against the TensorFlow one, step by step and whole."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import camera, crop, mirror
from lsps_tf.device.crop import crop_frame, normalize_depth
from lsps_tf.device.predictor import EdgePredictor
from lsps_tf.errors import InputError
from lsps_tf.models import load_predictor
from lsps_tf.predictor import predictor_of_run
from lsps_tf.run_folder import load_run


@pytest.mark.parametrize("size", [32, 33])
@pytest.mark.parametrize("center_mm", [(200.0, -60.0, 770.0), (-390.0, 280.0, 700.0), (0.0, 0.0, 250.0)])
def test_crops_are_those_of_tensorflow(frame_mm, size, center_mm):
    center_mm = np.array(center_mm, np.float32)
    tensors = [tf.constant(value[None]) for value in (frame_mm, camera.NYU.intrinsics, center_mm)]
    expected_mm = crop.crop_frame(*tensors, 250.0, size)
    cropped_mm = crop_frame(frame_mm, camera.NYU.intrinsics, center_mm, 250.0, size)
    np.testing.assert_array_equal(cropped_mm, expected_mm[0])
    expected = crop.normalize_depth(expected_mm, tensors[2], 250.0)[0]
    np.testing.assert_allclose(normalize_depth(cropped_mm, center_mm, 250.0), expected, atol=1e-6)


def test_joints_are_those_of_the_run(run_dir, model_dir, frame_mm):
    expected = predictor_of_run(load_run(run_dir))(frame_mm[None], camera.NYU.intrinsics[None])
    hand = EdgePredictor(model_dir / "lsps.tflite")(frame_mm, camera.NYU)
    for name in ("joints_mm", "joints_uvd", "center_mm"):
        value = getattr(hand, name)
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, expected[name][0], atol=0.02)
        assert hand.to_dict()[name] == np.round(value.astype(np.float64), 3).tolist()


@pytest.mark.parametrize("center_mm", [None, (210.0, -60.0, 765.0)])
def test_the_side_is_told_as_tensorflow_tells_it(run_dir, model_dir, frame_mm, center_mm, monkeypatch):
    """Of a frame and of its mirror image, where what predictions explain decides."""
    monkeypatch.setattr("lsps_tf.hand.FIT_SHARE", 3000.0)
    graph, device = (load_predictor(path) for path in (run_dir, model_dir / "lsps.tflite"))
    sides = set()
    for mirrored in (False, True):
        view, middle_mm = (frame_mm, camera.NYU), center_mm
        if mirrored:
            view = np.ascontiguousarray(mirror.mirror_depth(frame_mm)), mirror.mirror_camera(camera.NYU)
            middle_mm = None if center_mm is None else mirror.mirror_points(np.float32(center_mm))
        expected, hand = (predictor(*view, middle_mm) for predictor in (graph, device))
        assert hand.side == expected.side and abs(expected.right_logit) > 1.5
        assert hand.right_logit == pytest.approx(expected.right_logit, abs=0.5)
        np.testing.assert_allclose(hand.joints_mm, expected.joints_mm, atol=0.02)
        sides.add(hand.side)
    assert sides == {"right", "left"}


def test_a_given_center_is_used_and_no_hand_is_none(model_dir, frame_mm):
    predictor = EdgePredictor(model_dir / "lsps.tflite")
    center_mm = np.array([210.0, -60.0, 765.0], np.float32)
    np.testing.assert_array_equal(predictor(frame_mm, camera.NYU, center_mm).center_mm, center_mm)
    assert predictor(np.zeros_like(frame_mm), camera.NYU) is None


def test_whole_numbers_give_the_same_joints(model_dir, frame_mm):
    predictor = EdgePredictor(model_dir / "lsps.tflite")
    from_floats, from_counts = (predictor(frame_mm.astype(kind), camera.NYU) for kind in (np.float32, np.uint16))
    np.testing.assert_array_equal(from_floats.joints_mm, from_counts.joints_mm)


def test_a_left_hand_is_a_right_one_in_a_mirror(model_dir, frame_mm):
    right, left = (EdgePredictor(model_dir / "lsps.tflite", hand=hand) for hand in ("right", "left"))
    expected = right(frame_mm, camera.NYU)
    seen_by = mirror.mirror_camera(camera.NYU)
    mirrored = left(frame_mm[:, ::-1], seen_by, mirror.mirror_points(expected.center_mm))
    for name in ("joints_mm", "center_mm"):
        np.testing.assert_allclose(getattr(mirrored, name), mirror.mirror_points(getattr(expected, name)), atol=1e-3)
    np.testing.assert_allclose(mirrored.joints_uvd, mirror.mirror_uvd(expected.joints_uvd, 640), atol=0.01)


@pytest.mark.parametrize("hand", ["right", "left"])
def test_both_predictors_mirror_alike(run_dir, model_dir, frame_mm, hand):
    """TensorFlow's and NumPy's on the same frame, which shows a hand of either side to them."""
    with_tensorflow = load_predictor(run_dir, hand)(frame_mm, "nyu")
    without = load_predictor(model_dir / "lsps.tflite", hand)(frame_mm, "nyu")
    for name in ("joints_mm", "joints_uvd", "center_mm"):
        np.testing.assert_allclose(getattr(without, name), getattr(with_tensorflow, name), atol=0.02)
    assert with_tensorflow.side == without.side == hand


def test_a_center_around_which_nothing_was_measured_gives_no_hand(model_dir, frame_mm):
    assert EdgePredictor(model_dir / "lsps.tflite")(frame_mm, camera.NYU, (-300.0, 0.0, 600.0)) is None


def test_files_that_are_no_model_are_named(tmp_path, model_dir):
    with pytest.raises(InputError, match=r"none\.tflite: there is no such file"):
        EdgePredictor(tmp_path / "none.tflite")
    with pytest.raises(InputError, match="there is no such file"):
        EdgePredictor(model_dir)
    (tmp_path / "cut.tflite").write_bytes((model_dir / "lsps.tflite").read_bytes()[:-50])
    with pytest.raises(InputError, match=r"cut\.tflite: the TFLite model is"):
        EdgePredictor(tmp_path / "cut.tflite")
