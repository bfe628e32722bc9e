import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.simulation import anatomy, collision, kinematics, pose_prior, shape, surface

N = 1000
SEED = tf.constant([11, 12])


@tf.function
def sample(seed):
    angles = pose_prior.sample_angles(seed, N)
    state = kinematics.pose_hand(angles, tf.eye(3, batch_shape=[N]), tf.zeros([N, 3]), shape.canonical_shape())
    return angles, state, collision.penetration_mm(state)


@pytest.fixture(scope="module")
def hands():
    angles, state, depth = sample(SEED)
    return angles.numpy(), state, depth.numpy()


def column(name):
    return anatomy.ANGLE_NAMES.index(name)


def test_angles_keep_to_their_limits(hands):
    angles = hands[0]
    assert angles.shape == (N, anatomy.NUM_ANGLES) and anatomy.NUM_ANGLES >= 20
    assert (angles >= anatomy.ANGLE_LIMITS[:, 0]).all() and (angles <= anatomy.ANGLE_LIMITS[:, 1]).all()
    assert (np.abs(angles).max(axis=1) > 0.05).all()  # none is the flat hand that stands in for a failed draw


def test_nothing_is_inside_anything_else(hands):
    assert hands[2].max() <= collision.CONTACT_MM


def test_no_finger_is_inside_another_by_a_measure_of_its_own(hands):
    """Spheres strung along the bones, without the roots, which are grown together."""
    _, state, _ = hands
    centers, radii = state.centers_mm.numpy(), state.radii_mm.numpy()
    t = np.linspace(0, 1, 9)[None, :, None]

    def string(*names):
        points, sizes = [], []
        for first, second in zip(names, names[1:]):
            a, b = surface.SPHERE_INDEX[first], surface.SPHERE_INDEX[second]
            points.append(centers[:, a, None] * (1 - t) + centers[:, b, None] * t)
            sizes.append(radii[:, a, None] * (1 - t[..., 0]) + radii[:, b, None] * t[..., 0])
        return np.concatenate(points, axis=1), np.concatenate(sizes, axis=1)

    digits = [string(f"{name}_pip", f"{name}_dip", f"{name}_tip") for name in ("pinky", "ring", "middle", "index")]
    digits.append(string("thumb_mcp", "thumb_ip", "thumb_tip"))
    for i, (points, sizes) in enumerate(digits):
        for other_points, other_sizes in digits[:i]:
            distance = np.linalg.norm(points[:, :, None] - other_points[:, None], axis=-1)
            assert (sizes[:, :, None] + other_sizes[:, None] - distance).max() <= collision.CONTACT_MM + 0.3


def test_no_fingertip_is_inside_the_palm(hands):
    _, state, _ = hands
    centers, radii = state.centers_mm.numpy(), state.radii_mm.numpy()
    weights = np.array([(i, j, 8 - i - j) for i in range(9) for j in range(9 - i)]) / 8
    for wedge in surface.WEDGES[:5]:
        between = np.einsum("wk,nkd->nwd", weights, centers[:, list(wedge)])
        sizes = np.einsum("wk,nk->nw", weights, radii[:, list(wedge)])
        for name in ("pinky_tip", "ring_tip", "middle_tip", "index_tip", "thumb_tip"):
            tip = surface.SPHERE_INDEX[name]
            depth = sizes + radii[:, tip, None] - np.linalg.norm(between - centers[:, tip, None], axis=-1)
            assert depth.max() <= collision.CONTACT_MM + 1.0, name


def test_same_seed_same_hands_another_seed_others(hands):
    np.testing.assert_array_equal(sample(SEED)[0], hands[0])
    np.testing.assert_allclose(pose_prior.sample_angles(SEED, N), hands[0], atol=1e-5)
    assert np.abs(sample(tf.constant([11, 13]))[0] - hands[0]).max(axis=1).min() > 1e-3


def test_fingers_move_together_as_in_real_hands(hands):
    angles = hands[0]
    correlation = np.corrcoef(angles.T)
    for finger in ("pinky", "ring", "middle", "index"):
        pip, dip = angles[:, column(f"{finger}_pip_flexion")], angles[:, column(f"{finger}_dip_flexion")]
        assert abs(np.median(dip[pip > 0.5] / pip[pip > 0.5]) - 2 / 3) < 0.05
        assert correlation[column(f"{finger}_pip_flexion"), column(f"{finger}_mcp_flexion")] > 0.4
    flexion = [column(f"{finger}_pip_flexion") for finger in ("pinky", "ring", "middle", "index")]
    assert correlation[flexion[0], flexion[1]] > correlation[flexion[0], flexion[3]] > 0.1


def test_the_gestures_are_varied(hands):
    angles, state, _ = hands
    pip = angles[:, anatomy.FINGER_ANGLES[:, 2]]
    bent, straight = pip > np.radians(55), pip < np.radians(25)
    assert straight.all(axis=1).mean() > 0.1 and bent.all(axis=1).mean() > 0.05  # open hands and fists
    counted = (bent @ [1, 2, 4, 8])[(bent | straight).all(axis=1)]
    assert len(np.unique(counted)) >= 14  # nearly every combination of straight and bent fingers
    assert all(np.ptp(angles[:, i]) > 0.75 * np.ptp(anatomy.ANGLE_LIMITS[i]) for i in anatomy.FINGER_ANGLES[:, 2])
    tips = [surface.SPHERE_INDEX[f"{name}_tip"] for name in ("pinky", "ring", "middle", "index")]
    thumb = state.centers_mm.numpy()[:, None, surface.SPHERE_INDEX["thumb_tip"]]
    touching = np.linalg.norm(state.centers_mm.numpy()[:, tips] - thumb, axis=-1) < 22
    assert (touching.mean(axis=0) > 0.005).all()  # the thumb meets each of the fingers


def test_hands_of_other_shapes_collide_neither():
    hand = shape.sample_shape(tf.constant([1, 2]), 200)
    angles = pose_prior.sample_angles(SEED, 200, hand)
    state = kinematics.pose_hand(angles, tf.eye(3, batch_shape=[200]), tf.zeros([200, 3]), hand)
    assert collision.penetration_mm(state).numpy().max() <= collision.CONTACT_MM


def test_the_flat_hand_collides_in_no_shape():
    hand = shape.sample_shape(tf.constant([3, 4]), 2000)
    flat = tf.zeros([2000, anatomy.NUM_ANGLES])
    state = kinematics.pose_hand(flat, tf.eye(3, batch_shape=[2000]), tf.zeros([2000, 3]), hand)
    assert collision.penetration_mm(state).numpy().max() <= collision.CONTACT_MM
