"""Random changes of views at each training step: mirrored, turned by quarters, cut, with holes."""

from __future__ import annotations

import tensorflow as tf

from lsps_tf.hand_finding.constants import FRAME_HEIGHT, FRAME_WIDTH
from training.hand_finding.views import Views


def augmented(views: Views, seed: tf.Tensor) -> Views:
    """Views as thinned frames: half of them mirrored, all turned by quarters, cut to its height, some with holes."""
    count, size = views.depth_mm.shape[0], views.depth_mm.shape[1]
    seeds = tf.unstack(tf.random.split(seed, 5))
    mirrored = tf.random.stateless_uniform([count], seeds[0]) < 0.5
    # In pixels about the view's middle the intrinsics mirror and turn as points do.
    half = 0.5 * (size - 1)
    offset = tf.concat([views.intrinsics[:, 2:] - half, tf.zeros([count, 1])], axis=1)
    depth_mm, offset, middle_mm, right = mirror_views(views.depth_mm, offset, views.middle_mm, views.right, mirrored)
    quarters = tf.random.stateless_uniform([], seeds[1], 0, 4, tf.int32)
    depth_mm, offset, middle_mm = turn_views(depth_mm, offset, middle_mm, quarters)
    first = tf.random.stateless_uniform([], seeds[2], 0, size - FRAME_HEIGHT + 1, tf.int32)
    depth_mm = _with_holes(depth_mm[:, first : first + FRAME_HEIGHT], seeds[3])
    depth_mm = _with_borders(tf.ensure_shape(depth_mm, [count, FRAME_HEIGHT, FRAME_WIDTH]), seeds[4])
    middle = offset[:, :2] + half - tf.stack([0.0, tf.cast(first, tf.float32)])
    intrinsics = tf.concat([views.intrinsics[:, :2], middle], axis=1)
    return Views(depth_mm, intrinsics, middle_mm, right, views.pixels, views.share)


def mirror_views(depth_mm, center_mm, middle_mm, right, chosen: tf.Tensor) -> tuple:
    """Those of the views that the mask [B] chooses seen in a mirror: x to -x, right to left."""
    sign = tf.where(chosen[:, None], tf.constant([-1.0, 1.0, 1.0]), tf.ones([3]))
    depth_mm = tf.where(chosen[:, None, None], depth_mm[:, :, ::-1], depth_mm)
    return depth_mm, center_mm * sign, middle_mm * sign[:, None], right ^ chosen[:, None]


def turn_views(depth_mm, center_mm, middle_mm, quarters: tf.Tensor) -> tuple:
    """Views as a camera sees them that is turned about its axis, by so many quarters, from x towards y."""

    def turned(point: tf.Tensor) -> tf.Tensor:
        x, y, z = tf.unstack(point, axis=-1)
        places = [(x, y), (-y, x), (-x, -y), (y, -x)]
        x, y = (tf.gather(tf.stack(values), quarters) for values in zip(*places))
        return tf.stack([x, y, z], axis=-1)

    # rot90 turns counterclockwise, from y towards x.
    return tf.image.rot90(depth_mm[..., None], 4 - quarters)[..., 0], turned(center_mm), turned(middle_mm)


def _with_holes(depth_mm: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """One view in four with blobs of no reading, as on dark or shining surfaces."""
    count, height, width = depth_mm.shape[0], FRAME_HEIGHT, FRAME_WIDTH
    seeds = tf.unstack(tf.random.split(seed, 2))
    field = tf.random.stateless_normal([count, height // 8, width // 8, 1], seeds[0])
    field = tf.image.resize(field, [height, width], "bicubic")[..., 0]
    holes, most = tf.unstack(tf.random.stateless_uniform([2, count], seeds[1]))
    level = tf.where(holes < 0.25, 2.6 - 1.6 * most, 10.0)
    return tf.where(field > level[:, None, None], 0.0, depth_mm)


def _with_borders(depth_mm: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Half of the views end before the frame does, to the right and below, as frames of other shapes do."""
    count = depth_mm.shape[0]
    ends, width, height = tf.unstack(tf.random.stateless_uniform([3, count], seed))
    last = tf.where(ends < 0.5, 1.0, 0.0)
    columns = FRAME_WIDTH * (1.0 - tf.where(ends < 0.15, 0.3 * width, 0.0))
    rows = FRAME_HEIGHT * (1.0 - last * 0.3 * height**2)
    seen = tf.range(FRAME_WIDTH, dtype=tf.float32) < columns[:, None, None]
    return tf.where(seen & (tf.range(FRAME_HEIGHT, dtype=tf.float32)[:, None] < rows[:, None, None]), depth_mm, 0.0)
