"""Left hands as right hands: the view in a mirror, x to -x about the camera, and back (it is its own inverse)."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from lsps_tf.camera import Camera

HANDS = ("right", "left")


def mirror_depth(depth_mm):
    """Frames [..., H, W] with their columns reversed; array or tensor."""
    return depth_mm[..., ::-1]


def mirror_camera(camera: Camera) -> Camera:
    """The camera that sees mirrored frames: cx becomes width - 1 - cx, as pixel centres are at integers."""
    return dataclasses.replace(camera, cx=camera.width - 1 - camera.cx)


def mirror_intrinsics(intrinsics: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """The same of a tensor of intrinsics [B, 4] and the frames' width in pixels."""
    fx, fy, cx, cy = tf.unstack(intrinsics, axis=-1)
    return tf.stack([fx, fy, tf.cast(width, tf.float32) - 1.0 - cx, cy], axis=-1)


def mirror_points(points_mm):
    """Camera-space points [..., 3] in mm seen in the mirror: x to -x; array or tensor."""
    sign = np.array([-1.0, 1.0, 1.0], np.float32)
    return points_mm * (sign.astype(points_mm.dtype) if isinstance(points_mm, np.ndarray) else tf.constant(sign))


def mirror_uvd(points_uvd, width: int):
    """Points [..., 3] in pixels and mm seen in the mirror of a frame `width` pixels wide: u to width - 1 - u."""
    sign, offset = np.array([-1.0, 1.0, 1.0]), np.array([width - 1.0, 0.0, 0.0])
    if isinstance(points_uvd, np.ndarray):
        return points_uvd * sign + offset
    return points_uvd * tf.constant(sign, points_uvd.dtype) + tf.constant(offset, points_uvd.dtype)
