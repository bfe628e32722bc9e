"""A hand's centre of mass without the forearm: what older stores and public data sets keep as the centre of a crop.

Graph-compatible TensorFlow. Models that were trained on such crops see them, too.
"""

from __future__ import annotations

import tensorflow as tf

from lsps_tf.hand_finding.constants import ARM_SHARE, ITERATIONS, REACH_MM, SHELL_MM, WRIST_MM
from lsps_tf.hand_finding.search import thinned

# Points are taken this much beyond what may count at a start's depth, so that the centre can move.
_MARGIN_MM = 60.0


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
    start_mm = tf.convert_to_tensor(start_mm)
    measured = depth_mm > 0.0
    near = tf.abs(depth_mm - start_mm[:, 2, None, None]) < SHELL_MM[1] + _MARGIN_MM
    center_mm, farthest_mm = _refine(*_points(depth_mm, intrinsics, measured & near), start_mm, iterations)
    return tf.cond(
        farthest_mm < _MARGIN_MM,
        lambda: center_mm,
        lambda: _refine(*_points(depth_mm, intrinsics, measured), start_mm, iterations)[0],
    )


def center_of_mass(depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor) -> tf.Tensor:
    """The centres of mass [B, 3] of found hands, in the thinned frames; arguments as of `refine_center`."""
    return refine_center(*thinned(depth_mm, intrinsics), center_mm)


def _points(depth_mm: tf.Tensor, intrinsics: tf.Tensor, wanted: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
    """The points of the pixels that the mask [B, H, W] names: x, y and z, [N] each, and int32 [N], whose frame's."""
    where = tf.cast(tf.where(wanted), tf.int32)
    frame, row, column = tf.unstack(where, axis=-1)
    fx, fy, cx, cy = tf.unstack(tf.gather(intrinsics, frame), axis=-1)
    z = tf.gather_nd(depth_mm, where)
    x, y = (tf.cast(column, tf.float32) - cx) / fx * z, (tf.cast(row, tf.float32) - cy) / fy * z
    return [x, y, z], frame


def _refine(
    points_mm: list[tf.Tensor], frame: tf.Tensor, start_mm: tf.Tensor, iterations: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The refined centres [B, 3], and how far in depth one has been from its start. It ends where all stand still."""

    def move(center_mm: tf.Tensor, _: tf.Tensor, farthest_mm: tf.Tensor) -> tuple[tf.Tensor, ...]:
        moved_mm = center_mm + _offsets(points_mm, frame, center_mm)
        away_mm = tf.reduce_max(tf.abs(moved_mm[:, 2] - start_mm[:, 2]))
        return moved_mm, tf.reduce_any(moved_mm != center_mm), tf.maximum(farthest_mm, away_mm)

    center_mm, _, farthest_mm = tf.while_loop(
        lambda _center_mm, moves, _farthest_mm: moves, move, (start_mm, True, 0.0), maximum_iterations=iterations
    )
    return center_mm, farthest_mm


def _offsets(points_mm: list[tf.Tensor], frame: tf.Tensor, center_mm: tf.Tensor) -> tf.Tensor:
    """From each centre [B, 3] to the mean of the hand's points around it, [B, 3]; 0 where there are none."""

    def of_points(by_frame: tf.Tensor) -> list[tf.Tensor]:
        return tf.unstack(tf.gather(by_frame, frame), axis=1)

    def sums(*values: tf.Tensor) -> tf.Tensor:
        return tf.math.unsorted_segment_sum(tf.stack(values, axis=1), frame, tf.shape(center_mm)[0])

    offsets_mm = [point_mm - middle_mm for point_mm, middle_mm in zip(points_mm, of_points(center_mm))]
    distance_mm = tf.sqrt(tf.add_n([offset_mm * offset_mm for offset_mm in offsets_mm]))
    near = tf.cast(distance_mm < REACH_MM, tf.float32)
    leaving = tf.cast((distance_mm >= SHELL_MM[0]) & (distance_mm < SHELL_MM[1]), tf.float32)
    found = sums(*(offset_mm * leaving for offset_mm in offsets_mm), leaving, near)
    away = found[:, :3] / tf.maximum(tf.norm(found[:, :3], axis=1, keepdims=True), 1e-3)
    # Fingertips may reach the shell; an arm fills more of it than they do. Without an arm nothing is beyond the wrist.
    away = tf.where(found[:, 3:4] > ARM_SHARE * found[:, 4:], away, 0.0)
    along_mm = tf.add_n([offset_mm * part for offset_mm, part in zip(offsets_mm, of_points(away))])
    weight = tf.where(along_mm > WRIST_MM, 0.0, near)
    total = sums(*(offset_mm * weight for offset_mm in offsets_mm), weight)
    return total[:, :3] / tf.maximum(total[:, 3:], 1.0)
