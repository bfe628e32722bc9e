"""Confidence: its signs against slow loops, its calibration on errors that are known, and its curve."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.confidence import WITHIN_MM, Calibration, Confidence, _interpolate, error_signs, fit_calibration
from lsps_tf.networks import build_networks
from lsps_tf.presets import PRESETS

TINY = PRESETS["tiny"]


@pytest.fixture(scope="module")
def networks():
    networks = build_networks(TINY.network, TINY.data.image_size, seed=1)
    rng = np.random.default_rng(0)
    for variable in networks.trainable_variables:
        variable.assign_add(rng.normal(0.0, 0.05, variable.shape))
    return networks


def test_signs_are_those_of_a_slow_loop(networks):
    z = np.random.default_rng(1).normal(size=(3, 20)).astype(np.float32)
    signs = error_signs(networks, tf.constant(z)).numpy()
    assert signs.shape == (3, 36, 3) and (signs > 0).all()
    for b in range(3):
        joints = networks.decode_pose(z[b : b + 1])
        mean, deviation = networks.encode_pose(joints)
        variance = np.zeros(36)
        for k in range(20):
            step = np.zeros((1, 20), np.float32)
            step[0, k] = 1e-3
            slope = (networks.decode_pose(z[b : b + 1] + step) - networks.decode_pose(z[b : b + 1] - step)) / 2e-3
            variance += ((slope.numpy()[0] * deviation.numpy()[0, k]) ** 2).sum(axis=-1)
        np.testing.assert_allclose(signs[b, :, 0], np.sqrt(variance), rtol=0.02)
        moved = np.linalg.norm(networks.decode_pose(mean).numpy()[0] - joints.numpy()[0], axis=-1)
        np.testing.assert_allclose(signs[b, :, 1], moved, rtol=1e-4)
        np.testing.assert_allclose(signs[b, :, 2], np.linalg.norm(z[b]) / np.sqrt(20), rtol=1e-5)


def simulated(count, seed=0, joints=5):
    """Signs, and errors that grow with the first two of them, differently for each joint; the third says nothing."""
    rng = np.random.default_rng(seed)
    signs = np.exp(rng.normal(0, 0.6, (count, joints, 3)))
    level = 8 * (1 + np.arange(joints))
    errors_mm = level * signs[..., 0] ** 0.8 * signs[..., 1] ** 0.3 * np.exp(rng.normal(0, 0.4, (count, joints)))
    return signs, errors_mm


def test_confidence_is_the_share_of_joints_that_are_right(networks):
    confidence = Confidence(networks, fit_calibration(*simulated(4000), "real/validation"))
    signs, errors_mm = simulated(4000, seed=1)
    said = confidence.of_signs(tf.constant(signs, tf.float32)).numpy()
    assert said.min() >= 0 and said.max() <= 1 and np.ptp(said) > 0.8
    order = np.argsort(said, axis=None)
    right, error = [], []
    for part in np.array_split(order, 10):
        right.append((errors_mm.ravel()[part] <= WITHIN_MM).mean())
        error.append(errors_mm.ravel()[part].mean())
        assert abs(right[-1] - said.ravel()[part].mean()) < 0.05
    assert (np.diff(right) > 0).all() and (np.diff(error) < 0).all()


def test_signs_that_say_nothing_get_no_weight():
    fit = fit_calibration(*simulated(4000), "real/validation")
    assert fit.weights[0] > 2 * fit.weights[1] > 0 and abs(fit.weights[2]) < 0.05 * fit.weights[0]
    assert (np.diff(fit.offsets) > 0).all()
    assert (np.diff(fit.scores) > 0).all() and (np.diff(fit.probabilities) <= 0).all()
    assert (fit.split, fit.frames) == ("real/validation", 4000)


def test_joints_without_labels_take_the_others_level():
    signs, errors_mm = simulated(500)
    errors_mm[:, 2] = np.nan
    errors_mm[::3, 4] = np.nan
    fit = fit_calibration(signs, errors_mm, "real/validation")
    assert np.isfinite(fit.offsets).all() and np.isfinite(fit.probabilities).all()
    others = np.delete(fit.offsets, 2)
    assert others.min() < fit.offsets[2] < others.max()


def test_errors_that_are_all_alike_still_give_a_curve(networks):
    signs, _ = simulated(50)
    for error_mm, probability in ((5.0, 1.0), (50.0, 0.0)):
        fit = fit_calibration(signs, np.full((50, 5), error_mm), "real/validation")
        said = Confidence(networks, fit).of_signs(tf.constant(signs, tf.float32))
        np.testing.assert_allclose(said, probability, atol=1e-6)


def test_the_curve_is_interpolated_as_numpy_does_and_flat_beyond_its_ends():
    scores, values = np.array([-1.0, 0.5, 2.0, 7.0], np.float32), np.array([0.9, 0.7, 0.2, 0.1], np.float32)
    points = np.random.default_rng(0).uniform(-4, 10, (20, 6)).astype(np.float32)
    points[0, :4] = scores
    graph = tf.function(lambda x: _interpolate(x, scores, values))
    np.testing.assert_allclose(graph(points), np.interp(points, scores, values), atol=1e-6)
    np.testing.assert_allclose(_interpolate(tf.constant(points), scores[:1], values[:1]), 0.9, atol=1e-6)


def test_a_call_is_the_signs_then_the_curve(networks):
    fit = Calibration(np.array([0.7, 0.2, 0.1]), np.zeros(36), np.array([-3.0, 3.0]), np.array([1.0, 0.0]), "a", 7)
    confidence = Confidence(networks, fit)
    z = tf.random.stateless_normal([4, 20], [1, 2])
    score = np.log(error_signs(networks, z).numpy()) @ fit.weights
    np.testing.assert_allclose(confidence(z), np.clip(0.5 - score / 6, 0, 1), atol=1e-4)
    assert "calibrated on 7 frames of a" in confidence.describe() and "20 mm" in confidence.describe()
    assert dataclasses.is_dataclass(fit)
