"""Depth frames to joints on an edge device: find the hand, crop, predict, map back. NumPy and ai-edge-litert alone.

The twin of `lsps_tf/predictor.py`, for one frame at a time; a test compares their joints.
"""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np

from lsps_tf import mirror
from lsps_tf.camera import mm_to_uvd
from lsps_tf.device.crop import crop_frame, normalize_depth
from lsps_tf.device.network import TfliteNetwork
from lsps_tf.device.search import find_hand, track_hand
from lsps_tf.hand import Hand
from lsps_tf.hand_predictor import HandPredictor, OpenModel, View


class EdgePredictor(HandPredictor):
    """A TFLite file of this project with what stands before and after it; not to be shared between threads.

    Attributes:
        network: crops [S, S, 1] in [-1, 1] to joints [J, 3] in half cubes and, where the file knows it, confidence [J].
    """

    def __init__(
        self,
        model: str | pathlib.Path,
        threads: int = 1,
        hand: str = "right",
        joints: int | None = None,
        rotation_degrees: int = 0,
    ):
        """Opens a `.tflite` file; InputError where it is missing, damaged or not one of this project's."""
        self.network = TfliteNetwork(model, threads)
        super().__init__(tflite_model(self.network), hand, joints, rotation_degrees)


def tflite_model(network: TfliteNetwork) -> OpenModel:
    """A network as a model that finds, crops and predicts hands."""

    def predict(view: View) -> Hand | None:
        if view.side == "right":
            return _predict_right(network, view)
        hand = _predict_right(network, _mirrored(view))
        return None if hand is None else _mirrored_back(hand, view)

    def joints_of_crop(images: np.ndarray) -> np.ndarray:
        return np.stack([network(image)[0] for image in np.asarray(images, np.float32)])

    return OpenModel("TFLite", network.name, network.info, predict, joints_of_crop)


def _predict_right(network: TfliteNetwork, view: View) -> Hand | None:
    info, intrinsics, center_mm = network.info, view.camera.intrinsics, view.center_mm
    if center_mm is None and view.previous_mm is not None:
        center_mm, _ = track_hand(view.depth_mm, intrinsics, view.previous_mm)
    elif center_mm is None:
        center_mm = find_hand(view.depth_mm, intrinsics)
    if center_mm is None:
        return None
    center_mm = np.asarray(center_mm, np.float32)
    cropped_mm = crop_frame(view.depth_mm, intrinsics, center_mm, info.cube_mm, info.image_size)
    image = normalize_depth(cropped_mm, center_mm, info.cube_mm)
    if not (image < 1.0).any():
        # A given centre around which nothing was measured.
        return None
    joints_norm, confidence = network(image)
    joints_mm = joints_norm * np.float32(0.5 * info.cube_mm) + center_mm
    return Hand(joints_mm, mm_to_uvd(joints_mm, intrinsics), center_mm, info.skeleton, "right", confidence)


def _mirrored(view: View) -> View:
    places = {
        name: None if place is None else mirror.mirror_points(np.asarray(place, np.float32))
        for name, place in (("center_mm", view.center_mm), ("previous_mm", view.previous_mm))
    }
    depth_mm, camera = mirror.mirror_depth(view.depth_mm), mirror.mirror_camera(view.camera)
    return View(depth_mm, camera, "right", **places)


def _mirrored_back(hand: Hand, view: View) -> Hand:
    joints_mm = mirror.mirror_points(hand.joints_mm)
    uvd, center_mm = mm_to_uvd(joints_mm, view.camera.intrinsics), mirror.mirror_points(hand.center_mm)
    return dataclasses.replace(hand, joints_mm=joints_mm, joints_uvd=uvd, center_mm=center_mm, side="left")
