"""Crops: a cube around the hand seen through the camera, its normalised image and joints, and the way back.

A crop of S x S pixels shows a square of `extent_mm` at the depth of its centre: pixel (row i, column j) looks along the
ray (x, y, 1) with x = cx/cz + ((j + 0.5)/S - 0.5) extent/cz and y alike, (cx, cy, cz) = center_mm. It is thus a view
through the same pinhole, with intrinsics of its own, and does not depend on the sensor's focal length (Oberweger et
al., 2015, section 3). All functions are batched, in TensorFlow, and graph-compatible.
"""

from __future__ import annotations

import tensorflow as tf


def crop_intrinsics(center_mm: tf.Tensor, extent_mm: tf.Tensor, size: int) -> tf.Tensor:
    """Intrinsics of crops as if they were frames.

    Args:
        center_mm: [B, 3] camera space, mm, z > 0.
        extent_mm: scalar or [B], mm: the side of the square that the crop shows at its centre's depth.
        size: pixels of the crop's side.

    Returns:
        [B, 4] fx, fy, cx, cy in crop pixels, pixel centres at integers.
    """
    focal = size * center_mm[:, 2] / extent_mm
    middle = 0.5 * (size - 1)
    principal = middle - focal[:, None] * center_mm[:, :2] / center_mm[:, 2:]
    return tf.concat([focal[:, None], focal[:, None], principal], axis=-1)


def pixel_rays(intrinsics: tf.Tensor, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """x of every column, [B, W], and y of every row, [B, H], of the rays (x, y, 1) through the pixels' centres."""
    fx, fy, cx, cy = tf.unstack(intrinsics, axis=-1)
    columns, rows = tf.range(width, dtype=tf.float32), tf.range(height, dtype=tf.float32)
    return (columns - cx[:, None]) / fx[:, None], (rows - cy[:, None]) / fy[:, None]


def depth_to_points(depth_mm: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    """Camera-space points [B, H, W, 3] in mm of depth images [B, H, W]; pixels without a reading (0) give zeros."""
    height, width = tf.shape(depth_mm)[1], tf.shape(depth_mm)[2]
    x, y = pixel_rays(intrinsics, height, width)
    return tf.stack([depth_mm * x[:, None, :], depth_mm * y[:, :, None], depth_mm], axis=-1)


def crop_frame(
    depth_mm: tf.Tensor,
    intrinsics: tf.Tensor,
    center_mm: tf.Tensor,
    extent_mm: tf.Tensor,
    size: int,
    frame: tf.Tensor | None = None,
) -> tf.Tensor:
    """Cuts crops out of frames by nearest sampling, so that no depth is invented at edges.

    Args:
        depth_mm: [B, H, W] frames, 0 = no reading.
        intrinsics: [B, 4] of the frames.
        center_mm: [N, 3] camera space, z > 0.
        extent_mm: scalar or [N], mm.
        size: pixels of the crop's side.
        frame: int32 [N], which of the frames each crop is cut out of; None for one crop of each.

    Returns:
        [N, size, size] depth in mm, 0 outside the frame.
    """
    height, width = tf.shape(depth_mm)[1], tf.shape(depth_mm)[2]
    if frame is None:
        frame = tf.range(tf.shape(depth_mm)[0])
    else:
        intrinsics = tf.gather(intrinsics, frame)
    x, y = pixel_rays(crop_intrinsics(center_mm, extent_mm, size), size, size)
    fx, fy, cx, cy = (value[:, None] for value in tf.unstack(intrinsics, axis=-1))
    columns, column_inside = _nearest(fx * x + cx, width)
    rows, row_inside = _nearest(fy * y + cy, height)
    index = (frame[:, None, None] * height + rows[:, :, None]) * width + columns[:, None, :]
    crop = tf.gather(tf.reshape(depth_mm, [-1]), index)
    return tf.where(row_inside[:, :, None] & column_inside[:, None, :], crop, 0.0)


def _nearest(position: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # floor(x + 0.5) and not round: TensorFlow rounds halves to even, TFLite and NumPy users expect one direction.
    # The clip comes before the cast because a huge float is no valid int32.
    position = tf.clip_by_value(tf.floor(position + 0.5), -1.0, tf.cast(count, tf.float32))
    nearest = tf.cast(position, tf.int32)
    return tf.clip_by_value(nearest, 0, count - 1), (nearest >= 0) & (nearest < count)


def normalize_depth(depth_mm: tf.Tensor, center_mm: tf.Tensor, cube_mm: tf.Tensor) -> tf.Tensor:
    """Crops [B, S, S] in mm to network input [B, S, S, 1] in [-1, 1] (section 5).

    (depth - cz) / (cube / 2); everything that is not in the cube (no reading, behind it, before it) is +1.
    """
    half = tf.reshape(0.5 * tf.convert_to_tensor(cube_mm, tf.float32), [-1, 1, 1])
    value = (depth_mm - center_mm[:, 2, None, None]) / half
    inside = (depth_mm > 0.0) & (tf.abs(value) <= 1.0)
    return tf.where(inside, value, 1.0)[..., None]


def normalize_joints(joints_mm: tf.Tensor, center_mm: tf.Tensor, cube_mm: tf.Tensor) -> tf.Tensor:
    """Joints [B, J, 3] in mm to half cubes from the crop's centre."""
    half = tf.reshape(0.5 * tf.convert_to_tensor(cube_mm, tf.float32), [-1, 1, 1])
    return (joints_mm - center_mm[:, None, :]) / half


def denormalize_joints(joints_norm: tf.Tensor, center_mm: tf.Tensor, cube_mm: tf.Tensor) -> tf.Tensor:
    """Inverse of `normalize_joints`."""
    half = tf.reshape(0.5 * tf.convert_to_tensor(cube_mm, tf.float32), [-1, 1, 1])
    return joints_norm * half + center_mm[:, None, :]
