"""Augmentation: rotation or translation of a stored crop and its joints together.

Section 5: "180 degree bidirectional rotation and 10 mm translation"; each sample draws one of none, translation and
in-plane rotation. Both are exact changes of the view: a turn about the optical axis turns the crop in its plane, and a
moved crop centre is an affine map of its pixels.
"""

from __future__ import annotations

import math

import tensorflow as tf

from lsps_tf import crop, replicas
from lsps_tf.stack import projective_transform

MAX_SIGMAS = 4.0
# The columns of a store that an image is made from, in the order in which they are given.
IMAGE_COLUMNS = ("depth_mm", "center_mm", "extent_mm", "cube_mm")
_warp = projective_transform()


def draw_views(
    count: int, seed: tf.Tensor, rotation_degrees: float, translation_mm: float, shift_mm: float = 0.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws one of none, translation, rotation per sample, or a translation for each with `shift_mm`.

    Args:
        count: B.
        seed: int32 [2].
        rotation_degrees: angles are uniform in plus and minus this.
        translation_mm: standard deviation per axis; cut at four of them, which the store's margin covers.
        shift_mm: above 0 the standard deviation of a translation of every sample, rotated or not, in their place.

    Returns:
        angles [B] in radians and shifts [B, 3] of the crop's centre in mm, zero where not drawn.
    """
    kind_seed, angle_seed, shift_seed = tf.unstack(tf.random.split(seed, 3))
    kind = replicas.uniform([count], kind_seed, 0, 3, tf.int32)
    limit = rotation_degrees * math.pi / 180.0
    angle = replicas.uniform([count], angle_seed, -limit, limit)
    shift = replicas.normal([count, 3], shift_seed)
    shift = (shift_mm or translation_mm) * tf.clip_by_value(shift, -MAX_SIGMAS, MAX_SIGMAS)
    shifted = (kind == 1) | (shift_mm > 0.0)
    return tf.where(kind == 2, angle, 0.0), tf.where(shifted[:, None], shift, 0.0)


def view_crops(
    depth_mm: tf.Tensor,
    center_mm: tf.Tensor,
    extent_mm: tf.Tensor,
    cube_mm: tf.Tensor,
    size: int,
    angle: tf.Tensor,
    shift_mm: tf.Tensor,
) -> tf.Tensor:
    """The network's images of stored crops under changed views.

    Args:
        depth_mm: [B, R, R] stored crops with margin, mm.
        center_mm: [B, 3] their centres.
        extent_mm: [B] the side that they show, mm.
        cube_mm: [B] side of the cube that the network sees, mm.
        size: pixels of the network's image.
        angle: [B] turn about the optical axis, radians, from x towards y.
        shift_mm: [B, 3] added to the centre.

    Returns:
        [B, size, size, 1] in [-1, 1]; pixels whose source lies outside the stored crop are background.
    """
    stored = tf.cast(tf.shape(depth_mm)[1], tf.float32)
    moved_mm = center_mm + shift_mm
    zoom = center_mm[:, 2] / moved_mm[:, 2]
    pitch = (cube_mm / size) * zoom * stored / extent_mm
    # Offset, in stored pixels, of the moved centre's ray from the stored centre's.
    offset = (moved_mm[:, :2] * zoom[:, None] - center_mm[:, :2]) * (stored / extent_mm)[:, None]
    # Output pixel -> stored pixel: the turn is undone, then the centre is found.
    cos, sin = pitch * tf.cos(angle), pitch * tf.sin(angle)
    middle_out, middle_in = 0.5 * (size - 1), 0.5 * (stored - 1.0)
    shift_x = offset[:, 0] + middle_in - (cos + sin) * middle_out
    shift_y = offset[:, 1] + middle_in - (cos - sin) * middle_out
    zeros = tf.zeros_like(cos)
    matrix = tf.stack([cos, sin, shift_x, -sin, cos, shift_y, zeros, zeros], axis=-1)
    warped = _warp(depth_mm[..., None], matrix, (size, size))
    return crop.normalize_depth(warped[..., 0], moved_mm, cube_mm)


def view_stored_crops(
    depth_mm: tf.Tensor, center_mm: tf.Tensor, extent_mm: tf.Tensor, cube_mm: tf.Tensor, size: int
) -> tf.Tensor:
    """The network's images [B, size, size, 1] of stored crops as they are; arguments as of `view_crops`."""
    depth_mm, center_mm, extent_mm, cube_mm = (
        tf.cast(value, tf.float32) for value in (depth_mm, center_mm, extent_mm, cube_mm)
    )
    return view_crops(depth_mm, center_mm, extent_mm, cube_mm, size, tf.zeros_like(cube_mm), tf.zeros_like(center_mm))


def view_joints(
    joints_mm: tf.Tensor, center_mm: tf.Tensor, cube_mm: tf.Tensor, angle: tf.Tensor, shift_mm: tf.Tensor
) -> tf.Tensor:
    """Joints [B, J, 3] in half cubes under the same changed views as `view_crops`."""
    return turn_joints(crop.normalize_joints(joints_mm, center_mm + shift_mm, cube_mm), angle)


def turn_joints(joints: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
    """Joints [B, J, 3] in half cubes, turned about the optical axis by angles [B] in radians, from x towards y."""
    cos, sin = tf.cos(angle)[:, None], tf.sin(angle)[:, None]
    x, y, z = tf.unstack(joints, axis=-1)
    return tf.stack([cos * x - sin * y, sin * x + cos * y, z], axis=-1)
