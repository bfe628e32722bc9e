"""Finding the hand in depth frames: the nearest blob, its centre of mass without the forearm, and a look at it.

On a single frame several starts are refined, and a small network (`networks`) says which of them is a hand, if any
is; in a sequence the last frame's centre is the start, as long as the network agrees. Graph-compatible TensorFlow: it
runs in the data pipeline's simulator, in the predictor and inside exported models. The same refinement centres the
training crops, so that a network meets at work what it was trained on.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from lsps_tf import crop
from lsps_tf.hand_finding import networks
from lsps_tf.hand_finding.constants import (
    ARM_MM,
    ARM_SHARE,
    BLOB_SLABS,
    CELL_MM,
    CELLS,
    DIRECTIONS,
    FARTHEST_MM,
    ITERATIONS,
    NEARER_MM,
    NEAREST_MM,
    PALM_SEARCH_WIDTH,
    REACH_MM,
    SEARCH_WIDTH,
    SHELL_MM,
    SLAB_MM,
    SLABS,
    SMALLEST_HAND_MM2,
    SURE,
    TRACKING_ITERATIONS,
    WRIST_MM,
)

_NOWHERE_MM = (0.0, 0.0, 1000.0)


class FoundHands(NamedTuple):
    """N hands in each of B frames, the nearest first; fewer where fewer are seen.

    Attributes:
        center_mm: [B, N, 3] camera space; finite, but without meaning, where there is no hand.
        presence: [B, N], bool, whether there is a hand.
        right: [B, N], a logit, above 0 where it looks like a right hand.
    """

    center_mm: tf.Tensor
    presence: tf.Tensor
    right: tf.Tensor


def find_hands(depth_mm: tf.Tensor, intrinsics: tf.Tensor, count: int) -> FoundHands:
    """Finds the `count` hands that are nearest to the camera, in each frame by itself; arguments as of `find_hand`."""
    center_mm, presence = find_hand(depth_mm, intrinsics)
    _, right = find_palm(depth_mm, intrinsics, center_mm)
    missing = [[0, 0], [0, count - 1]]
    return FoundHands(
        tf.repeat(center_mm[:, None], count, axis=1),
        tf.pad(presence[:, None], missing),
        tf.pad(right[:, None], missing),
    )


def find_hand(depth_mm: tf.Tensor, intrinsics: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Finds the hand that is nearest to the camera, in each frame by itself.

    The nearest blob gives a first guess, which may lie on the forearm or on something as near as the hand. From it and
    from the ends of what belongs to it the centre is refined. The network looks at each result; the nearest hand among
    them is refined once more from where the network sees its middle, and looked at again.

    Args:
        depth_mm: [B, H, W] frames, 0 = no reading.
        intrinsics: [B, 4] fx, fy, cx, cy in pixels.

    Returns:
        center_mm [B, 3], camera space, the centre that crops are made around; presence [B], bool: whether there is a
        hand between NEAREST_MM and FARTHEST_MM. Where it is False the centre has no meaning.
    """
    depth_mm, intrinsics = thinned(depth_mm, intrinsics)
    points_mm = _flat_points(depth_mm, intrinsics)
    start_mm, present = _nearest_blob(points_mm, intrinsics)
    starts_mm = _with_extremes(points_mm, start_mm)
    count = starts_mm.shape[1]
    centers_mm = _refine(tf.repeat(points_mm, count, axis=0), tf.reshape(starts_mm, [-1, 3]), ITERATIONS)
    repeated = [tf.repeat(part, count, axis=0) for part in (depth_mm, intrinsics)]
    presence, middles_mm = networks.judge_presence(*repeated, centers_mm)
    scores = tf.minimum(presence, SURE) - centers_mm[:, 2] / NEARER_MM
    best = tf.argmax(tf.reshape(scores, [-1, count]), axis=1)
    start_mm = tf.gather(tf.reshape(middles_mm, [-1, count, 3]), best, batch_dims=1)
    center_mm = _refine(points_mm, start_mm, ITERATIONS)
    present &= networks.judge_presence(depth_mm, intrinsics, center_mm)[0] > 0.0
    return tf.where(present[:, None], center_mm, _NOWHERE_MM), present


def track_hand(
    depth_mm: tf.Tensor, intrinsics: tf.Tensor, previous_mm: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Finds the hand of a sequence's next frame from where it was: cheaper than `find_hand`, and the same hand.

    Args:
        depth_mm: [B, H, W], a frame of each of B sequences.
        intrinsics: [B, 4].
        previous_mm: [B, 3] the hand's centre in the frame before; NaN where it is not known.

    Returns:
        center_mm [B, 3] and presence [B] as of `find_hand`, which all frames fall back on where one hand is lost; and
        tracked [B], bool: whether the centre came from the previous one.
    """
    known = tf.reduce_all(tf.math.is_finite(previous_mm), axis=1)
    start_mm = tf.where(known[:, None], previous_mm, _NOWHERE_MM)
    thinned_mm, thinned_intrinsics = thinned(depth_mm, intrinsics)
    points_mm = _flat_points(thinned_mm, thinned_intrinsics)
    start_mm = _refine(points_mm, start_mm, TRACKING_ITERATIONS)
    # The refinement ends on the arm where the hand has moved far; the network's view of the middle brings it back.
    _, start_mm = networks.judge_presence(thinned_mm, thinned_intrinsics, start_mm)
    tracked_mm = _refine(points_mm, start_mm, ITERATIONS)
    tracked = known & (networks.judge_presence(thinned_mm, thinned_intrinsics, tracked_mm)[0] > 0.0)
    center_mm, present = tf.cond(
        tf.reduce_all(tracked),
        lambda: (tracked_mm, tracked),
        lambda: find_hand(depth_mm, intrinsics),
    )
    return tf.where(tracked[:, None], tracked_mm, center_mm), present | tracked, tracked


def find_palm(depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the palm of a found hand is, and which hand it looks like.

    A centre of mass is that of what the camera sees, half fingers as a rule, and lies 50 mm from the palm's centre.

    Args:
        depth_mm: [B, H, W] frames.
        intrinsics: [B, 4].
        center_mm: [B, 3] of `find_hand` or `track_hand`.

    Returns:
        palm_mm [B, 3] camera space, the palm's centre (NYU's joint "palm"), and right [B], a logit above 0 where it
        looks like a right hand. A single frame often does not tell the side; the mean over a sequence does.
    """
    # From the hand's middle the palm is seen better than from the centre of mass, which lies on the surface.
    _, middle_mm = networks.judge_presence(*thinned(depth_mm, intrinsics), center_mm)
    right, palm_mm = networks.judge_palm(*thinned(depth_mm, intrinsics, PALM_SEARCH_WIDTH), middle_mm)
    return palm_mm, right


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


def thinned(depth_mm: tf.Tensor, intrinsics: tf.Tensor, width: int = SEARCH_WIDTH) -> tuple[tf.Tensor, tf.Tensor]:
    """Every n-th pixel of frames that are at least twice `width` pixels wide, and the intrinsics that go with them."""
    stride = tf.maximum(1, tf.shape(depth_mm)[2] // width)
    return depth_mm[:, ::stride, ::stride], intrinsics / tf.cast(stride, tf.float32)


def _with_extremes(points_mm: tf.Tensor, start_mm: tf.Tensor) -> tf.Tensor:
    """The start, and points a wrist's length inside the ends of what belongs to it, in eight directions; [B, 9, 3]."""
    offset_mm = points_mm - start_mm[:, None, :]
    belongs = (points_mm[..., 2] > 0.0) & (tf.norm(offset_mm, axis=-1) < ARM_MM)
    belongs &= tf.abs(offset_mm[..., 2]) < REACH_MM
    directions = tf.constant(DIRECTIONS, tf.float32)
    along_mm = tf.where(belongs[..., None], tf.einsum("bnc,kc->bnk", offset_mm[..., :2], directions), -1.0)
    ends_mm = tf.gather(offset_mm, tf.argmax(along_mm, axis=1), batch_dims=1)
    length_mm = tf.maximum(tf.norm(ends_mm, axis=-1, keepdims=True), 1e-3)
    inside_mm = ends_mm * tf.maximum(1.0 - WRIST_MM / length_mm, 0.0)
    return start_mm[:, None, :] + tf.concat([tf.zeros_like(inside_mm[:, :1]), inside_mm], axis=1)


def _in_shell(distance_mm: tf.Tensor) -> tf.Tensor:
    return (distance_mm >= SHELL_MM[0]) & (distance_mm < SHELL_MM[1])


def _flat_points(depth_mm: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    points_mm = crop.depth_to_points(depth_mm, intrinsics)
    return tf.reshape(points_mm, [tf.shape(points_mm)[0], -1, 3])


def _distance(points_mm: tf.Tensor, center_mm: tf.Tensor) -> tf.Tensor:
    return tf.norm(points_mm - center_mm[:, None, :], axis=-1)


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


def _nearest_blob(points_mm: tf.Tensor, intrinsics: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A point [B, 3] on what is nearest, and whether there is anything of a hand's surface, [B]."""
    z = points_mm[..., 2]
    area_mm2 = z**2 / (intrinsics[:, 0] * intrinsics[:, 1])[:, None]
    area_mm2 = tf.where((z >= NEAREST_MM) & (z < FARTHEST_MM), area_mm2, 0.0)
    slab, present = _nearest_slab(z, area_mm2)
    behind_mm = z - (NEAREST_MM + SLAB_MM * tf.cast(slab, tf.float32))[:, None]
    in_blob = (behind_mm >= 0.0) & (behind_mm < BLOB_SLABS * SLAB_MM)
    return _densest_cell(points_mm, tf.where(in_blob, area_mm2 * tf.exp(-behind_mm / SLAB_MM), 0.0)), present


def _weighted_sums(coordinates: list[tf.Tensor], weight: tf.Tensor) -> tf.Tensor:
    """Sums [B, 3] of three coordinates, each [B, N], with weights [B, N]."""
    return tf.stack([tf.reduce_sum(coordinate * weight, axis=1) for coordinate in coordinates], axis=-1)


def _nearest_slab(depth_mm: tf.Tensor, area_mm2: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The first depth slab from which on a blob's thickness holds a hand's surface; int32 [B] and bool [B]."""
    index = tf.cast((depth_mm - NEAREST_MM) / SLAB_MM, tf.int32)
    area = _histogram(tf.clip_by_value(index, 0, SLABS - 1), area_mm2, SLABS)
    upto = tf.pad(tf.cumsum(area, axis=1), [[0, 0], [1, BLOB_SLABS]], "SYMMETRIC")
    upto = tf.concat([tf.zeros_like(upto[:, :1]), upto[:, 1:]], axis=1)
    blob = upto[:, BLOB_SLABS : BLOB_SLABS + SLABS] - upto[:, :SLABS]
    enough = (blob >= SMALLEST_HAND_MM2) & (area >= 0.1 * SMALLEST_HAND_MM2)
    return tf.argmax(tf.cast(enough, tf.int32), axis=1, output_type=tf.int32), tf.reduce_any(enough, axis=1)


def _densest_cell(points_mm: tf.Tensor, area_mm2: tf.Tensor) -> tf.Tensor:
    """Centre of mass of the most filled cell of a grid over x and y; [B, 3] mm."""
    cell = tf.clip_by_value(tf.cast(tf.floor(points_mm[..., :2] / CELL_MM), tf.int32) + CELLS // 2, 0, CELLS - 1)
    index = cell[..., 1] * CELLS + cell[..., 0]
    densest = tf.argmax(_histogram(index, area_mm2, CELLS * CELLS), axis=1, output_type=tf.int32)
    weight = tf.where(index == densest[:, None], area_mm2, 0.0)[..., None]
    return tf.reduce_sum(points_mm * weight, axis=1) / tf.maximum(tf.reduce_sum(weight, axis=1), 1e-6)


def _histogram(index: tf.Tensor, weight: tf.Tensor, bins: int) -> tf.Tensor:
    """Sums of the weights [B, N] per index, [B, bins]."""
    batch = tf.shape(index)[0]
    flat = index + bins * tf.range(batch)[:, None]
    sums = tf.math.unsorted_segment_sum(tf.reshape(weight, [-1]), tf.reshape(flat, [-1]), batch * bins)
    return tf.reshape(sums, [batch, bins])
