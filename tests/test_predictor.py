"""The predictor around a network that is known, on frames whose hand is a ball."""

import numpy as np
import tensorflow as tf

from lsps_tf import camera, crop
from lsps_tf.predictor import Predictor
from lsps_tf.skeleton import ICVL

VIEW = camera.Camera(240.0, 242.0, 158.0, 121.0, 320, 240)
CUBE_MM, SIZE, RADIUS_MM = 250.0, 32, 48.0
CENTERS_MM = np.array([[40.0, -30.0, 600.0], [-60.0, 20.0, 450.0]])
JOINTS_NORM = np.linspace(-0.8, 0.7, ICVL.num_joints * 3, dtype=np.float32).reshape(1, -1, 3)


def ball_frame(center_mm):
    """Depth in mm of a ball at `center_mm`, and nothing behind it."""
    u, v = np.meshgrid(np.arange(VIEW.width), np.arange(VIEW.height))
    rays = np.stack([(u - VIEW.cx) / VIEW.fx, (v - VIEW.cy) / VIEW.fy, np.ones(u.shape)], axis=-1)
    a, b = np.sum(rays**2, axis=-1), rays @ center_mm
    root = b**2 - a * (center_mm @ center_mm - RADIUS_MM**2)
    return np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, 0.0).astype(np.float32)


FRAMES = np.stack([ball_frame(center) for center in CENTERS_MM])
INTRINSICS = np.tile(VIEW.intrinsics, (2, 1))


def constant(image):
    return tf.repeat(JOINTS_NORM, tf.shape(image)[0], axis=0)


def mean_depth(image):
    """A network whose joints depend on the picture, so that a wrong crop shows."""
    return tf.reduce_mean(image, axis=(1, 2, 3))[:, None, None] * JOINTS_NORM


def predict(network, *inputs):
    predictor = Predictor(network, SIZE, CUBE_MM, ICVL)
    return {name: value.numpy() for name, value in predictor(*map(tf.constant, inputs)).items()}


def test_the_hand_is_found_and_joints_lie_around_it():
    outputs = predict(constant, FRAMES, INTRINSICS)
    assert outputs["presence"].tolist() == [True, True]
    # The camera sees the front of the ball.
    assert np.linalg.norm(outputs["center_mm"] - CENTERS_MM, axis=1).max() < RADIUS_MM
    expected = JOINTS_NORM * 0.5 * CUBE_MM + outputs["center_mm"][:, None]
    np.testing.assert_allclose(outputs["joints_mm"], expected, atol=1e-3)


def test_joints_in_pixels_are_the_projection_of_those_in_mm():
    outputs = predict(constant, FRAMES, INTRINSICS)
    expected = camera.mm_to_uvd(outputs["joints_mm"].astype(np.float64), VIEW.intrinsics.astype(np.float64))
    np.testing.assert_allclose(outputs["joints_uvd"], expected, rtol=1e-5)


def test_a_given_center_is_the_one_that_is_cropped():
    centers_mm = np.add(CENTERS_MM, [5.0, -8.0, 12.0]).astype(np.float32)
    outputs = predict(mean_depth, FRAMES, INTRINSICS, centers_mm)
    np.testing.assert_array_equal(outputs["center_mm"], centers_mm)
    image = crop.normalize_depth(
        crop.crop_frame(tf.constant(FRAMES), tf.constant(INTRINSICS), tf.constant(centers_mm), CUBE_MM, SIZE),
        tf.constant(centers_mm),
        CUBE_MM,
    )
    assert 0.05 < np.mean(image.numpy() < 1.0) < 0.6
    expected = mean_depth(image).numpy() * 0.5 * CUBE_MM + centers_mm[:, None]
    np.testing.assert_allclose(outputs["joints_mm"], expected, atol=1e-3)


def test_a_batch_is_its_frames_one_by_one():
    together = predict(mean_depth, FRAMES, INTRINSICS)
    for row in range(2):
        alone = predict(mean_depth, FRAMES[row : row + 1], INTRINSICS[row : row + 1])
        for name, value in alone.items():
            np.testing.assert_allclose(value[0], together[name][row], rtol=1e-5, atol=1e-3)


def test_a_frame_without_a_hand_has_no_numbers_and_does_not_touch_its_neighbour():
    frames = FRAMES.copy()
    frames[0] = 0.0
    outputs = predict(mean_depth, frames, INTRINSICS)
    assert outputs["presence"].tolist() == [False, True]
    for name in ("joints_mm", "joints_uvd", "center_mm"):
        assert np.isnan(outputs[name][0]).all() and np.isfinite(outputs[name][1]).all()
    np.testing.assert_allclose(outputs["joints_mm"][1], predict(mean_depth, FRAMES, INTRINSICS)["joints_mm"][1])


def test_it_is_one_graph_for_any_batch():
    predictor = Predictor(mean_depth, SIZE, CUBE_MM, ICVL)
    shapes = tf.TensorSpec([None, None, None], tf.float32), tf.TensorSpec([None, 4], tf.float32)
    function = tf.function(lambda depth_mm, intrinsics: predictor(depth_mm, intrinsics), input_signature=shapes)
    expected = predict(mean_depth, FRAMES[:1], INTRINSICS[:1])["joints_mm"][0]
    for size in (1, 3):
        outputs = function(np.repeat(FRAMES[:1], size, axis=0), np.repeat(INTRINSICS[:1], size, axis=0))
        assert outputs["joints_mm"].shape == (size, ICVL.num_joints, 3) and outputs["presence"].shape == (size,)
        np.testing.assert_allclose(outputs["joints_mm"][-1], expected, atol=1e-2)
