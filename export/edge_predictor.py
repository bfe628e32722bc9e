"""Depth frames to joints on an edge device: find the hand, crop, predict, map back. NumPy and ai-edge-litert alone.

The twin of `lsps_tf/predictor.py` with `lsps_tf/crop.py`, for one frame at a time; a test compares their joints.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np

from export.edge_hands import find_hand
from export.tflite_network import TfliteNetwork
from lsps_tf.camera import Camera, mm_to_uvd
from lsps_tf.skeleton import Skeleton


@dataclasses.dataclass(frozen=True)
class EdgeHand:
    """One hand in camera space.

    Attributes:
        joints_mm: float32 [J, 3], x right, y down, z forward.
        joints_uvd: float32 [J, 3], pixels of the frame, pixels, mm.
        center_mm: float32 [3], the middle of the hand's cube.
    """

    joints_mm: np.ndarray
    joints_uvd: np.ndarray
    center_mm: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """Plain lists for JSON, to a thousandth."""
        return {field.name: _rounded(getattr(self, field.name)) for field in dataclasses.fields(self)}


class EdgePredictor:
    """A TFLite file of this project with what stands before and after it; not to be shared between threads.

    Attributes:
        skeleton: of the joints.
        cube_mm: side of the crop's cube.
        image_size: S, pixels of the crop's side.
    """

    def __init__(self, model: str | pathlib.Path, threads: int = 1):
        """Opens a `.tflite` file; InputError where it is missing, damaged or not one of this project's."""
        self._network = TfliteNetwork(model, threads)
        info = self._network.info
        self.skeleton: Skeleton = info.skeleton
        self.image_size, self.cube_mm = info.image_size, info.cube_mm

    def __call__(self, depth_mm: np.ndarray, camera: Camera, center_mm: np.ndarray | None = None) -> EdgeHand | None:
        """Predicts the joints of the nearest hand, or of the one around `center_mm`.

        Args:
            depth_mm: [H, W] mm of any type of number, 0 = no reading.
            camera: that made the frame.
            center_mm: [3] camera space, or None to find the hand.

        Returns:
            The hand, or None where there is none.
        """
        if center_mm is None:
            center_mm = find_hand(depth_mm, camera.intrinsics)
            if center_mm is None:
                return None
        center_mm = np.asarray(center_mm, np.float32)
        cropped_mm = crop_frame(depth_mm, camera.intrinsics, center_mm, self.cube_mm, self.image_size)
        joints_norm = self._network(normalize_depth(cropped_mm, center_mm, self.cube_mm))
        joints_mm = joints_norm * np.float32(0.5 * self.cube_mm) + center_mm
        return EdgeHand(joints_mm, mm_to_uvd(joints_mm, camera.intrinsics), center_mm)


def crop_frame(
    depth_mm: np.ndarray, intrinsics: np.ndarray, center_mm: np.ndarray, extent_mm: float, size: int
) -> np.ndarray:
    """`lsps_tf.crop.crop_frame` of one frame [H, W]: float32 [size, size] mm, 0 outside the frame."""
    height, width = depth_mm.shape
    x, y, z = (np.float32(value) for value in center_mm)
    fx, fy, cx, cy = (np.float32(value) for value in intrinsics)
    focal = np.float32(size) * z / np.float32(extent_mm)
    pixels = np.arange(size, dtype=np.float32)
    middle = np.float32(0.5 * (size - 1))
    columns, column_inside = _nearest(fx * ((pixels - (middle - focal * x / z)) / focal) + cx, width)
    rows, row_inside = _nearest(fy * ((pixels - (middle - focal * y / z)) / focal) + cy, height)
    inside = row_inside[:, None] & column_inside
    return np.where(inside, depth_mm[rows[:, None], columns], 0).astype(np.float32)


def normalize_depth(cropped_mm: np.ndarray, center_mm: np.ndarray, cube_mm: float) -> np.ndarray:
    """`lsps_tf.crop.normalize_depth` of one crop [S, S]: float32 [S, S, 1] in [-1, 1]."""
    value = (cropped_mm - center_mm[2]) / np.float32(0.5 * cube_mm)
    inside = (cropped_mm > 0.0) & (np.abs(value) <= 1.0)
    return np.where(inside, value, np.float32(1.0))[..., None]


def _nearest(position: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    nearest = np.clip(np.floor(position + np.float32(0.5)), -1.0, count).astype(np.int32)
    return np.clip(nearest, 0, count - 1), (nearest >= 0) & (nearest < count)


def _rounded(values: np.ndarray) -> list:
    return np.round(values.astype(np.float64), 3).tolist()
