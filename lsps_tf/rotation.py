"""Frames of a camera that is mounted upside down or in portrait, turned upright, and points turned back.

The networks and the search for the hand know upright cameras. All turns are about the camera's optical axis, by a
quarter turn or several. Turning by `degrees` and then by `opposite(degrees)` gives back what was there. NumPy alone.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from lsps_tf.camera import Camera

# How far clockwise a camera's frames are turned so that they stand upright.
ROTATIONS = (0, 90, 180, 270)


def opposite(degrees: int) -> int:
    """The turn that undoes one of ROTATIONS; ValueError for any other."""
    return ROTATIONS[-_quarters(degrees)]


def rotate_depth(depth_mm: np.ndarray, degrees: int) -> np.ndarray:
    """Frames [..., H, W] turned clockwise, a view of [..., W, H] for 90 and 270; ValueError for no quarter turn."""
    return np.rot90(depth_mm, -_quarters(degrees), axes=(-2, -1))


def rotate_camera(camera: Camera, degrees: int) -> Camera:
    """The camera that sees the turned frames of `camera`."""
    for _ in range(_quarters(degrees)):
        camera = dataclasses.replace(
            camera,
            fx=camera.fy,
            fy=camera.fx,
            cx=camera.height - 1 - camera.cy,
            cy=camera.cx,
            width=camera.height,
            height=camera.width,
        )
    return camera


def rotate_points(points_mm: np.ndarray, degrees: int) -> np.ndarray:
    """Camera-space points [..., 3] in mm as the turned camera sees them: a quarter turn makes (x, y, z) (-y, x, z)."""
    points_mm = np.asarray(points_mm)
    for _ in range(_quarters(degrees)):
        points_mm = np.stack([-points_mm[..., 1], points_mm[..., 0], points_mm[..., 2]], axis=-1)
    return points_mm


def rotate_uvd(points_uvd: np.ndarray, camera: Camera, degrees: int) -> np.ndarray:
    """Points [..., 3] in pixels and mm of a frame of `camera`, as pixels and mm of the turned frame."""
    points_uvd, height, width = np.asarray(points_uvd), camera.height, camera.width
    for _ in range(_quarters(degrees)):
        points_uvd = np.stack([height - 1 - points_uvd[..., 1], points_uvd[..., 0], points_uvd[..., 2]], axis=-1)
        height, width = width, height
    return points_uvd


def _quarters(degrees: int) -> int:
    if degrees not in ROTATIONS:
        raise ValueError(f"frames are turned by {', '.join(map(str, ROTATIONS))} degrees, not by {degrees}")
    return ROTATIONS.index(degrees)
