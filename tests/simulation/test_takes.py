"""A hand that moves in a scene that stands still."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.simulation import grasps, shape, surroundings, takes, things

FRAMES = 6


@pytest.fixture(scope="module", params=range(3))
def take(request):
    """(seed, take), the first of which holds something."""
    subject = shape.subject_shape(np.array([20]))
    seed = next(seed for seed in range(40) if _grips(subject, seed)) if request.param == 0 else request.param
    return subject, seed, takes.draw_take(subject, FRAMES, 400.0, 700.0, tf.constant([3, seed]))


def _grips(subject, seed):
    return bool(surroundings.draw_pose(subject, 1, 400.0, 700.0, tf.constant([3, seed])).grips[0])


def test_it_starts_as_the_scene_does_and_the_scene_stays(take):
    subject, seed, drawn = take
    scene = surroundings.draw_scene(subject, 1, 400.0, 700.0, tf.constant([3, seed]))
    np.testing.assert_allclose(drawn.hand.joints_mm[:1], scene.hand.joints_mm, atol=1e-2)
    np.testing.assert_allclose(drawn.held.center_mm[:1], scene.held.center_mm, atol=1e-2)
    still = drawn._replace(hand=scene.hand, held=scene.held)
    for part, first in zip(tf.nest.flatten(still), tf.nest.flatten(scene)):
        if part.shape[0] == FRAMES:
            np.testing.assert_array_equal(part, np.repeat(first, FRAMES, axis=0))


def test_the_hand_moves_a_little_in_each_frame_and_keeps_its_bones(take):
    joints_mm = take[2].hand.joints_mm.numpy()
    steps_mm = np.linalg.norm(np.diff(joints_mm, axis=0), axis=-1)
    assert steps_mm.max(axis=1).min() > 0.5 and steps_mm.max() < 80.0
    bones_mm = np.linalg.norm(joints_mm[:, 0] - joints_mm[:, 1], axis=-1)
    np.testing.assert_allclose(bones_mm, bones_mm[0], rtol=1e-4)


def test_it_stays_as_high_above_the_table_and_does_not_let_go(take):
    subject, seed, drawn = take
    normal = drawn.planes[0][:, :3]
    height_mm = surroundings.lowest_mm(drawn.hand, drawn.held, normal).numpy()
    np.testing.assert_allclose(height_mm, height_mm[0], atol=0.05)
    assert np.array(things.is_there(drawn.held)).all() == _grips(subject, seed)
    if _grips(subject, seed):
        clearance_mm = grasps.clearance_mm(drawn.hand, drawn.held).numpy()
        assert clearance_mm.min(axis=1).max() < 25.0
