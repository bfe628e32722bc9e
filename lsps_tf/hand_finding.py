"""Finding the hand in depth frames: the nearest blob, then its centre of mass with the forearm cut off.

Graph-compatible TensorFlow: it runs in the data pipeline's simulator, in the predictor and inside exported models. The
same refinement centres the training crops, so that a network meets at work what it was trained on.
"""

from __future__ import annotations

import math

import tensorflow as tf

from lsps_tf import crop, hand_judge

NEAREST_MM = 100.0
FARTHEST_MM = 3000.0
# A hand, edge on and far away, still shows this much surface; sensor speckle does not.
SMALLEST_HAND_MM2 = 1200.0
# From the centre of a hand no finger reaches further; what does is arm, body or another object.
REACH_MM = 140.0
# The wrist lies about this far from the centre of mass of the hand.
WRIST_MM = 60.0
ITERATIONS = 8

_SLAB_MM = 20.0
_SLABS = int((FARTHEST_MM - NEAREST_MM) / _SLAB_MM)
_BLOB_SLABS = 5
_CELL_MM = 40.0
_CELLS = 64
_SEARCH_WIDTH = 160
_ARM_MM = 350.0
_SURE, _NEARER_MM = 4.0, 200.0


def find_hand(depth_mm: tf.Tensor, intrinsics: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Finds the hand that is nearest to the camera.

    The nearest blob gives a first guess, which may lie on the forearm or on something as near as the hand. From it and
    from the blob's extremes the centre is refined; the one that looks most like the end of an arm wins: much of it
    within a hand's reach, little that leaves it, and not cut off by the frame's border.

    Args:
        depth_mm: [B, H, W] frames, 0 = no reading.
        intrinsics: [B, 4] fx, fy, cx, cy in pixels.

    Returns:
        center_mm [B, 3], camera space, the centre that crops are made around; presence [B], bool: whether anything of
        a hand's size was within NEAREST_MM and FARTHEST_MM. Where it is False the centre has no meaning.
    """
    depth_mm, intrinsics = _thinned(depth_mm, intrinsics)
    points_mm = _flat_points(depth_mm, intrinsics)
    area_mm2 = points_mm[..., 2] ** 2 / (intrinsics[:, 0] * intrinsics[:, 1])[:, None]
    in_range = (points_mm[..., 2] >= NEAREST_MM) & (points_mm[..., 2] < FARTHEST_MM)
    area_mm2 = tf.where(in_range, area_mm2, 0.0)
    slab, present = _nearest_slab(points_mm[..., 2], area_mm2)
    behind_mm = points_mm[..., 2] - (NEAREST_MM + _SLAB_MM * tf.cast(slab, tf.float32))[:, None]
    in_blob = (behind_mm >= 0.0) & (behind_mm < _BLOB_SLABS * _SLAB_MM)
    start_mm = _densest_cell(points_mm, tf.where(in_blob, area_mm2 * tf.exp(-behind_mm / _SLAB_MM), 0.0))
    starts_mm = _with_extremes(points_mm, start_mm)
    count = starts_mm.shape[1]
    centers_mm = _refine(tf.repeat(points_mm, count, axis=0), tf.reshape(starts_mm, [-1, 3]), ITERATIONS)
    judged = hand_judge.judge(tf.repeat(depth_mm, count, axis=0), tf.repeat(intrinsics, count, axis=0), centers_mm)
    scores = tf.minimum(judged.presence, _SURE) - centers_mm[:, 2] / _NEARER_MM
    best = tf.argmax(tf.reshape(scores, [-1, count]), axis=1)
    middles_mm = tf.reshape(centers_mm + judged.middle_mm, [-1, count, 3])
    center_mm = _refine(points_mm, tf.gather(middles_mm, best, batch_dims=1), ITERATIONS)
    judged = hand_judge.judge(depth_mm, intrinsics, center_mm)
    present &= judged.presence > 0.0
    return tf.where(present[:, None], center_mm, [0.0, 0.0, 1000.0]), present


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


def _thinned(depth_mm: tf.Tensor, intrinsics: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Every n-th pixel of large frames, and the intrinsics that go with them."""
    stride = tf.maximum(1, tf.shape(depth_mm)[2] // _SEARCH_WIDTH)
    return depth_mm[:, ::stride, ::stride], intrinsics / tf.cast(stride, tf.float32)


def _on_border(depth_mm: tf.Tensor) -> tf.Tensor:
    """1 for the pixels along the frame's border, [B, H * W]."""
    inner = tf.zeros_like(depth_mm[:, 2:-2, 2:-2])
    border = tf.pad(inner, [[0, 0], [2, 2], [2, 2]], constant_values=1.0)
    return tf.reshape(border, [tf.shape(depth_mm)[0], -1])


def _with_extremes(points_mm: tf.Tensor, start_mm: tf.Tensor) -> tf.Tensor:
    """The start, and points a wrist's length inside the ends of what belongs to it, in eight directions; [B, 9, 3]."""
    offset_mm = points_mm - start_mm[:, None, :]
    belongs = (points_mm[..., 2] > 0.0) & (tf.norm(offset_mm, axis=-1) < _ARM_MM)
    belongs &= tf.abs(offset_mm[..., 2]) < REACH_MM
    angles = [k * math.pi / 4.0 for k in range(8)]
    directions = tf.constant([[math.cos(angle), math.sin(angle)] for angle in angles])
    along_mm = tf.where(belongs[..., None], tf.einsum("bnc,kc->bnk", offset_mm[..., :2], directions), -1.0)
    ends_mm = tf.gather(offset_mm, tf.argmax(along_mm, axis=1), batch_dims=1)
    length_mm = tf.maximum(tf.norm(ends_mm, axis=-1, keepdims=True), 1e-3)
    inside_mm = ends_mm * tf.maximum(1.0 - WRIST_MM / length_mm, 0.0)
    return start_mm[:, None, :] + tf.concat([tf.zeros_like(inside_mm[:, :1]), inside_mm], axis=1)


def _end_of_arm(points_mm: tf.Tensor, area_mm2: tf.Tensor, border: tf.Tensor, center_mm: tf.Tensor) -> tf.Tensor:
    """How much the surface around a centre looks like a hand at the end of an arm; _NO_HAND where too little is there.

    A hand's surface leaves the sphere of its reach at the wrist alone, a forearm at two places, a body everywhere.
    """
    distance_mm = _distance(points_mm, center_mm)
    near = tf.where(distance_mm < REACH_MM, area_mm2, 0.0)
    surface_mm2 = tf.reduce_sum(near, axis=1)
    leaving_mm2 = tf.reduce_sum(tf.where(_in_shell(distance_mm), area_mm2, 0.0), axis=1)
    cut_mm2 = tf.reduce_sum(near * border, axis=1)
    score = -(leaving_mm2 + 10.0 * cut_mm2) / tf.maximum(surface_mm2, 1.0) - 0.001 * center_mm[:, 2]
    return tf.where(surface_mm2 >= SMALLEST_HAND_MM2, score, _NO_HAND)


def _in_shell(distance_mm: tf.Tensor) -> tf.Tensor:
    return (distance_mm >= 0.85 * REACH_MM) & (distance_mm < 1.15 * REACH_MM)


def _flat_points(depth_mm: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    points_mm = crop.depth_to_points(depth_mm, intrinsics)
    return tf.reshape(points_mm, [tf.shape(points_mm)[0], -1, 3])


def _distance(points_mm: tf.Tensor, center_mm: tf.Tensor) -> tf.Tensor:
    return tf.norm(points_mm - center_mm[:, None, :], axis=-1)


def _refine(points_mm: tf.Tensor, start_mm: tf.Tensor, iterations: int) -> tf.Tensor:
    measured = points_mm[..., 2] > 0.0
    center_mm = start_mm
    for _ in range(iterations):
        offset_mm = points_mm - center_mm[:, None, :]
        distance_mm = tf.norm(offset_mm, axis=-1)
        near = tf.cast(measured & (distance_mm < REACH_MM), tf.float32)
        leaving = tf.cast(measured & _in_shell(distance_mm), tf.float32)
        away = tf.reduce_sum(offset_mm * leaving[..., None], axis=1)
        away /= tf.maximum(tf.norm(away, axis=-1, keepdims=True), 1e-3)
        # Fingertips may reach the shell; an arm fills more of it than they do.
        arm = tf.reduce_sum(leaving, axis=1) > 0.08 * tf.reduce_sum(near, axis=1)
        beyond_wrist = tf.reduce_sum(offset_mm * away[:, None, :], axis=-1) > WRIST_MM
        weight = tf.where(arm[:, None] & beyond_wrist, 0.0, near)[..., None]
        count = tf.reduce_sum(weight, axis=1)
        mean_mm = tf.reduce_sum(points_mm * weight, axis=1) / tf.maximum(count, 1.0)
        center_mm = tf.where(count > 0.0, mean_mm, center_mm)
    return center_mm


def _nearest_slab(depth_mm: tf.Tensor, area_mm2: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The first depth slab from which on a blob's thickness holds a hand's surface; int32 [B] and bool [B]."""
    index = tf.cast((depth_mm - NEAREST_MM) / _SLAB_MM, tf.int32)
    area = _histogram(tf.clip_by_value(index, 0, _SLABS - 1), area_mm2, _SLABS)
    upto = tf.pad(tf.cumsum(area, axis=1), [[0, 0], [1, _BLOB_SLABS]], "SYMMETRIC")
    upto = tf.concat([tf.zeros_like(upto[:, :1]), upto[:, 1:]], axis=1)
    blob = upto[:, _BLOB_SLABS : _BLOB_SLABS + _SLABS] - upto[:, :_SLABS]
    enough = (blob >= SMALLEST_HAND_MM2) & (area >= 0.1 * SMALLEST_HAND_MM2)
    return tf.argmax(tf.cast(enough, tf.int32), axis=1, output_type=tf.int32), tf.reduce_any(enough, axis=1)


def _densest_cell(points_mm: tf.Tensor, area_mm2: tf.Tensor) -> tf.Tensor:
    """Centre of mass of the most filled cell of a grid over x and y; [B, 3] mm."""
    cell = tf.clip_by_value(tf.cast(tf.floor(points_mm[..., :2] / _CELL_MM), tf.int32) + _CELLS // 2, 0, _CELLS - 1)
    index = cell[..., 1] * _CELLS + cell[..., 0]
    densest = tf.argmax(_histogram(index, area_mm2, _CELLS * _CELLS), axis=1, output_type=tf.int32)
    weight = tf.where(index == densest[:, None], area_mm2, 0.0)[..., None]
    return tf.reduce_sum(points_mm * weight, axis=1) / tf.maximum(tf.reduce_sum(weight, axis=1), 1e-6)


def _histogram(index: tf.Tensor, weight: tf.Tensor, bins: int) -> tf.Tensor:
    """Sums of the weights [B, N] per index, [B, bins]."""
    batch = tf.shape(index)[0]
    flat = index + bins * tf.range(batch)[:, None]
    sums = tf.math.unsorted_segment_sum(tf.reshape(weight, [-1]), tf.reshape(flat, [-1]), batch * bins)
    return tf.reshape(sums, [batch, bins])
