import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.transform import Rotation

from lsps_tf import skeleton
from lsps_tf.fitting import to_joints
from lsps_tf.simulation import anatomy, kinematics, pose_prior, shape, view_prior

N = 12
SEED = tf.constant([3, 4])


@pytest.fixture(scope="module")
def hands():
    """Joints of simulated hands of one subject, and what they were made of."""
    parameters = shape.sample_shape_parameters(tf.constant([8, 9]), 1)
    hand = shape.shape_from_parameters(parameters)
    angles, rotation = pose_prior.sample_angles(SEED, N, hand), view_prior.sample_rotation(SEED, N)
    translation_mm = view_prior.sample_translation(SEED, N)
    joints_mm = kinematics.pose_hand(angles, rotation, translation_mm, hand).joints_mm
    return joints_mm.numpy(), angles.numpy(), rotation.numpy(), translation_mm.numpy(), parameters.numpy()


@pytest.fixture(scope="module")
def fit(hands):
    return to_joints.fit_hand(hands[0])


def distance_mm(first, second):
    return np.linalg.norm(first - second, axis=-1)


def test_a_simulated_hand_is_found_again(hands, fit):
    joints_mm, angles, rotation, translation_mm, parameters = hands
    assert distance_mm(fit.joints_mm, joints_mm).mean() < 0.3
    assert distance_mm(fit.translation_mm, translation_mm).max() < 1.5
    turn = Rotation.from_matrix(rotation).inv() * Rotation.from_matrix(fit.rotation)
    assert np.degrees(turn.magnitude()).max() < 2.0
    seen = anatomy.FINGER_ANGLES[:, [0, 2, 3]].ravel()  # flexion; the joints do not show how far the wrist is bent
    assert np.degrees(np.abs(fit.angles - angles)[:, seen]).mean() < 2.0
    # A longer hand with shorter fingers is nearly a shorter one with longer fingers: lengths count, not parameters.
    found, made = (shape.shape_from_parameters(tf.constant(p)) for p in (fit.shape_parameters, parameters))
    np.testing.assert_allclose(found.bone_lengths_mm, made.bone_lengths_mm, atol=1.5)


def test_the_fit_says_what_its_parts_give(fit):
    hand = shape.shape_from_parameters(tf.constant(fit.shape_parameters))
    posed = kinematics.pose_hand(fit.angles, fit.rotation, fit.translation_mm, hand).joints_mm
    np.testing.assert_allclose(fit.joints_mm, posed, atol=1e-2)
    assert (fit.angles >= anatomy.ANGLE_LIMITS[:, 0]).all() and (fit.angles <= anatomy.ANGLE_LIMITS[:, 1]).all()
    np.testing.assert_allclose(fit.angles[:, anatomy.WRIST_FLEXION], 0.0, atol=0.05)  # no joint shows it: at rest


def test_a_known_shape_is_kept_and_a_wrong_one_costs(hands, fit):
    average = np.zeros_like(fit.shape_parameters)
    other = to_joints.fit_hand(hands[0], shape_parameters=average, steps=100)
    np.testing.assert_array_equal(other.shape_parameters, average)
    errors = [distance_mm(each.joints_mm, hands[0]).mean() for each in (fit, other)]
    assert errors[1] > errors[0] + 0.5


def test_sixteen_joints_are_fitted_too(hands):
    joints_mm = hands[0][:, list(skeleton.ICVL_FROM_NYU)]
    found = to_joints.fit_hand(joints_mm, skeleton.ICVL_FROM_NYU)
    assert found.joints_mm.shape == (N, 16, 3)
    assert distance_mm(found.joints_mm, joints_mm).mean() < 0.5


def test_a_left_hand_is_no_right_hand(hands):
    mirrored = to_joints.fit_hand(hands[0] * [-1.0, 1.0, 1.0], steps=100)
    assert distance_mm(mirrored.joints_mm, hands[0] * [-1.0, 1.0, 1.0]).mean() > 5.0


@pytest.mark.parametrize(
    ("joints_mm", "said"),
    [
        (np.zeros((2, 16, 3)), "36, 3"),
        (np.zeros((36, 3)), "36, 3"),
        (np.zeros((0, 36, 3)), "36, 3"),
        (np.full((1, 36, 3), np.nan), "finite"),
    ],
)
def test_what_cannot_be_fitted_is_refused(joints_mm, said):
    with pytest.raises(ValueError, match=said):
        to_joints.fit_hand(joints_mm, steps=1)


def test_rigid_motion_agrees_with_scipy():
    rng = np.random.default_rng(1)
    points, targets = rng.normal(size=(6, 3)), rng.normal(size=(5, 6, 3))  # far from rigid: reflections would be nearer
    rotation, translation = to_joints.rigid_motion(points, targets)
    for n in range(5):
        middle, target_middle = points.mean(axis=0), targets[n].mean(axis=0)
        expected, _ = Rotation.align_vectors(targets[n] - target_middle, points - middle)
        np.testing.assert_allclose(rotation[n], expected.as_matrix(), atol=1e-8)
        np.testing.assert_allclose(translation[n], target_middle - expected.apply(middle), atol=1e-8)


def test_nearest_poses_are_those_of_a_loop():
    rng = np.random.default_rng(2)
    queries, poses = rng.normal(size=(4, 3, 3)), rng.normal(size=(9, 3, 3))
    indices, distances = to_joints.nearest_poses(queries, poses)
    for n, query in enumerate(queries):
        errors = [np.mean([np.sqrt(np.sum((a - b) ** 2)) for a, b in zip(query, pose)]) for pose in poses]
        assert indices[n] == np.argmin(errors)
        np.testing.assert_allclose(distances[n], min(errors), rtol=1e-5)


def test_the_palm_frame_undoes_the_fitted_motion(fit):
    still = to_joints.to_palm_frame(fit.joints_mm, fit)
    np.testing.assert_allclose(still[:, skeleton.NYU.joint_names.index("palm")], 0.0, atol=1e-3)
    back = np.einsum("nij,nkj->nki", fit.rotation, still) + fit.translation_mm[:, None]
    np.testing.assert_allclose(back, fit.joints_mm, atol=1e-2)
