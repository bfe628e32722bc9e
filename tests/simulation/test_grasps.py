import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.simulation import anatomy, grasps, pose_prior, things
from lsps_tf.simulation.kinematics import pose_hand
from lsps_tf.simulation.shape import canonical_shape

COUNT = 64
POWER = grasps.Grips(tf.zeros(COUNT), tf.ones(COUNT))


@pytest.fixture(scope="module")
def closed():
    """Things, the angles before and the angles closed on them."""
    held = grasps.draw_held(tf.constant([3, 1]), COUNT, POWER)
    angles = pose_prior.sample_angles(tf.constant([3, 2]), COUNT)
    return held, angles, grasps.close_on(angles, canonical_shape(), held, POWER)


def clearance(angles, held):
    state = pose_hand(angles, tf.eye(3, batch_shape=[COUNT]), tf.zeros([COUNT, 3]), canonical_shape())
    return grasps.clearance_mm(state, held).numpy()


def test_fingers_close_up_to_the_surface_and_no_farther(closed):
    held, _, angles = closed
    nothing = tf.zeros([COUNT, 5])
    opened = clearance(grasps._at_levels(angles, nothing, nothing), held)
    found = clearance(angles, held)
    free = opened > -grasps.CONTACT_MM
    assert free.mean() > 0.8
    assert found[free].min() > -grasps.CONTACT_MM - 1e-3
    # Most digits come to touch; the others are closed as far as they go.
    assert (found[free] < 6.0).mean() > 0.5
    assert found[free].mean() < opened[free].mean() - 10.0


def test_angles_stay_within_the_limits_and_others_stay_as_they_are(closed):
    _, before, angles = (np.asarray(part) for part in (closed[0].round_mm, closed[1], closed[2]))
    assert (angles >= anatomy.ANGLE_LIMITS[:, 0] - 1e-4).all() and (angles <= anatomy.ANGLE_LIMITS[:, 1] + 1e-4).all()
    kept = [anatomy.WRIST_FLEXION, anatomy.WRIST_DEVIATION, anatomy.PALM_ARCH, *anatomy.FINGER_ANGLES[:, 1]]
    np.testing.assert_array_equal(angles[:, kept], before[:, kept])


def test_a_thick_bar_leaves_the_hand_more_open_than_a_thin_one():
    def mean_flexion(radius_mm):
        center_mm = tf.constant([[4.0, -26.0, -15.0 - radius_mm]] * COUNT)
        half_mm = tf.constant([[100.0, 0.0, 0.0]] * COUNT)
        bar = things.Things(center_mm, tf.eye(3, batch_shape=[COUNT]), half_mm, tf.fill([COUNT], radius_mm))
        angles = grasps.close_on(tf.zeros([COUNT, anatomy.NUM_ANGLES]), canonical_shape(), bar, POWER).numpy()
        return np.degrees(angles[:, anatomy.FINGER_ANGLES[:, 2]].mean())

    thin, thick = mean_flexion(8.0), mean_flexion(34.0)
    assert thin > thick + 15.0
    # Around a tube of 68 mm fingers are bent by half a right angle, around one of 16 mm by about a right angle.
    assert 15.0 < thick < 70.0 and thin > 60.0


def test_things_lie_before_the_palm_and_the_seed_decides():
    held = grasps.draw_held(tf.constant([1, 2]), COUNT, POWER)
    again = grasps.draw_held(tf.constant([1, 2]), COUNT, POWER)
    assert (held.center_mm[:, 2] < -15.0).numpy().all()
    for part, same in zip(held, again):
        np.testing.assert_array_equal(part, same)
    assert len(np.unique(held.round_mm)) > COUNT // 4


@pytest.mark.parametrize("straight", [0.5, 1.0])
def test_precision_grips_keep_their_fingers_straight_and_none_closes_beyond_the_others(straight):
    grips = grasps.Grips(tf.fill([COUNT], straight), tf.fill([COUNT], 0.6))
    held = grasps.draw_held(tf.constant([3, 1]), COUNT, grips)
    angles = grasps.close_on(tf.zeros([COUNT, anatomy.NUM_ANGLES]), canonical_shape(), held, grips)
    mcp, pip = (np.degrees(angles.numpy()[:, anatomy.FINGER_ANGLES[:, k]]) for k in (0, 2))
    # Levels go from -7 to 80 degrees, and from 0 to 95.
    assert mcp.max() <= -7.0 + 0.6 * 87.0 + 1e-3
    assert pip.max() <= 95.0 * 0.6 * (1.0 - straight) + 1e-3 and (straight == 1.0) == (pip.max() < 1e-3)
    opened = clearance(grasps._at_levels(angles, tf.zeros([COUNT, 5]), tf.zeros([COUNT, 5])), held)
    found = clearance(angles, held)
    assert found[opened > -grasps.CONTACT_MM].min() > -grasps.CONTACT_MM - 1e-3
    # Things at the fingers' ends lie beyond the palm.
    assert held.center_mm.numpy()[:, 1].mean() < -26.0 - 38.0 * 0.4


def test_half_of_the_grips_are_precision_grips():
    grips = grasps.draw_grips(tf.constant([5, 6]), 4000)
    precise = grips.straight.numpy() > 0.0
    assert abs(precise.mean() - 0.5) < 0.03
    assert grips.straight.numpy()[precise].min() >= 0.4 and (grips.most.numpy()[~precise] == 1.0).all()
    assert 0.35 <= grips.most.numpy()[precise].min() < grips.most.numpy()[precise].max() <= 0.9
