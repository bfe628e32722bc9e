"""Whether poses are hands: simulated ones are, and those that are bent too far, shrunken or torn are not."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.fitting import to_joints
from lsps_tf.simulation import anatomy, kinematics
from lsps_tf.simulation.shape import canonical_shape
from lsps_tf.skeleton import NYU
from training.evaluation.hand_validity import bone_lengths_mm, measure_validity

COUNT = 6


def posed_mm(angles):
    count = len(angles)
    hand = tf.nest.map_structure(lambda part: tf.repeat(part, count, axis=0), canonical_shape())
    turns = tf.eye(3, batch_shape=[count])
    return kinematics.pose_hand(tf.constant(angles, tf.float32), turns, tf.zeros([count, 3]), hand).joints_mm.numpy()


@pytest.fixture(scope="module")
def angles():
    low, high = anatomy.ANGLE_LIMITS.T
    share = np.random.default_rng(0).uniform(0.3, 0.7, (COUNT, anatomy.NUM_ANGLES))
    return low + share * (high - low)


def test_simulated_hands_are_hands(angles):
    joints_mm = posed_mm(angles)
    found = measure_validity(joints_mm, NYU, joints_mm)
    assert found.angles_percent > 99 and found.bones_spread_percent < 6
    assert found.bones_percent == pytest.approx(100.0)


def test_fingers_bent_back_are_beyond_the_limits(angles):
    bent = angles.copy()
    # The middle joints of four fingers, of 24 angles.
    bent[:, anatomy.FINGER_ANGLES[:, 2]] = np.radians(-40.0)
    found = measure_validity(posed_mm(bent), NYU, posed_mm(angles))
    assert 70 < found.angles_percent < 90


def test_a_small_hand_and_a_torn_one_are_seen_by_their_bones(angles):
    joints_mm = posed_mm(angles)
    assert measure_validity(0.5 * joints_mm, NYU, joints_mm).bones_percent == pytest.approx(50.0)
    sizes = np.linspace(0.7, 1.3, COUNT)[:, None, None]
    torn, whole = (measure_validity(part, NYU, joints_mm) for part in (sizes * joints_mm, joints_mm))
    assert torn.bones_spread_percent > whole.bones_spread_percent + 10


def test_bone_lengths(angles):
    joints_mm = posed_mm(angles)
    parent, child = NYU.bones[3]
    expected = [np.linalg.norm(pose[child] - pose[parent]) for pose in joints_mm]
    np.testing.assert_allclose(bone_lengths_mm(joints_mm, NYU)[:, 3], expected, rtol=1e-5)


def test_without_limits_the_fit_says_what_the_joints_ask_for(angles):
    bent = angles.copy()
    bent[:, anatomy.FINGER_ANGLES[:, 2]] = np.radians(-30.0)
    free = to_joints.fit_hand(posed_mm(bent), steps=300, limited=False)
    found = np.degrees(free.angles[:, anatomy.FINGER_ANGLES[:, 2]])
    # The other joints take their part, so the fit stays behind; with limits it stops at 0.
    assert -33 < found.mean() < -22 and found.max() < -10
