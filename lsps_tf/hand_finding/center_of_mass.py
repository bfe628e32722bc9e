"""A hand's centre of mass without the forearm: what older stores and public data sets keep as the centre of a crop.

Graph-compatible TensorFlow. Models that were trained on such crops see them, too.
"""

from __future__ import annotations

import tensorflow as tf

from lsps_tf import crop
from lsps_tf.hand_finding.constants import ARM_SHARE, ITERATIONS, REACH_MM, SHELL_MM, WRIST_MM
from lsps_tf.hand_finding.search import thinned


def refine_center(
    depth_mm: tf.Tensor, intrinsics: tf.Tensor, start_mm: tf.Tensor, iterations: int = ITERATIONS
) -> tf.Tensor:
    """Moves a rough centre of a hand to its centre of mass without the forearm.

    The arm is what leaves the sphere of a hand's reach around the centre; points beyond the wrist in its direction do
    not count. A hand whose arm is not seen keeps all its points.

    Args:
        depth_mm: [B, H, W], frames or crops, 0 = no reading.
        intrinsics: [B, 4] (of crops: `crop.crop_intrinsics`).
        start_mm: [B, 3] within a hand's reach of the hand.
        iterations: how often the centre moves.

    Returns:
        [B, 3] mm, camera space; the start where there is no reading near it.
    """
    return _refine(_flat_points(depth_mm, intrinsics), start_mm, iterations)


def center_of_mass(depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor) -> tf.Tensor:
    """The centres of mass [B, 3] of found hands, in the thinned frames; arguments as of `refine_center`."""
    return refine_center(*thinned(depth_mm, intrinsics), center_mm)


def _in_shell(distance_mm: tf.Tensor) -> tf.Tensor:
    return (distance_mm >= SHELL_MM[0]) & (distance_mm < SHELL_MM[1])


def _flat_points(depth_mm: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    points_mm = crop.depth_to_points(depth_mm, intrinsics)
    return tf.reshape(points_mm, [tf.shape(points_mm)[0], -1, 3])


def _refine(points_mm: tf.Tensor, start_mm: tf.Tensor, iterations: int) -> tf.Tensor:
    # Coordinates apart: sums and norms over a last axis of three take seven times as long.
    coordinates = tf.unstack(points_mm, axis=-1)
    measured = coordinates[2] > 0.0
    center_mm = start_mm
    for _ in range(iterations):
        offsets_mm = [coordinate - center_mm[:, k, None] for k, coordinate in enumerate(coordinates)]
        distance_mm = tf.sqrt(tf.add_n([offset_mm * offset_mm for offset_mm in offsets_mm]))
        near = tf.cast(measured & (distance_mm < REACH_MM), tf.float32)
        leaving = tf.cast(measured & _in_shell(distance_mm), tf.float32)
        away = _weighted_sums(offsets_mm, leaving)
        away /= tf.maximum(tf.norm(away, axis=-1, keepdims=True), 1e-3)
        # Fingertips may reach the shell; an arm fills more of it than they do.
        arm = tf.reduce_sum(leaving, axis=1) > ARM_SHARE * tf.reduce_sum(near, axis=1)
        along_mm = tf.add_n([offset_mm * away[:, k, None] for k, offset_mm in enumerate(offsets_mm)])
        weight = tf.where(arm[:, None] & (along_mm > WRIST_MM), 0.0, near)
        count = tf.reduce_sum(weight, axis=1, keepdims=True)
        mean_mm = _weighted_sums(coordinates, weight) / tf.maximum(count, 1.0)
        center_mm = tf.where(count > 0.0, mean_mm, center_mm)
    return center_mm


def _weighted_sums(coordinates: list[tf.Tensor], weight: tf.Tensor) -> tf.Tensor:
    """Sums [B, 3] of three coordinates, each [B, N], with weights [B, N]."""
    return tf.stack([tf.reduce_sum(coordinate * weight, axis=1) for coordinate in coordinates], axis=-1)
