"""Random places and directions of the hand in front of the camera."""

from __future__ import annotations

import math

import tensorflow as tf

from lsps_tf.simulation.rotations import axis_rotation

# Degrees: standard deviation at spread 1, mean, and the widest value at any spread. Fingers tilt towards a camera in
# front of the hand more often than away from it.
_ROLL, _PITCH, _YAW = (55.0, 5.0, 120.0), (28.0, 22.0, 78.0), (38.0, 12.0, 75.0)


def sample_rotation(seed: tf.Tensor, n: int, spread: float = 1.0, palm_fraction: float = 0.7) -> tf.Tensor:
    """Random directions of the hand: palm or back to the camera, fingers more often up than not.

    Args:
        seed: int32 (2,).
        n: number of hands.
        spread: factor of the standard deviations of roll in the image (55 degrees), pitch (28) and yaw (38).
        palm_fraction: part of the hands whose palm, not back, is turned to the camera.

    Returns:
        (n, 3, 3) from the palm frame to camera space.
    """
    seeds = tf.unstack(tf.random.split(seed, 4, alg="philox"))
    roll, pitch, yaw = (_angle(each, n, spread, *limits) for each, limits in zip(seeds, (_ROLL, _PITCH, _YAW)))
    back = tf.random.stateless_uniform([n], seeds[3], alg="philox") >= palm_fraction
    yaw = tf.where(back, math.pi - yaw, yaw)
    upright = axis_rotation((1.0, 0.0, 0.0), pitch) @ axis_rotation((0.0, 1.0, 0.0), yaw)
    return axis_rotation((0.0, 0.0, 1.0), roll) @ upright


def _angle(seed: tf.Tensor, n: int, spread: float, sigma: float, mean: float, widest: float) -> tf.Tensor:
    drawn = tf.random.stateless_truncated_normal([n], seed, alg="philox") * (sigma * spread) + mean
    return tf.clip_by_value(drawn, -widest, widest) * (math.pi / 180.0)


def sample_translation(
    seed: tf.Tensor,
    n: int,
    near_mm: float = 500.0,
    far_mm: float = 1100.0,
    half_view: tuple[float, float] = (0.30, 0.20),
) -> tf.Tensor:
    """Random positions of the palm's center, uniform in distance and over the middle of the view.

    Args:
        seed: int32 (2,).
        n: number of hands.
        near_mm: least distance along z.
        far_mm: greatest distance along z.
        half_view: greatest |x / z| and |y / z|; a camera's edges are at half its size over its focal length (NYU: 0.54
            and 0.41), and the hand needs room beside its center.

    Returns:
        (n, 3) camera space, mm.
    """
    place = tf.random.stateless_uniform([n, 3], seed, alg="philox")
    z = near_mm + (far_mm - near_mm) * place[:, 2]
    return tf.stack([(2.0 * place[:, i] - 1.0) * half_view[i] * z for i in range(2)] + [z], axis=-1)
