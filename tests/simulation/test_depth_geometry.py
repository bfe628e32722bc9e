"""What sensor effects know of depth images, and the random fields that they draw."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from lsps_tf.simulation import depth_geometry, random_fields
from tests.simulation.depth_images import ONE, SEED, ball_before_plate


def test_gaussian_field_has_unit_variance_and_the_stated_correlation():
    field = random_fields.gaussian_field([60, 40, 40], tf.fill([60], 2.0), 4.0, SEED).numpy()
    variance = np.mean(field**2, axis=0)
    assert abs(variance.mean() - 1) < 0.1
    assert 0.5 < variance[0].mean() < 1.5  # the border is not damped
    for lag_px in (1, 2, 4):
        correlation = np.mean(field[:, :, 10:-10] * np.roll(field, lag_px, axis=2)[:, :, 10:-10])
        assert abs(correlation - math.exp(-((2 * lag_px) ** 2) / (4 * 4.0**2))) < 0.08


def test_gaussian_blur_is_scipys():
    image = np.random.default_rng(0).normal(size=(2, 30, 40)).astype(np.float32)
    blurred = random_fields.gaussian_blur(image, tf.constant([1.0, 2.0]), 3.0).numpy()
    for i, sigma in enumerate((3.0, 1.5)):
        expected = ndimage.gaussian_filter(image[i], sigma, mode="constant", truncate=6.0)
        np.testing.assert_allclose(blurred[i, 12:-12, 12:-12], expected[12:-12, 12:-12], atol=1e-4)


@pytest.mark.parametrize("angle_deg", [0.0, 30.0, 60.0, 75.0])
def test_incidence_cosine_of_tilted_plates(angle_deg):
    columns = np.arange(50) - 24.5
    # z = z0 / (1 - slope x) is a plane through (0, 0, z0) seen by rays x = column / focal.
    depth = 800.0 / (1.0 - math.tan(math.radians(angle_deg)) * columns / 588.0)
    cosine = depth_geometry.incidence_cosine(np.tile(depth, (1, 9, 1)).astype(np.float32), ONE, 588.0)
    assert abs(cosine[0, 4, 24].numpy() - math.cos(math.radians(angle_deg))) < 0.02


def test_edges_are_where_a_slow_loop_finds_them():
    scene = ball_before_plate()[0]
    expected = np.zeros(scene.shape, bool)
    for i in range(scene.shape[0]):
        for j in range(scene.shape[1]):
            for k, m in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                value = scene[k, m] if 0 <= k < scene.shape[0] and 0 <= m < scene.shape[1] else 0.0
                expected[i, j] |= scene[i, j] > 0 and abs(value - scene[i, j]) > depth_geometry.EDGE_MM
    np.testing.assert_array_equal(depth_geometry.beside_edge(tf.constant(scene[None]))[0], expected)
