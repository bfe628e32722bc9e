import numpy as np
import tensorflow as tf

from lsps_tf import skeleton
from lsps_tf.simulation import anatomy, kinematics, pose_prior, shape, surface


def hull_depths_mm(points, centers, radii, corners, weights):
    """Depth (N, P) of points inside a hull of spheres: the greatest over spheres at `weights` between its corners."""
    between = np.einsum("wk,nkd->nwd", weights, centers[:, corners])
    radius = np.einsum("wk,nk->nw", weights, radii[:, corners])
    return (radius[:, None] - np.linalg.norm(points[:, :, None] - between[:, None], axis=-1)).max(axis=-1)


def test_every_joint_is_inside_the_surface_in_any_pose_and_shape():
    n = 100
    hand = shape.sample_shape(tf.constant([5, 6]), n)
    angles = pose_prior.sample_angles(tf.constant([7, 8]), n, hand)
    state = kinematics.pose_hand(angles, tf.eye(3, batch_shape=[n]), tf.zeros([n, 3]), hand)
    joints, centers, radii = (tensor.numpy() for tensor in state)
    t = np.linspace(0, 1, 25)
    edge = np.stack([1 - t, t], axis=1)
    face = np.array([(i, j, 8 - i - j) for i in range(9) for j in range(9 - i)]) / 8
    cones, wedges = surface.primitives(forearm=False)
    depths = [hull_depths_mm(joints, centers, radii, list(cone), edge) for cone in cones]
    depths += [hull_depths_mm(joints, centers, radii, list(wedge), face) for wedge in wedges]
    deepest = np.max(depths, axis=0)
    assert deepest.min() > 1.0, dict(zip(skeleton.NYU.joint_names, deepest.min(axis=0)))


def test_average_hand_has_the_measures_of_an_adult():
    hand = shape.canonical_shape()
    state = kinematics.pose_hand(tf.zeros([1, anatomy.NUM_ANGLES]), tf.eye(3)[None], tf.zeros([1, 3]), hand)
    centers, radii = state.centers_mm[0].numpy(), state.radii_mm[0].numpy()
    index = surface.SPHERE_INDEX
    length = np.linalg.norm(centers[index["middle_tip"]] - hand.wrist_mm[0]) + radii[index["middle_tip"]]
    assert 175 < length < 195
    palm = [index[f"palm_{finger}"] for finger in ("pinky", "ring", "middle", "index")]
    breadth = (centers[palm, 0] + radii[palm]).max() - (centers[palm, 0] - radii[palm]).min()
    assert 70 < breadth < 90
    assert 22 < 2 * radii[palm].mean() < 29
    for finger in skeleton.FINGERS:
        names = ("pip", "dip", "tip") if finger != "thumb" else ("mcp", "ip", "tip")
        along = [radii[index[f"{finger}_{name}"]] for name in names]
        assert along[0] > along[1] > along[2] > 5


def test_topology_names_existing_spheres_once_and_covers_all():
    cones, wedges = surface.primitives(forearm=True)
    assert np.shape(cones)[1] == 2 and np.shape(wedges)[1] == 3 and 20 <= len(cones) + len(wedges) <= 30
    used = {sphere for part in (*cones, *wedges) for sphere in part}
    assert used == set(range(len(surface.SPHERES)))
    hand_only = {sphere for part in (*surface.CONES, *surface.WEDGES) for sphere in part}
    assert not any("forearm" in surface.SPHERES[i].name or "elbow" in surface.SPHERES[i].name for i in hand_only)
    assert [joint.name for joint in surface.JOINTS] == list(skeleton.NYU.joint_names)


def test_subjects_are_reproducible_and_different():
    both = shape.subject_shape([3, 4])
    again, batch = shape.subject_shape(4), tf.function(shape.subject_shape)(tf.constant([4, 3]))
    for first, second, third in zip(both, again, batch):
        np.testing.assert_array_equal(first[1], second[0])
        np.testing.assert_allclose(first, third[::-1], rtol=1e-6, atol=1e-5)
    assert np.abs(both.bone_lengths_mm[0] - both.bone_lengths_mm[1]).max() > 0.5


def test_spread_of_sizes():
    hand = shape.sample_shape(tf.constant([1, 2]), 4000)
    middle = tf.reduce_sum(hand.bone_lengths_mm[:, 2], axis=-1).numpy()
    relative = middle / 88.5
    assert 0.05 < relative.std() < 0.10 and abs(relative.mean() - 1) < 0.01
    assert relative.min() > 0.75 and relative.max() < 1.3
    thick = hand.radii_mm[:, surface.SPHERE_INDEX["middle_pip"]].numpy() / middle
    assert 0.03 < thick.std() / thick.mean() < 0.10  # slender and stout hands of one length


def test_zero_parameters_are_the_average_hand_and_size_scales_everything():
    parameters = np.zeros((2, shape.NUM_SHAPE_PARAMETERS), np.float32)
    parameters[1, 0] = 1.0
    hand, average = shape.shape_from_parameters(parameters), shape.canonical_shape()
    for name, values in hand._asdict().items():
        np.testing.assert_array_equal(values[:1], getattr(average, name))
        if name != "base_rotations":
            np.testing.assert_allclose(values[1], values[0] * np.exp(0.06), rtol=1e-5, atol=1e-5)
