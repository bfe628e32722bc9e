import numpy as np
import tensorflow as tf

from lsps_tf.simulation import anatomy, collision, kinematics, shape


def test_closest_points_of_segments_agree_with_a_search():
    rng = np.random.default_rng(0)
    ends = rng.normal(size=(4, 40, 3)).astype(np.float32)
    ends[3, :5] = ends[2, :5] + (ends[1, :5] - ends[0, :5]) * 0.7  # parallel
    ends[2:, 5:10] += 6.0  # closest at the ends
    first, second = (part.numpy() for part in collision.segment_parameters(*ends))
    place = np.linspace(0, 1, 201)
    for i in range(40):
        start, end, other_start, other_end = ends[:, i].astype(float)
        grid = start + place[:, None, None] * (end - start) - other_start - place[:, None] * (other_end - other_start)
        found = start + first[i] * (end - start) - other_start - second[i] * (other_end - other_start)
        assert 0 <= first[i] <= 1 and 0 <= second[i] <= 1
        difference = np.linalg.norm(grid, axis=-1).min() - np.linalg.norm(found)
        assert -1e-3 < difference < 0.02, i


def pose(angles):
    n = angles.shape[0]
    return kinematics.pose_hand(angles, tf.eye(3, batch_shape=[n]), tf.zeros([n, 3]), shape.canonical_shape())


def test_crossed_fingers_and_fingers_in_the_palm_are_found():
    names = anatomy.ANGLE_NAMES
    angles = np.zeros((3, anatomy.NUM_ANGLES), np.float32)
    angles[1, names.index("index_mcp_deviation")] = -0.35  # the index finger into the middle finger
    angles[1, names.index("middle_mcp_deviation")] = 0.35
    for joint in ("mcp", "pip"):
        angles[2, names.index(f"middle_{joint}_flexion")] = 2.0  # further than it can: into the palm
    depths = collision.penetration_mm(pose(angles)).numpy()
    assert depths[0] <= collision.CONTACT_MM and depths[1] > 8 and depths[2] > 8


def test_gradient_pushes_the_parts_asunder():
    start = np.zeros((1, anatomy.NUM_ANGLES), np.float32)
    start[0, anatomy.ANGLE_NAMES.index("index_mcp_deviation")] = -0.25
    start[0, anatomy.ANGLE_NAMES.index("middle_mcp_deviation")] = 0.2
    angles = tf.Variable(start)
    with tf.GradientTape() as tape:
        depth = collision.penetration_mm(pose(angles))
    gradient = tape.gradient(depth, angles).numpy()
    assert np.isfinite(gradient).all() and depth.numpy()[0] > 3
    step = 0.5 / np.sum(gradient**2) * gradient
    lower = collision.penetration_mm(pose(tf.constant(start - step))).numpy()[0]
    np.testing.assert_allclose(depth.numpy()[0] - lower, 0.5, atol=0.1)
