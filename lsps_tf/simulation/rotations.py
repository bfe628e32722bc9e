"""Rotation matrices as differentiable TensorFlow operations; rotations act on column vectors."""

from __future__ import annotations

import tensorflow as tf


def axis_rotation(axis: tuple[float, float, float], angle: tf.Tensor) -> tf.Tensor:
    """Rotation about a constant unit axis (Rodrigues' formula).

    Args:
        axis: unit vector.
        angle: (...) radians, right-handed.

    Returns:
        (..., 3, 3).
    """
    x, y, z = axis
    cross = tf.constant([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sin, cos = tf.sin(angle)[..., None, None], tf.cos(angle)[..., None, None]
    return tf.eye(3) + sin * cross + (1.0 - cos) * tf.matmul(cross, cross)


def rotation_from_vector(vector: tf.Tensor) -> tf.Tensor:
    """Rotation matrices of rotation vectors (axis times angle in radians); the gradient is finite at zero too.

    Args:
        vector: (..., 3).

    Returns:
        (..., 3, 3).
    """
    square = tf.reduce_sum(vector * vector, axis=-1)
    # Series below a tenth of a radian: the closed forms divide by the angle and lose all digits there.
    small = square < 1e-2
    angle = tf.sqrt(tf.where(small, tf.ones_like(square), square))
    sin_ratio = tf.where(small, 1.0 - square / 6.0 + square**2 / 120.0, tf.sin(angle) / angle)
    cos_ratio = tf.where(small, 0.5 - square / 24.0 + square**2 / 720.0, (1.0 - tf.cos(angle)) / angle**2)
    x, y, z = tf.unstack(vector, axis=-1)
    zero = tf.zeros_like(x)
    rows = [tf.stack(row, axis=-1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    cross = tf.stack(rows, axis=-2)
    return tf.eye(3) + sin_ratio[..., None, None] * cross + cos_ratio[..., None, None] * tf.matmul(cross, cross)


def rotation_from_6d(columns: tf.Tensor) -> tf.Tensor:
    """Rotation matrices from two columns by Gram-Schmidt, without a jump anywhere.

    Zhou et al., "On the continuity of rotation representations in neural networks", 2019.

    Args:
        columns: (..., 6), two vectors that are not parallel.

    Returns:
        (..., 3, 3) whose first column is the first vector, normalized.
    """
    first = tf.math.l2_normalize(columns[..., :3], axis=-1)
    second = columns[..., 3:] - first * tf.reduce_sum(first * columns[..., 3:], axis=-1, keepdims=True)
    second = tf.math.l2_normalize(second, axis=-1)
    third = tf.linalg.cross(first, second)
    return tf.stack([first, second, third], axis=-1)
