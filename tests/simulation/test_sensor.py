"""What all sensors have in common: every switch turns its effect off, and the seed fixes the image."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from lsps_tf.camera import Camera
from lsps_tf.datasets.simulator import Simulation, Simulator
from lsps_tf.errors import InputError
from lsps_tf.simulation import sensor
from tests.simulation.depth_images import OFF, SEED, ball_before_plate

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
    ("stereo", {"block_px": (6.0, 6.0)}),
    ("stereo", {"fattening_px": (3.0, 3.0)}),
    ("stereo", {"disparity_noise_px": (0.1, 0.1)}),
    ("stereo", {"mismatch_rate": 0.2}),
    ("stereo", {"lost_behind": (1.0, 1.0)}),
    ("stereo", {"lost_before": (1.0, 1.0)}),
    ("stereo", {"disparity_step_px": 0.125}),
]


@pytest.mark.parametrize("name", sensor.SENSORS)
def test_all_switches_off_is_the_identity(name):
    # Depth to disparity and back is rounded twice.
    np.testing.assert_allclose(
        sensor.apply_sensor(OFF[name], ball_before_plate(), 1.0, SEED), ball_before_plate(), rtol=1e-6
    )


@pytest.mark.parametrize(("name", "switch"), SWITCHES)
def test_each_switch_has_an_effect_of_its_own(name, switch):
    scene = ball_before_plate()
    settings = dataclasses.replace(OFF[name], **switch)
    changed = sensor.apply_sensor(settings, scene, 1.0, SEED).numpy()
    assert np.any(np.abs(changed - scene) > 1e-3)
    assert np.all(np.isfinite(changed)) and np.all(changed >= 0)
    if not {"lateral_jitter_px", "fattening_px"} & set(switch):
        assert np.all(changed[scene == 0] == 0)


@pytest.mark.parametrize("name", sensor.SENSORS)
def test_seed_fixes_the_image_and_background_stays_empty(name):
    pixel_size = tf.constant([2.5, 1.3])
    once = sensor.apply_sensor(name, ball_before_plate(), pixel_size, SEED).numpy()
    np.testing.assert_array_equal(
        once, sensor.apply_sensor(sensor.SENSORS[name], ball_before_plate(), pixel_size, SEED)
    )
    assert np.any(once != sensor.apply_sensor(name, ball_before_plate(), pixel_size, [3, 5]).numpy())
    far_from_hand = ndimage.minimum_filter(ball_before_plate() == 0, size=(1, 7, 7), mode="nearest")
    assert far_from_hand.sum() > 20
    assert np.all(once[far_from_hand] == 0)
    empty = sensor.apply_sensor(name, np.zeros((2, 16, 16), np.float32), 2.0, SEED)
    assert not np.any(empty)
    assert 0.7 < np.mean(once[ball_before_plate() > 0] > 0) < 1.0 or name == "time-of-flight"


def test_unknown_sensor_is_an_input_error():
    with pytest.raises(InputError, match="structured-light, time-of-flight"):
        sensor.apply_sensor("lidar", ball_before_plate(), 1.0, SEED)


def test_pixel_size_of_a_crop():
    center = tf.constant([[10.0, 20.0, 750.0]])
    expected = 300.0 / 128 / (750.0 / sensor.SENSORS["structured-light"].camera.fx)
    np.testing.assert_allclose(sensor.pixel_size_of_crop("structured-light", center, 300.0, 128), [expected], rtol=1e-6)


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
