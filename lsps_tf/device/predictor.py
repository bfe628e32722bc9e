"""Depth frames to joints on an edge device: find the hand, crop, predict, map back. NumPy and ai-edge-litert alone.

The twin of `lsps_tf/predictor.py`, for one frame at a time; a test compares their joints.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np

from lsps_tf.camera import Camera, mm_to_uvd
from lsps_tf.device.crop import crop_frame, normalize_depth
from lsps_tf.device.network import TfliteNetwork
from lsps_tf.device.search import find_hand, track_hand
from lsps_tf.skeleton import Skeleton

HANDS = ("right", "left")
_MIRROR = np.array([-1.0, 1.0, 1.0], np.float32)


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

    Models know right hands; a left one is shown to them in a mirror, and what they say is mirrored back.

    Attributes:
        skeleton: of the joints.
        cube_mm: side of the crop's cube.
        image_size: S, pixels of the crop's side.
        hand: "right" or "left".
        network: crops [S, S, 1] in [-1, 1] to joints [J, 3] in half cubes.
    """

    def __init__(self, model: str | pathlib.Path, threads: int = 1, hand: str = "right"):
        """Opens a `.tflite` file; InputError where it is missing, damaged or not one of this project's."""
        self.network = TfliteNetwork(model, threads)
        info = self.network.info
        self.skeleton: Skeleton = info.skeleton
        self.image_size, self.cube_mm = info.image_size, info.cube_mm
        self.hand = hand

    def __call__(
        self,
        depth_mm: np.ndarray,
        camera: Camera,
        center_mm: np.ndarray | None = None,
        previous_mm: np.ndarray | None = None,
    ) -> EdgeHand | None:
        """Predicts the joints of the nearest hand, or of the one that is, or a frame ago was, at a place.

        Args:
            depth_mm: [H, W] mm of any type of number, 0 = no reading.
            camera: that made the frame.
            center_mm: [3] camera space, where the hand is; None finds it.
            previous_mm: [3] where it was in the frame before; it is looked for there first.

        Returns:
            The hand, or None where there is none.
        """
        if self.hand == "left":
            places_mm = (None if place is None else np.asarray(place) * _MIRROR for place in (center_mm, previous_mm))
            mirrored = dataclasses.replace(camera, cx=camera.width - 1 - camera.cx)
            seen = self._predict(depth_mm[:, ::-1], mirrored, *places_mm)
            found = None if seen is None else (seen[0] * _MIRROR, seen[1] * _MIRROR)
        else:
            found = self._predict(depth_mm, camera, center_mm, previous_mm)
        if found is None:
            return None
        return EdgeHand(found[0], mm_to_uvd(found[0], camera.intrinsics), found[1])

    def _predict(
        self, depth_mm: np.ndarray, camera: Camera, center_mm: np.ndarray | None, previous_mm: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Joints [J, 3] and centre [3] of a right hand."""
        intrinsics = camera.intrinsics
        if center_mm is None and previous_mm is not None:
            center_mm, _ = track_hand(depth_mm, intrinsics, previous_mm)
        elif center_mm is None:
            center_mm = find_hand(depth_mm, intrinsics)
        if center_mm is None:
            return None
        center_mm = np.asarray(center_mm, np.float32)
        cropped_mm = crop_frame(depth_mm, intrinsics, center_mm, self.cube_mm, self.image_size)
        joints_norm = self.network(normalize_depth(cropped_mm, center_mm, self.cube_mm))
        return joints_norm * np.float32(0.5 * self.cube_mm) + center_mm, center_mm


def _rounded(values: np.ndarray) -> list:
    return np.round(values.astype(np.float64), 3).tolist()
