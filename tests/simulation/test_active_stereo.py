import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.simulation import active_stereo, sensor
from lsps_tf.simulation.active_stereo import ActiveStereo

SEED = tf.constant([3, 5])
ONE = tf.ones([1])
OFF = ActiveStereo(
    fattening_px=0.0, disparity_noise_px=0.0, mismatch_rate=0.0, occlusion=0.0, fill_px=0.0, disparity_step_px=0.0
)
BASELINE_FOCAL = OFF.baseline_mm * OFF.camera.fx


def box(near_mm=400.0, far_mm=900.0):
    depth_mm = np.full((1, 40, 80), far_mm, np.float32)
    depth_mm[:, 10:30, 30:50] = near_mm
    return depth_mm


def test_it_is_not_offered_for_training():
    assert sensor.HELD_OUT_SENSOR not in sensor.SENSORS.values() and set(sensor.SENSORS) == {
        "structured-light", "time-of-flight", "stereo",
    }  # fmt: skip
    assert sensor.HELD_OUT_SENSOR.camera not in [each.camera for each in sensor.SENSORS.values()]


def test_nothing_changes_without_effects_and_a_seed_fixes_the_image():
    np.testing.assert_allclose(sensor.apply_sensor(OFF, box(), 1.0, SEED), box(), rtol=1e-6)
    images = [sensor.apply_sensor(ActiveStereo(), box(), 1.0, seed).numpy() for seed in (SEED, SEED, SEED + 1)]
    np.testing.assert_array_equal(images[0], images[1])
    assert np.any(images[0] != images[2])


def test_what_the_right_camera_does_not_see_is_lost_on_the_left_of_near_parts():
    lost = active_stereo.one_eyed(tf.constant(box()), ONE, BASELINE_FOCAL).numpy()[0]
    width = BASELINE_FOCAL * (1 / 400.0 - 1 / 900.0)
    assert lost[10:30].sum(axis=1).tolist() == [int(width)] * 20
    assert lost[15, 30 - int(width) : 30].all() and not lost[:10].any()


def test_surfaces_grow_sideways_only_and_by_less_than_the_reach():
    grown = active_stereo.fatten(tf.constant(box()), ONE, 2.0, SEED).numpy()[0] == 400.0
    was = box()[0] == 400.0
    added = grown & ~was
    assert grown[was].all() and 0.3 * 40 < added.sum() <= 2 * 40
    assert set(np.nonzero(added)[1]) <= {28, 29, 50, 51} and set(np.nonzero(added)[0]) <= set(range(10, 30))


def test_noise_grows_with_the_square_of_the_distance():
    settings = dataclasses.replace(OFF, disparity_noise_px=0.1)
    for z in (300.0, 700.0):
        depth_mm = sensor.apply_sensor(settings, np.full((1, 200, 200), z, np.float32), 1.0, SEED).numpy()
        assert depth_mm.std() == pytest.approx(0.1 * z**2 / BASELINE_FOCAL, rel=0.15)


def test_some_blocks_match_wrongly():
    settings = dataclasses.replace(OFF, mismatch_rate=0.05)
    depth_mm = sensor.apply_sensor(settings, np.full((1, 200, 200), 500.0, np.float32), 1.0, SEED).numpy()
    assert np.mean(np.abs(depth_mm - 500.0) > 0.1) == pytest.approx(0.05, abs=0.02)


def test_depths_are_steps_of_disparity_and_small_holes_are_filled():
    depth_mm = np.linspace(300, 700, 1000, dtype=np.float32).reshape(1, 10, 100)
    stepped = active_stereo.move_disparity(tf.constant(depth_mm), 0.0, BASELINE_FOCAL, 1 / 32).numpy()
    steps = BASELINE_FOCAL / stepped * 32
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-2)
    holes = np.full((1, 40, 40), 500.0, np.float32)
    holes[0, 10, 10], holes[0, 20:, 20:] = 0.0, 0.0
    filled = active_stereo.fill_holes(tf.constant(holes), ONE, 1.5).numpy()[0]
    assert filled[10, 10] == pytest.approx(500.0, abs=0.1) and filled[30, 30] == 0.0
