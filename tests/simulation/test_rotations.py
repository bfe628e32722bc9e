import numpy as np
import tensorflow as tf
from scipy.spatial.transform import Rotation

from lsps_tf.simulation import rotations


def test_axis_rotation_agrees_with_scipy():
    axis, angles = np.array([2.0, -1.0, 2.0]) / 3.0, np.linspace(-4, 4, 9, dtype=np.float32)
    expected = Rotation.from_rotvec(angles[:, None] * axis).as_matrix()
    np.testing.assert_allclose(rotations.axis_rotation(tuple(axis), tf.constant(angles)), expected, atol=1e-6)


def test_rotation_from_vector_agrees_with_scipy_at_any_size():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 3)) * np.repeat([1e-6, 1e-3, 0.05, 0.1, 1.0, 3.0], 10)[:, None]
    expected = Rotation.from_rotvec(vectors).as_matrix()
    np.testing.assert_allclose(rotations.rotation_from_vector(vectors.astype(np.float32)), expected, atol=2e-6)


def test_gradient_at_zero_is_the_generator_of_rotations():
    vector = tf.Variable(tf.zeros([3]))
    with tf.GradientTape() as tape:
        matrix = rotations.rotation_from_vector(vector)
    jacobian = tape.jacobian(matrix, vector).numpy()
    expected = np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        expected[i, j, k], expected[j, i, k] = -1.0, 1.0
    np.testing.assert_allclose(jacobian, expected, atol=1e-7)


def test_six_numbers_give_a_rotation_and_its_columns_give_it_back():
    columns = np.random.default_rng(1).normal(size=(20, 6)).astype(np.float32)
    matrices = rotations.rotation_from_6d(columns).numpy()
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), np.tile(np.eye(3), (20, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(matrices), 1.0, atol=1e-5)
    again = np.concatenate([matrices[:, :, 0], matrices[:, :, 1]], axis=1)
    np.testing.assert_allclose(rotations.rotation_from_6d(again), matrices, atol=1e-5)
