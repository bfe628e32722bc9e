"""How much of a crop's depth a predicted hand explains: `lsps_tf/hand_finding/fit.py` in NumPy, for one crop."""

from __future__ import annotations

import numpy as np

from lsps_tf.hand_finding.constants import BONE_POINTS, FIT_REACH_MM, FIT_STEP_PX, SKIN_MM, UNEXPLAINED_MM


def explained(
    image: np.ndarray,
    center_mm: np.ndarray,
    cube_mm: float,
    joints_norm: np.ndarray,
    bones: tuple[tuple[int, int], ...],
) -> float:
    """How much of what is measured around a crop's centre predicted bones explain.

    Args:
        image: float32 [S, S, 1] in [-1, 1], a normalised crop.
        center_mm: [3] camera space, the crop's centre.
        cube_mm: the side of its cube.
        joints_norm: float32 [J, 3] in half cubes.
        bones: pairs of joint indices.

    Returns:
        From 0 to 1: the mean of 1 - (d / UNEXPLAINED_MM)^2, or 0 where that is less, over the points within
        FIT_REACH_MM of the centre. d is a point's distance from the nearest point of a bone. 0 where there is no point.
    """
    points_mm = _points(image[..., 0], center_mm, np.float32(cube_mm))
    if not len(points_mm):
        return 0.0
    skin_mm = np.float32(0.5 * cube_mm) * _along_bones(joints_norm, bones) - np.float32([0.0, 0.0, SKIN_MM])
    squares = _squares(skin_mm) - np.float32(2.0) * (points_mm @ skin_mm.T)
    squares = squares.min(axis=1) + _squares(points_mm)
    return float(np.clip(1.0 - squares / np.float32(UNEXPLAINED_MM**2), 0.0, 1.0).mean())


def _along_bones(joints: np.ndarray, bones: tuple[tuple[int, int], ...]) -> np.ndarray:
    """BONE_POINTS points of each bone, evenly spread, [N, 3] of joints [J, 3]."""
    first, last = (joints[each][:, None] for each in np.array(bones).T)
    share = ((np.arange(BONE_POINTS) + 0.5) / BONE_POINTS).astype(np.float32)[:, None]
    return ((1.0 - share) * first + share * last).reshape(-1, 3)


def _points(image: np.ndarray, center_mm: np.ndarray, cube_mm: np.float32) -> np.ndarray:
    """The points [P, 3] of every FIT_STEP_PX-th pixel that count, from the centre, in mm."""
    size, first = len(image), FIT_STEP_PX // 2
    x, y, z = (np.float32(value) for value in center_mm)
    value = image[first::FIT_STEP_PX, first::FIT_STEP_PX]
    rows, columns = np.nonzero(value < 1.0)
    offset_mm = np.float32(0.5) * cube_mm * value[rows, columns]
    # A pixel's width at the centre's depth, and how much more it is at the point's.
    pixel_mm, scale, middle = cube_mm / np.float32(size), (z + offset_mm) / z, np.float32(0.5 * (size - 1))
    right_mm, down_mm = ((FIT_STEP_PX * each + first - middle) * pixel_mm for each in (columns, rows))
    points_mm = np.stack([(right_mm + x) * scale - x, (down_mm + y) * scale - y, offset_mm], axis=1)
    points_mm = points_mm.astype(np.float32)
    return points_mm[_squares(points_mm) < FIT_REACH_MM**2]


def _squares(vectors: np.ndarray) -> np.ndarray:
    return np.einsum("nc,nc->n", vectors, vectors)
