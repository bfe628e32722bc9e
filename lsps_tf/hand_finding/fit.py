"""How much of the depth that a crop shows a predicted hand explains.

Models know right hands. Shown a left one, they predict a right hand that is not there, and what was measured is then
farther from its bones. So the prediction of a crop and that of its mirror image tell a hand's side together: the one
that explains more is the one to believe. `lsps_tf/device/fit.py` is the same in NumPy.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.hand_finding.constants import BONE_POINTS, FIT_REACH_MM, FIT_STEP_PX, SKIN_MM, UNEXPLAINED_MM

Bones = tuple[tuple[int, int], ...]


def explained(
    image: tf.Tensor, center_mm: tf.Tensor, cube_mm: float, joints_norm: tf.Tensor, bones: Bones
) -> tf.Tensor:
    """How much of what is measured around the centres of crops predicted bones explain.

    Args:
        image: [B, S, S, 1] in [-1, 1], normalised crops.
        center_mm: [B, 3] camera space, the crops' centres.
        cube_mm: the side of their cubes.
        joints_norm: [B, J, 3] in half cubes.
        bones: pairs of joint indices.

    Returns:
        [B], from 0 to 1: the mean of 1 - (d / UNEXPLAINED_MM)^2, or 0 where that is less, over the points within
        FIT_REACH_MM of the centre. d is a point's distance from the nearest point of a bone. 0 where there is no point.
    """
    points_mm, counts = _points(image, center_mm, cube_mm)
    skin_mm = 0.5 * cube_mm * along_bones(joints_norm, bones) - tf.constant([0.0, 0.0, SKIN_MM])
    squares = _squares(points_mm)[:, :, None] + _squares(skin_mm)[:, None, :]
    squares = tf.reduce_min(squares - 2.0 * tf.matmul(points_mm, skin_mm, transpose_b=True), axis=2)
    counts = tf.cast(counts, tf.float32)
    near = counts * tf.clip_by_value(1.0 - squares / UNEXPLAINED_MM**2, 0.0, 1.0)
    return tf.reduce_sum(near, axis=1) / tf.maximum(tf.reduce_sum(counts, axis=1), 1.0)


def along_bones(joints: tf.Tensor, bones: Bones) -> tf.Tensor:
    """BONE_POINTS points of each bone, evenly spread, [B, N, 3] of joints [B, J, 3] in any unit."""
    first, last = (tf.gather(joints, each, axis=1)[:, :, None] for each in np.array(bones).T)
    share = ((np.arange(BONE_POINTS) + 0.5) / BONE_POINTS).astype(np.float32)[:, None]
    return tf.reshape((1.0 - share) * first + share * last, [-1, len(bones) * BONE_POINTS, 3])


def _points(image: tf.Tensor, center_mm: tf.Tensor, cube_mm: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Points [B, P, 3] of every FIT_STEP_PX-th pixel, from the centre, in mm; and which of them count, [B, P]."""
    size, first = image.shape[1], FIT_STEP_PX // 2
    value = image[:, first::FIT_STEP_PX, first::FIT_STEP_PX, 0]
    depth_mm = 0.5 * cube_mm * value + center_mm[:, 2, None, None]
    intrinsics = crop.crop_intrinsics(center_mm, cube_mm, size)
    intrinsics = (intrinsics - tf.constant([0.0, 0.0, first, first])) / FIT_STEP_PX
    points_mm = crop.depth_to_points(depth_mm, intrinsics) - center_mm[:, None, None]
    points_mm = tf.reshape(points_mm, [-1, value.shape[1] * value.shape[2], 3])
    measured = tf.reshape(value < 1.0, tf.shape(points_mm)[:2])
    return points_mm, measured & (_squares(points_mm) < FIT_REACH_MM**2)


def _squares(vectors: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(vectors * vectors, axis=-1)
