"""The stereo sensor: small steps melt and large ones stay, and its settings differ from image to image."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from lsps_tf.simulation import sensor, stereo

SEED = tf.constant([3, 4])
OFF = dataclasses.replace(
    sensor.SENSORS["stereo"],
    melt_sigma_px=(0.0, 0.0),
    block_px=(0.0, 0.0),
    fattening_px=(0.0, 0.0),
    disparity_noise_px=(0.0, 0.0),
    mismatch_rate=0.0,
    lost_behind=(0.0, 0.0),
    lost_before=(0.0, 0.0),
    fill_px=(0.0, 0.0),
    disparity_step_px=0.0,
)


def step(height_mm, count=1):
    depth_mm = np.full((count, 40, 80), 700.0, np.float32)
    depth_mm[:, :, 40:] -= height_mm
    return depth_mm


def test_a_small_step_becomes_a_slope_and_a_large_one_stays():
    melted, kept = (
        stereo.melt(tf.constant(step(height)), tf.ones(1), tf.constant([3.0]), tf.constant([15.0])).numpy()[0, 20]
        for height in (10.0, 120.0)
    )
    assert np.abs(np.diff(melted)).max() < 3.5 and np.all(np.diff(melted) <= 1e-3)
    np.testing.assert_allclose(melted[[2, 77]], [700.0, 690.0], atol=0.1)
    np.testing.assert_allclose(kept, step(120.0)[0, 20], atol=1e-3)


def test_a_point_is_spread_as_widely_as_asked_for():
    depth_mm = np.ones((1, 41, 41), np.float32)
    depth_mm[0, 20, 20] += 0.1
    for sigma in (0.5, 1.5, 3.0):
        # An image pixel is two of the sensor's.
        spread = stereo.melt(tf.constant(depth_mm), tf.constant([2.0]), tf.constant([2.0 * sigma]), tf.constant([15.0]))
        weight = spread.numpy()[0].astype(np.float64) - 1.0
        squares = (np.arange(41) - 20.0) ** 2
        for axis in (0, 1):
            np.testing.assert_allclose((weight.sum(axis) * squares).sum() / weight.sum(), sigma**2, rtol=0.02)


def test_no_reading_stays_none_and_pulls_nothing():
    depth_mm = step(10.0)
    depth_mm[:, :, :20] = 0.0
    melted = stereo.melt(tf.constant(depth_mm), tf.ones(1), tf.constant([3.0]), tf.constant([15.0])).numpy()
    assert np.all(melted[:, :, :20] == 0.0)
    np.testing.assert_allclose(melted[:, :, 20:25], 700.0, atol=0.1)


def test_gaps_between_fingers_close_and_outlines_stay():
    depth_mm = np.full((1, 30, 60), 700.0, np.float32)
    depth_mm[:, 5:25, 10:20] = 650.0
    depth_mm[:, 5:25, 22:32] = 640.0
    depth_mm[:, 5:25, 40:50] = 650.0
    closed = stereo.close_gaps(tf.constant(depth_mm), tf.constant([2.5]), tf.constant([3.0])).numpy()
    # The gap of two image pixels is gone, but for its ends; the one of eight stays, and no finger becomes wider.
    assert np.all(closed[0, 6:24, 20:22] <= 650.0)
    changed = closed != depth_mm
    changed[:, :, 20:22] = False
    assert not changed.any()


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_closing_is_that_of_mathematical_morphology(steps):
    random = np.random.default_rng(steps)
    depth_mm = random.uniform(500.0, 900.0, (2, 24, 32)).astype(np.float32)
    depth_mm[random.random(depth_mm.shape) < 0.1] = 0.0
    reach_px = tf.constant([3.0 * steps, 0.0])
    closed = stereo.close_gaps(tf.constant(depth_mm), tf.constant([3.0, 3.0]), reach_px).numpy()
    far = np.where(depth_mm[0] > 0.0, depth_mm[0], 1e6)
    expected, cross = far, ndimage.generate_binary_structure(2, 1)
    for _ in range(steps):
        expected = ndimage.grey_erosion(expected, footprint=cross, mode="constant", cval=1e6)
    for _ in range(steps):
        expected = ndimage.grey_dilation(expected, footprint=cross, mode="constant", cval=0.0)
    expected = np.minimum(expected, far)
    np.testing.assert_array_equal(closed[0], np.where(expected < 1e6, expected, 0.0))
    np.testing.assert_array_equal(closed[1], depth_mm[1])


@pytest.mark.parametrize(("baseline_mm", "widths"), [(45.0, 1.0), (45.0, 2.0), (95.0, 1.0)])
def test_the_baseline_decides_the_width_of_the_lost_bands(baseline_mm, widths):
    width = widths * baseline_mm * OFF.camera.fx * (1 / 400.0 - 1 / 700.0)
    settings = dataclasses.replace(OFF, baseline_mm=(baseline_mm, baseline_mm))
    for side, name in ((1, "lost_behind"), (-1, "lost_before")):
        one = dataclasses.replace(settings, **{name: (widths, widths)})
        # What is nearer is on the right; and on the left, where the other camera's band is.
        lost = sensor.apply_sensor(one, step(300.0)[:, :, ::side], 1.0, SEED).numpy()[0, 20, ::side] == 0.0
        assert lost.sum() == min(int(width), 32) and lost[39]


def test_every_image_has_settings_of_its_own():
    settings = dataclasses.replace(OFF, disparity_noise_px=(0.02, 0.2))
    noise_mm = sensor.apply_sensor(settings, step(0.0, 40), 1.0, SEED).numpy().std(axis=(1, 2))
    # At 700 mm a disparity of one pixel is 8.5 to 18 mm, by the baseline.
    assert noise_mm.min() < 0.6 and noise_mm.max() > 1.2
