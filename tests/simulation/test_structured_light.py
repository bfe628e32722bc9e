"""Every effect of structured light: its statistics against what its formula says."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.simulation import depth_geometry, sensor, structured_light
from tests.simulation.depth_images import OFF, ONE, SEED, ball_before_plate, even_depth

BASELINE_FOCAL = 75.0 * 588.0


def test_jitter_moves_edges_by_its_deviation_only_at_edges():
    depth = np.where(np.arange(200) < 100, 700.0, 0.0).astype(np.float32) * np.ones((1, 200, 1), np.float32)
    for pixel_size, deviation in ((1.0, 3.0), (1.0, 0.8), (2.5, 0.8)):
        moved = structured_light.jitter_edges(depth, tf.constant([pixel_size]), deviation, 0.0, SEED).numpy()
        changed = moved != depth
        # A pixel k pixels off the edge flips if its displacement exceeds k: E|d| / 2 per side, E|d| for both together.
        expected = 200 * deviation / pixel_size * math.sqrt(2 / math.pi)
        assert abs(changed.sum() - expected) < 0.2 * expected
    reach = math.ceil(5 * 0.8)
    assert not changed[:, :, : 100 - reach].any() and not changed[:, :, 100 + reach :].any()
    slope = even_depth(700.0) + tf.range(160.0) * 5.0
    np.testing.assert_array_equal(structured_light.jitter_edges(slope, ONE, 0.8, 2.0, SEED), slope)


@pytest.mark.parametrize(("near", "far"), [(700.0, 760.0), (500.0, 560.0)])
def test_shadow_is_as_wide_as_the_parallax(near, far):
    depth = np.full((1, 4, 160), far, np.float32)
    depth[:, :, 40:90] = near
    shadow = structured_light.projector_shadow(depth, ONE, BASELINE_FOCAL).numpy()
    width = BASELINE_FOCAL * (1 / near - 1 / far)
    assert np.all(shadow.sum(-1) == math.ceil(width - 1)) or np.all(np.abs(shadow.sum(-1) - width) <= 1)
    assert shadow[0, 0, 90] and not shadow[0, 0, :90].any()
    coarse = structured_light.projector_shadow(depth, tf.constant([3.0]), BASELINE_FOCAL).numpy()
    assert np.all(np.abs(coarse.sum(-1) - width / 3) <= 1)


def test_grazing_loss_grows_with_the_angle():
    angles = np.radians([0.0, 60.0, 70.0, 76.0, 82.0])
    loss = structured_light.grazing_loss(tf.constant(np.cos(angles), tf.float32), 76.0, 5.0).numpy()
    assert np.all(np.diff(loss) >= 0)
    assert loss[0] < 1e-4 and abs(loss[3] - 0.5) < 0.01 and loss[4] > 0.95


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_lost_in_blobs_keeps_the_rate_and_is_coherent(rate):
    lost = structured_light.lost_in_blobs(even_depth(rate, 64, 64, 60), tf.fill([60], 1.0), 4.0, SEED).numpy()
    assert abs(lost.mean() - rate) < 0.15 * rate + 0.002
    together = np.mean(lost[:, :, 1:] & lost[:, :, :-1])
    assert together > 0.6 * rate  # independent losses would meet with rate^2


def test_blobs_are_likelier_far_away_and_on_thin_parts():
    settings = sensor.SENSORS["structured-light"]
    near, far = (structured_light.blob_loss(even_depth(z), ONE, settings)[0, 60, 80].numpy() for z in (500.0, 1000.0))
    assert abs(far / near - 4.0) < 1e-3
    stripe = np.zeros((1, 60, 60), np.float32)
    stripe[:, :, 20:26] = 775.0
    window = np.exp(-0.5 * (np.arange(60) - 22) ** 2 / 3.0**2)
    filled = window[20:26].sum() / window.sum()
    expected = settings.missing_rate + settings.missing_thin_rate * (1 - filled) ** 2
    np.testing.assert_allclose(structured_light.blob_loss(stripe, ONE, settings)[0, 30, 22], expected, rtol=1e-3)


def test_speckle_takes_its_share_of_edge_pixels_only():
    scene = np.tile(ball_before_plate()[:1], (20, 1, 1))
    edge = depth_geometry.beside_edge(tf.constant(scene)).numpy()
    for pixel_size in (1.0, 2.0):
        lost = structured_light.speckle(scene, tf.fill([20], pixel_size), 0.3, SEED).numpy()
        assert not np.any(lost & ~edge)
        assert abs(lost.sum() / edge.sum() - 0.3 / pixel_size) < 0.03


@pytest.mark.parametrize("depth_mm", [500.0, 1000.0])
def test_axial_noise_grows_with_the_square_of_depth(depth_mm):
    settings = dataclasses.replace(OFF["structured-light"], axial_noise_px=1 / 16)
    noisy = sensor.apply_sensor(settings, even_depth(depth_mm, batch=20), 3.0, SEED).numpy()
    expected = depth_mm**2 / (settings.baseline_mm * settings.camera.fx) / 16
    assert abs(noisy.std() / expected - 1) < 0.05
    assert abs(noisy.mean() - depth_mm) < 0.05 * expected


def test_oblique_surfaces_are_noisier():
    angle = math.radians(60.0)
    flat, tilted = (
        structured_light.axial_deviation(even_depth(900.0), tf.fill([1, 120, 160], c), BASELINE_FOCAL, 1 / 16, 1.0)
        for c in (1.0, math.cos(angle))
    )
    expected = 0.1 / math.sqrt(0.9) * angle**2 / (math.pi / 2 - angle) ** 2
    np.testing.assert_allclose((tilted - flat)[0, 0, 0], expected, rtol=1e-3)


def test_quantized_depth_lies_on_the_disparity_grid():
    depth = np.linspace(400.0, 1200.0, 4000, dtype=np.float32).reshape(1, 40, 100)
    quantized = structured_light.quantize_disparity(depth, BASELINE_FOCAL, 0.125).numpy()
    steps = BASELINE_FOCAL / (0.125 * quantized.astype(np.float64))
    np.testing.assert_allclose(steps, np.rint(steps), atol=2e-3)
    assert np.all(np.abs(quantized - depth) <= 0.51 * 0.125 * depth**2 / BASELINE_FOCAL * 1.01)
    # What the whole sensor reports lies on the grid, too.
    out = sensor.apply_sensor("structured-light", ball_before_plate(), 2.0, SEED).numpy().astype(np.float64)
    settings = sensor.SENSORS["structured-light"]
    steps = settings.baseline_mm * settings.camera.fx / (0.125 * out[out > 0])
    np.testing.assert_allclose(steps, np.rint(steps), atol=2e-3)
