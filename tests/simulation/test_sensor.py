"""Every effect of the sensors: its statistics, that its switch turns it off, and that the seed fixes it."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from lsps_tf.camera import Camera
from lsps_tf.datasets.simulator import Simulation, Simulator
from lsps_tf.errors import InputError
from lsps_tf.simulation import depth_geometry, random_fields, sensor, structured_light, time_of_flight
from tests.simulation.test_stereo import OFF as STEREO_OFF

BASELINE_FOCAL = 75.0 * 588.0
SEED = tf.constant([3, 4])
ONE = tf.constant([1.0])
OFF = {
    "structured-light": dataclasses.replace(
        sensor.SENSORS["structured-light"],
        lateral_jitter_px=0.0,
        shadow=False,
        axial_noise_px=0.0,
        grazing_noise=0.0,
        grazing_limit_deg=0.0,
        missing_rate=0.0,
        missing_thin_rate=0.0,
        speckle_rate=0.0,
        disparity_step_px=0.0,
    ),
    "time-of-flight": dataclasses.replace(
        sensor.SENSORS["time-of-flight"],
        smoothing_px=0.0,
        flying_rate=0.0,
        noise_mm=0.0,
        wiggling_mm=0.0,
        multipath_mm=0.0,
        lowest_amplitude=0.0,
    ),
    "stereo": STEREO_OFF,
}
SWITCHES = [
    ("structured-light", {"lateral_jitter_px": 0.8}),
    ("structured-light", {"shadow": True}),
    ("structured-light", {"axial_noise_px": 0.0625}),
    ("structured-light", {"grazing_noise": 1.0}),
    ("structured-light", {"grazing_limit_deg": 60.0}),
    ("structured-light", {"missing_rate": 0.02}),
    ("structured-light", {"missing_thin_rate": 0.3}),
    ("structured-light", {"speckle_rate": 0.3}),
    ("structured-light", {"disparity_step_px": 0.125}),
    ("time-of-flight", {"smoothing_px": 0.7}),
    ("time-of-flight", {"flying_rate": 0.5}),
    ("time-of-flight", {"noise_mm": 2.0}),
    ("time-of-flight", {"wiggling_mm": 2.0}),
    ("time-of-flight", {"multipath_mm": 2.0}),
    ("time-of-flight", {"lowest_amplitude": 0.2}),
    ("stereo", {"melt_sigma_px": (3.0, 3.0)}),
    ("stereo", {"fattening_px": (3.0, 3.0)}),
    ("stereo", {"disparity_noise_px": (0.1, 0.1)}),
    ("stereo", {"mismatch_rate": 0.2}),
    ("stereo", {"lost_behind": (1.0, 1.0)}),
    ("stereo", {"lost_before": (1.0, 1.0)}),
    ("stereo", {"disparity_step_px": 0.125}),
]


def _scene():
    """Two images of 64 x 96: a ball in front of a tilted plate that ends before the image does."""
    v, u = np.mgrid[0:64, 0:96].astype(np.float32)
    plate = np.where((u > 6) & (u < 88) & (v > 5), 700.0 + 0.8 * u + 0.3 * v, 0.0)
    inside = 20.0**2 - (u - 40) ** 2 - (v - 30) ** 2
    ball = np.where(inside > 0, 640.0 - np.sqrt(np.maximum(inside, 0)), np.inf)
    first = np.minimum(np.where(plate > 0, plate, np.inf), ball)
    first = np.where(np.isfinite(first), first, 0).astype(np.float32)
    return np.stack([first, first[::-1, ::-1]])


def _flat(depth_mm, height=120, width=160, batch=1):
    return tf.fill([batch, height, width], float(depth_mm))


@pytest.mark.parametrize("name", sensor.SENSORS)
def test_all_switches_off_is_the_identity(name):
    # Depth to disparity and back is rounded twice.
    np.testing.assert_allclose(sensor.apply_sensor(OFF[name], _scene(), 1.0, SEED), _scene(), rtol=1e-6)


@pytest.mark.parametrize(("name", "switch"), SWITCHES)
def test_each_switch_has_an_effect_of_its_own(name, switch):
    scene = _scene()
    settings = dataclasses.replace(OFF[name], **switch)
    changed = sensor.apply_sensor(settings, scene, 1.0, SEED).numpy()
    assert np.any(np.abs(changed - scene) > 1e-3)
    assert np.all(np.isfinite(changed)) and np.all(changed >= 0)
    if not {"lateral_jitter_px", "fattening_px"} & set(switch):
        assert np.all(changed[scene == 0] == 0)


@pytest.mark.parametrize("name", sensor.SENSORS)
def test_seed_fixes_the_image_and_background_stays_empty(name):
    pixel_size = tf.constant([2.5, 1.3])
    once = sensor.apply_sensor(name, _scene(), pixel_size, SEED).numpy()
    np.testing.assert_array_equal(once, sensor.apply_sensor(sensor.SENSORS[name], _scene(), pixel_size, SEED))
    assert np.any(once != sensor.apply_sensor(name, _scene(), pixel_size, [3, 5]).numpy())
    far_from_hand = ndimage.minimum_filter(_scene() == 0, size=(1, 7, 7), mode="nearest")
    assert far_from_hand.sum() > 20
    assert np.all(once[far_from_hand] == 0)
    empty = sensor.apply_sensor(name, np.zeros((2, 16, 16), np.float32), 2.0, SEED)
    assert not np.any(empty)
    assert 0.7 < np.mean(once[_scene() > 0] > 0) < 1.0 or name == "time-of-flight"


def test_unknown_sensor_is_an_input_error():
    with pytest.raises(InputError, match="structured-light, time-of-flight"):
        sensor.apply_sensor("lidar", _scene(), 1.0, SEED)


def test_pixel_size_of_a_crop():
    center = tf.constant([[10.0, 20.0, 750.0]])
    expected = 300.0 / 128 / (750.0 / sensor.SENSORS["structured-light"].camera.fx)
    np.testing.assert_allclose(sensor.pixel_size_of_crop("structured-light", center, 300.0, 128), [expected], rtol=1e-6)


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
    slope = _flat(700.0) + tf.range(160.0) * 5.0
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
    lost = structured_light.lost_in_blobs(_flat(rate, 64, 64, 60), tf.fill([60], 1.0), 4.0, SEED).numpy()
    assert abs(lost.mean() - rate) < 0.15 * rate + 0.002
    together = np.mean(lost[:, :, 1:] & lost[:, :, :-1])
    assert together > 0.6 * rate  # independent losses would meet with rate^2


def test_blobs_are_likelier_far_away_and_on_thin_parts():
    settings = sensor.SENSORS["structured-light"]
    near, far = (structured_light.blob_loss(_flat(z), ONE, settings)[0, 60, 80].numpy() for z in (500.0, 1000.0))
    assert abs(far / near - 4.0) < 1e-3
    stripe = np.zeros((1, 60, 60), np.float32)
    stripe[:, :, 20:26] = 775.0
    window = np.exp(-0.5 * (np.arange(60) - 22) ** 2 / 3.0**2)
    filled = window[20:26].sum() / window.sum()
    expected = settings.missing_rate + settings.missing_thin_rate * (1 - filled) ** 2
    np.testing.assert_allclose(structured_light.blob_loss(stripe, ONE, settings)[0, 30, 22], expected, rtol=1e-3)


def test_speckle_takes_its_share_of_edge_pixels_only():
    scene = np.tile(_scene()[:1], (20, 1, 1))
    edge = depth_geometry.beside_edge(tf.constant(scene)).numpy()
    for pixel_size in (1.0, 2.0):
        lost = structured_light.speckle(scene, tf.fill([20], pixel_size), 0.3, SEED).numpy()
        assert not np.any(lost & ~edge)
        assert abs(lost.sum() / edge.sum() - 0.3 / pixel_size) < 0.03


def test_edges_are_where_a_slow_loop_finds_them():
    scene = _scene()[0]
    expected = np.zeros(scene.shape, bool)
    for i in range(scene.shape[0]):
        for j in range(scene.shape[1]):
            for k, m in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                value = scene[k, m] if 0 <= k < scene.shape[0] and 0 <= m < scene.shape[1] else 0.0
                expected[i, j] |= scene[i, j] > 0 and abs(value - scene[i, j]) > depth_geometry.EDGE_MM
    np.testing.assert_array_equal(depth_geometry.beside_edge(tf.constant(scene[None]))[0], expected)


@pytest.mark.parametrize("depth_mm", [500.0, 1000.0])
def test_axial_noise_grows_with_the_square_of_depth(depth_mm):
    settings = dataclasses.replace(OFF["structured-light"], axial_noise_px=1 / 16)
    noisy = sensor.apply_sensor(settings, _flat(depth_mm, batch=20), 3.0, SEED).numpy()
    expected = depth_mm**2 / (settings.baseline_mm * settings.camera.fx) / 16
    assert abs(noisy.std() / expected - 1) < 0.05
    assert abs(noisy.mean() - depth_mm) < 0.05 * expected


def test_oblique_surfaces_are_noisier():
    angle = math.radians(60.0)
    flat, tilted = (
        structured_light.axial_deviation(_flat(900.0), tf.fill([1, 120, 160], c), BASELINE_FOCAL, 1 / 16, 1.0)
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
    out = sensor.apply_sensor("structured-light", _scene(), 2.0, SEED).numpy().astype(np.float64)
    settings = sensor.SENSORS["structured-light"]
    steps = settings.baseline_mm * settings.camera.fx / (0.125 * out[out > 0])
    np.testing.assert_allclose(steps, np.rint(steps), atol=2e-3)


def test_flying_pixels_lie_between_both_sides_at_edges():
    scene = np.tile(_scene()[:1], (20, 1, 1))
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
    scene = _scene()
    sigma = 1.5
    smoothed = time_of_flight.smooth(scene, tf.constant([1.0, 1.0]), sigma).numpy()
    for i in range(2):
        valid = (scene[i] > 0).astype(np.float64)
        weight = ndimage.gaussian_filter(valid, sigma, mode="constant", truncate=8.0)
        expected = ndimage.gaussian_filter(scene[i].astype(np.float64), sigma, mode="constant", truncate=8.0)
        expected = np.where(valid > 0, expected / np.maximum(weight, 1e-9), 0)
        np.testing.assert_allclose(smoothed[i], expected, atol=0.02)
    np.testing.assert_allclose(time_of_flight.smooth(_flat(431.5), ONE, 2.0), _flat(431.5), atol=1e-3)


@pytest.mark.parametrize("depth_mm", [300.0, 600.0])
def test_time_of_flight_noise_follows_the_returned_light(depth_mm):
    settings = dataclasses.replace(OFF["time-of-flight"], noise_mm=2.0, noise_distance_mm=400.0)
    noisy = sensor.apply_sensor(settings, _flat(depth_mm, batch=20), 3.0, SEED).numpy()
    assert abs(noisy.std() / (2.0 * (depth_mm / 400.0) ** 2) - 1) < 0.05
    tilted = time_of_flight.returned_amplitude(_flat(depth_mm), tf.fill([1, 120, 160], 0.5), 400.0)
    np.testing.assert_allclose(tilted[0, 0, 0], 0.5 * (400.0 / depth_mm) ** 2, rtol=1e-5)


def test_dark_surfaces_give_no_reading():
    settings = dataclasses.replace(OFF["time-of-flight"], lowest_amplitude=0.5, noise_distance_mm=400.0)
    assert np.all(sensor.apply_sensor(settings, _flat(560.0), 1.0, SEED).numpy() == 560.0)
    assert not np.any(sensor.apply_sensor(settings, _flat(570.0), 1.0, SEED))


def test_wiggling_is_a_sine_of_depth():
    depth = np.linspace(250.0, 1000.0, 600, dtype=np.float32).reshape(1, 20, 30)
    expected = depth + 2.0 * np.sin(2 * np.pi * depth.astype(np.float64) / 750.0)
    np.testing.assert_allclose(time_of_flight.wiggle(depth, 2.0, 750.0), expected, atol=1e-3)


def test_multipath_bias_is_slow_and_of_the_stated_size():
    bias = (
        time_of_flight.multipath_bias(_flat(400.0, 64, 64, 200), tf.fill([200], 2.0), 2.5, 20.0, SEED).numpy() - 400.0
    )
    assert abs(bias.std() / 2.5 - 1) < 0.1
    assert np.abs(np.diff(bias, axis=2)).std() < 0.1 * bias.std()


@dataclasses.dataclass(frozen=True)
class Ruler:
    """A sensor that measures everything too far."""

    camera: Camera = Camera(100.0, 100.0, 20.0, 20.0, 40, 40)
    distance_mm: tuple = (300.0, 400.0)
    too_far_mm: float = 5.0

    def simulate(self, depth_mm, pixel_size, seed):
        return tf.where(depth_mm > 0.0, depth_mm + self.too_far_mm * pixel_size[:, None, None], 0.0)


def test_a_new_sensor_is_a_class_and_a_row(monkeypatch):
    monkeypatch.setitem(sensor.SENSORS, "ruler", Ruler())
    simulator = Simulator(Simulation("ruler", "nyu", 16, 250.0), "real/test")
    depth_mm, joints_mm = simulator.whole_frame(0)
    assert depth_mm.shape == (40, 40) and 300.0 < joints_mm[:, 2].mean() < 500.0
    clean_mm = np.array([[[0.0, 400.0], [410.0, 0.0]]], np.float32)
    np.testing.assert_array_equal(sensor.apply_sensor("ruler", clean_mm, 2.0, [1, 2]), [[[0.0, 410.0], [420.0, 0.0]]])
