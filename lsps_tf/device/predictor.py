"""Depth frames to joints on an edge device: find the hands, crop, predict, map back. NumPy and ai-edge-litert alone.

The twin of `lsps_tf/predictor.py`, for one frame at a time; a test compares their joints.
"""

from __future__ import annotations

import pathlib

import numpy as np

from lsps_tf import mirror
from lsps_tf.camera import mm_to_uvd
from lsps_tf.device import fit, search
from lsps_tf.device.crop import crop_frame, normalize_depth
from lsps_tf.device.network import TfliteNetwork
from lsps_tf.device.search import FoundHand
from lsps_tf.hand import Hand, is_near_verge, right_logit, side_of
from lsps_tf.hand_finding.constants import CROP_LOGIT
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
        hand: str = mirror.AUTO,
        joints: int | None = None,
        rotation_degrees: int = 0,
        hands: int = 1,
    ):
        """Opens a `.tflite` file; InputError where it is missing, damaged or not one of this project's."""
        self.network = TfliteNetwork(model, threads)
        super().__init__(tflite_model(self.network), hand, joints, rotation_degrees, hands)


def tflite_model(network: TfliteNetwork) -> OpenModel:
    """A network as a model that finds, crops and predicts hands."""

    def predict(view: View) -> list[Hand]:
        hands = [_predict_hand(network, view, found) for found in _locate(view, network.info.centering)]
        return [hand for hand in hands if hand is not None]

    def joints_of_crop(images: np.ndarray) -> np.ndarray:
        return np.stack([network(image)[0] for image in np.asarray(images, np.float32)])

    return OpenModel("TFLite", network.name, network.info, predict, joints_of_crop)


def _locate(view: View, centering: str) -> list[FoundHand]:
    """The hands that are found, or the one that is given, with the side that it looks like where that is asked for."""
    intrinsics = view.camera.intrinsics
    if view.center_mm is None:
        found = search.find_hands(view.depth_mm, intrinsics, view.hands)
        frame = view.depth_mm, intrinsics
        return [hand._replace(center_mm=search.crop_center(*frame, hand.center_mm, centering)) for hand in found]
    center_mm, right = np.asarray(view.center_mm, np.float32), 0.0
    if view.side == mirror.AUTO:
        _, is_hand, looks_right = search.judge_hand(view.depth_mm, intrinsics, center_mm)
        right = float(looks_right) if is_hand > CROP_LOGIT else 0.0
    return [FoundHand(center_mm, right)]


def _predict_hand(network: TfliteNetwork, view: View, found: FoundHand) -> Hand | None:
    """None around a centre where nothing was measured."""
    info, intrinsics, center_mm = network.info, view.camera.intrinsics, np.asarray(found.center_mm, np.float32)
    cropped_mm = crop_frame(view.depth_mm, intrinsics, center_mm, info.cube_mm, info.image_size)
    image = normalize_depth(cropped_mm, center_mm, info.cube_mm)
    if not (image < 1.0).any():
        return None
    side, logit, (joints_norm, confidence) = _look(network, image, center_mm, view.side, float(found.right))
    if side == "left":
        joints_norm = mirror.mirror_points(joints_norm)
    joints_mm = joints_norm * np.float32(0.5 * info.cube_mm) + center_mm
    uvd = mm_to_uvd(joints_mm, intrinsics)
    return Hand(joints_mm, uvd, center_mm, info.skeleton, side, confidence, logit)


def _look(
    network: TfliteNetwork, image: np.ndarray, center_mm: np.ndarray, side: str, looks_right: float
) -> tuple[str, float, tuple[np.ndarray, np.ndarray | None]]:
    """The side, its logit, and what the network says of a crop, or of its mirror image for a left hand.

    Where nothing is said of the side it looks at both. The finder's logit decides, and which of them explains more.
    """
    images = {"right": image, "left": np.ascontiguousarray(mirror.mirror_crop(image))}
    if side != mirror.AUTO:
        return side, looks_right, network(images[side])
    middles_mm = {"right": center_mm, "left": mirror.mirror_points(center_mm)}
    cube_mm, bones = network.info.cube_mm, network.info.skeleton.bones

    def told(joints: dict[str, np.ndarray]) -> float:
        explained = (fit.explained(images[each], middles_mm[each], cube_mm, joints[each], bones) for each in images)
        return right_logit(looks_right, *explained)

    first = {each: network.first_look(image) for each, image in images.items()}
    if all(joints is not None for joints in first.values()):
        logit = told(first)
        side = side_of(logit)
        if not is_near_verge(logit):
            return side, logit, network.other_looks(images[side], first[side])
        predicted = {each: network.other_looks(image, first[each]) for each, image in images.items()}
    else:
        predicted = {each: network(image) for each, image in images.items()}
    logit = told({each: joints for each, (joints, _) in predicted.items()})
    return side_of(logit), logit, predicted[side_of(logit)]
