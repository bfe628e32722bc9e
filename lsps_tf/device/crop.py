"""Crops on an edge device: `lsps_tf/crop.py` in NumPy, for one frame at a time, with the same numbers."""

from __future__ import annotations

import numpy as np


def crop_frame(
    depth_mm: np.ndarray, intrinsics: np.ndarray, center_mm: np.ndarray, extent_mm: float, size: int
) -> np.ndarray:
    """Cuts a crop out of a frame by nearest sampling.

    Args:
        depth_mm: [H, W] of any type of number, 0 = no reading.
        intrinsics: [4] fx, fy, cx, cy in pixels of the frame.
        center_mm: [3] camera space, z > 0.
        extent_mm: side of the square that the crop shows at its centre's depth.
        size: pixels of the crop's side.

    Returns:
        float32 [size, size] mm, 0 outside the frame.
    """
    height, width = depth_mm.shape
    x, y, z = (np.float32(value) for value in center_mm)
    fx, fy, cx, cy = (np.float32(value) for value in intrinsics)
    focal = np.float32(size) * z / np.float32(extent_mm)
    pixels = np.arange(size, dtype=np.float32)
    middle = np.float32(0.5 * (size - 1))
    columns, column_inside = _nearest(fx * ((pixels - (middle - focal * x / z)) / focal) + cx, width)
    rows, row_inside = _nearest(fy * ((pixels - (middle - focal * y / z)) / focal) + cy, height)
    cropped_mm = depth_mm[rows[:, None], columns].astype(np.float32)
    cropped_mm *= row_inside[:, None] & column_inside
    return cropped_mm


def normalize_depth(cropped_mm: np.ndarray, center_mm: np.ndarray, cube_mm: float) -> np.ndarray:
    """A crop [S, S] in mm as network input, float32 [S, S, 1] in [-1, 1]; what is not in the cube is +1."""
    value = (cropped_mm - np.float32(center_mm[2])) / np.float32(0.5 * cube_mm)
    inside = (cropped_mm > 0.0) & (np.abs(value) <= 1.0)
    return np.where(inside, value, np.float32(1.0))[..., None]


def _nearest(position: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    nearest = np.clip(np.floor(position + np.float32(0.5)), -1.0, count).astype(np.int32)
    return np.clip(nearest, 0, count - 1), (nearest >= 0) & (nearest < count)
