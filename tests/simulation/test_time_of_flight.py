"""Every effect of time of flight: its statistics against what its formula says."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from lsps_tf.simulation import depth_geometry, sensor, time_of_flight
from tests.simulation.depth_images import OFF, ONE, SEED, ball_before_plate, even_depth


def test_flying_pixels_lie_between_both_sides_at_edges():
    scene = np.tile(ball_before_plate()[:1], (20, 1, 1))
    edge = depth_geometry.beside_edge(tf.constant(scene)).numpy()
    out = time_of_flight.flying_pixels(scene, tf.fill([20], 2.0), 0.6, 300.0, SEED).numpy()
    assert np.all((out != scene) <= edge)
    assert abs(np.mean(out[edge] != scene[edge]) - 0.3) < 0.03
    assert np.all(np.abs(out - scene) <= 151.0)
    step = np.tile(np.where(np.arange(40) < 20, 500.0, 600.0).astype(np.float32), (1, 40, 1))
    mixed = time_of_flight.flying_pixels(step, ONE, 1.0, 300.0, SEED).numpy()[0, 1:-1]
    assert np.all((mixed[:, 19] >= 500) & (mixed[:, 19] <= 550) & (mixed[:, 20] >= 550) & (mixed[:, 20] <= 600))
    assert mixed[:, 19].std() > 5


def test_smoothing_is_normalized_convolution_over_readings():
    scene = ball_before_plate()
    sigma = 1.5
    smoothed = time_of_flight.smooth(scene, tf.constant([1.0, 1.0]), sigma).numpy()
    for i in range(2):
        valid = (scene[i] > 0).astype(np.float64)
        weight = ndimage.gaussian_filter(valid, sigma, mode="constant", truncate=8.0)
        expected = ndimage.gaussian_filter(scene[i].astype(np.float64), sigma, mode="constant", truncate=8.0)
        expected = np.where(valid > 0, expected / np.maximum(weight, 1e-9), 0)
        np.testing.assert_allclose(smoothed[i], expected, atol=0.02)
    np.testing.assert_allclose(time_of_flight.smooth(even_depth(431.5), ONE, 2.0), even_depth(431.5), atol=1e-3)


@pytest.mark.parametrize("depth_mm", [300.0, 600.0])
def test_time_of_flight_noise_follows_the_returned_light(depth_mm):
    settings = dataclasses.replace(OFF["time-of-flight"], noise_mm=2.0, noise_distance_mm=400.0)
    noisy = sensor.apply_sensor(settings, even_depth(depth_mm, batch=20), 3.0, SEED).numpy()
    assert abs(noisy.std() / (2.0 * (depth_mm / 400.0) ** 2) - 1) < 0.05
    tilted = time_of_flight.returned_amplitude(even_depth(depth_mm), tf.fill([1, 120, 160], 0.5), 400.0)
    np.testing.assert_allclose(tilted[0, 0, 0], 0.5 * (400.0 / depth_mm) ** 2, rtol=1e-5)


def test_dark_surfaces_give_no_reading():
    settings = dataclasses.replace(OFF["time-of-flight"], lowest_amplitude=0.5, noise_distance_mm=400.0)
    assert np.all(sensor.apply_sensor(settings, even_depth(560.0), 1.0, SEED).numpy() == 560.0)
    assert not np.any(sensor.apply_sensor(settings, even_depth(570.0), 1.0, SEED))


def test_wiggling_is_a_sine_of_depth():
    depth = np.linspace(250.0, 1000.0, 600, dtype=np.float32).reshape(1, 20, 30)
    expected = depth + 2.0 * np.sin(2 * np.pi * depth.astype(np.float64) / 750.0)
    np.testing.assert_allclose(time_of_flight.wiggle(depth, 2.0, 750.0), expected, atol=1e-3)


def test_multipath_bias_is_slow_and_of_the_stated_size():
    bias = (
        time_of_flight.multipath_bias(even_depth(400.0, 64, 64, 200), tf.fill([200], 2.0), 2.5, 20.0, SEED).numpy()
        - 400.0
    )
    assert abs(bias.std() / 2.5 - 1) < 0.1
    assert np.abs(np.diff(bias, axis=2)).std() < 0.1 * bias.std()
