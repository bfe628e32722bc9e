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


def _points(depth_mm: tf.Tensor, intrinsics: tf.Tensor, wanted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The points [N, 3] of the pixels that the mask [B, H, W] names, and int32 [N], whose frame's each is."""
    where = tf.cast(tf.where(wanted), tf.int32)
    frame, row, column = tf.unstack(where, axis=-1)
    fx, fy, cx, cy = tf.unstack(tf.gather(intrinsics, frame), axis=-1)
    z = tf.gather_nd(depth_mm, where)
    x, y = (tf.cast(column, tf.float32) - cx) / fx * z, (tf.cast(row, tf.float32) - cy) / fy * z
    return tf.stack([x, y, z], axis=1), frame


def _refine(
    points_mm: tf.Tensor, frame: tf.Tensor, start_mm: tf.Tensor, iterations: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The refined centres [B, 3], and how far in depth one has been from its start. It ends where all stand still."""
    start_z = start_mm[:, 2]

    def move(center_mm: tf.Tensor, _: tf.Tensor, farthest_mm: tf.Tensor) -> tuple[tf.Tensor, ...]:
        moved_mm = center_mm + _offsets(points_mm, frame, center_mm)
        farthest_mm = tf.maximum(farthest_mm, tf.abs(moved_mm[:, 2] - start_z))
        return moved_mm, tf.reduce_any(moved_mm != center_mm), farthest_mm

    center_mm, _, farthest_mm = tf.while_loop(
        lambda _center_mm, moves, _farthest_mm: moves,
        move,
        (start_mm, True, tf.zeros_like(start_z)),
        maximum_iterations=iterations,
    )
    return center_mm, tf.reduce_max(farthest_mm)


def _offsets(points_mm: tf.Tensor, frame: tf.Tensor, center_mm: tf.Tensor) -> tf.Tensor:
    """From each centre [B, 3] to the mean of the hand's points [N, 3] around it, [B, 3]; 0 where there are none.

    All is in columns, [N, 1], and sums over a point's coordinates are products: for one frame the start of the
    operations is what takes time.
    """

    def sums(*columns: tf.Tensor) -> tf.Tensor:
        return tf.math.unsorted_segment_sum(tf.concat(columns, axis=1), frame, tf.shape(center_mm)[0])

    ones = tf.ones((3, 1))
    offsets_mm = points_mm - tf.gather(center_mm, frame)
    squares = tf.matmul(offsets_mm * offsets_mm, ones)
    near = tf.cast(squares < REACH_MM**2, tf.float32)
    leaving = tf.cast((squares >= SHELL_MM[0] ** 2) & (squares < SHELL_MM[1] ** 2), tf.float32)
    found = sums(offsets_mm * leaving, leaving, near)
    away = tf.math.l2_normalize(found[:, :3], axis=1, epsilon=1e-6)
    # Fingertips may reach the shell; an arm fills more of it than they do. Without an arm nothing is beyond the wrist.
    away = tf.where(found[:, 3:4] > ARM_SHARE * found[:, 4:], away, 0.0)
    along_mm = tf.matmul(offsets_mm * tf.gather(away, frame), ones)
    weight = tf.where(along_mm > WRIST_MM, 0.0, near)
    total = sums(offsets_mm * weight, weight)
    return total[:, :3] / tf.maximum(total[:, 3:], 1.0)
