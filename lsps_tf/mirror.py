"""Left hands as right hands: the view in a mirror, x to -x about the camera, and back (it is its own inverse).

Models know right hands. The functions take arrays and tensors, and need TensorFlow only for tensors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from lsps_tf.camera import Camera

HANDS = ("right", "left")
# Or what the hand looks like says it.
AUTO = "auto"
HAND_SETTINGS = (*HANDS, AUTO)


def mirror_depth(depth_mm):
    """Frames [..., H, W] with their columns reversed; array or tensor."""
    return depth_mm[..., ::-1]


def mirror_crop(image):
    """Crops [..., S, S, 1], the network's input, with their columns reversed; array or tensor."""
    return image[..., ::-1, :]


def mirror_camera(camera: Camera) -> Camera:
    """The camera that sees mirrored frames: cx becomes width - 1 - cx, as pixel centres are at integers."""
    return dataclasses.replace(camera, cx=camera.width - 1 - camera.cx)


def mirror_intrinsics(intrinsics, width):
    """The same of tensors: intrinsics [B, 4], float32, and the frames' width in pixels."""
    import tensorflow as tf

    fx, fy, cx, cy = tf.unstack(intrinsics, axis=-1)
    return tf.stack([fx, fy, tf.cast(width, tf.float32) - 1.0 - cx, cy], axis=-1)


def mirror_points(points_mm):
    """Camera-space points [..., 3] in mm seen in the mirror: x to -x; array or tensor."""
    return points_mm * _numbers((-1.0, 1.0, 1.0), points_mm)


def mirror_uvd(points_uvd, width: int):
    """Points [..., 3] in pixels and mm seen in the mirror of a frame `width` pixels wide: u to width - 1 - u."""
    return points_uvd * _numbers((-1.0, 1.0, 1.0), points_uvd) + _numbers((width - 1.0, 0.0, 0.0), points_uvd)


def _numbers(values: Sequence[float], like: Any) -> np.ndarray:
    """An array of the type that an array or a tensor has."""
    return np.array(values, like.dtype if isinstance(like, np.ndarray) else like.dtype.as_numpy_dtype)
