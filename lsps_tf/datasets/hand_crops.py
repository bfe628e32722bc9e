"""Crops of recorded hands as a store keeps them.

A crop shows "a fixed-size 3d cube centered at the center of the hand" (section 5). The centre is the hand's centre of
mass without the forearm. It is searched from a start near the hand, by the function that centres what a trained model
sees.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.camera import Camera
from lsps_tf.datasets.store import MARGIN
from lsps_tf.hand_finding.center_of_mass import refine_center

# The centre is refined in a window of so many pixels, which shows so many sides of the hand's cube.
WINDOW_SIZE = 64
WINDOW_EXTENT = 2.0


def find_and_crop(
    frames_mm: np.ndarray, camera: Camera, start_mm: np.ndarray, cube_mm: float, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Refines the hands' centres and cuts the crops that a store keeps.

    Args:
        frames_mm: [B, H, W] depth, 0 = no reading.
        camera: that took them.
        start_mm: [B, 3] camera space, within a hand's reach of the hands.
        cube_mm: side of the cube.
        size: pixels of a stored crop's side, which shows the cube with its margin.

    Returns:
        depth_mm [B, size, size] and center_mm [B, 3].
    """
    # On the CPU, so that a store does not depend on where it was made.
    with tf.device("CPU"):
        cropped = _crop_function(size)(frames_mm, camera.intrinsics, np.float32(start_mm), np.float32(cube_mm))
    return tuple(value.numpy() for value in cropped)


@functools.lru_cache(maxsize=4)
def _crop_function(size: int) -> Callable:
    @tf.function(reduce_retracing=True)
    def find_and_crop(
        frames: tf.Tensor, intrinsics: tf.Tensor, start_mm: tf.Tensor, cube_mm: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        depth_mm = tf.cast(frames, tf.float32)
        intrinsics = tf.repeat(intrinsics[None], tf.shape(depth_mm)[0], axis=0)
        extent_mm = WINDOW_EXTENT * cube_mm
        window_mm = crop.crop_frame(depth_mm, intrinsics, start_mm, extent_mm, WINDOW_SIZE)
        window_intrinsics = crop.crop_intrinsics(start_mm, extent_mm, WINDOW_SIZE)
        center_mm = refine_center(window_mm, window_intrinsics, start_mm)
        return crop.crop_frame(depth_mm, intrinsics, center_mm, MARGIN * cube_mm, size), center_mm

    return find_and_crop
