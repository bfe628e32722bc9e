"""One depth frame to the hand that it shows, with any kind of model. NumPy alone: models bring what they need.

predictor = lsps_tf.load_predictor()
hand = predictor(depth_mm, "sr305")
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from lsps_tf import rotation
from lsps_tf.camera import Camera, as_camera
from lsps_tf.errors import InputError
from lsps_tf.hand import Hand
from lsps_tf.mirror import HANDS
from lsps_tf.model_info import ModelInfo
from lsps_tf.skeleton import SKELETON_OF_COUNT, Skeleton, joints_of


@dataclasses.dataclass(frozen=True)
class View:
    """What a model is asked about.

    Attributes:
        depth_mm: [H, W] of any type of number, 0 = no reading.
        camera: that made the frame.
        side: "right" or "left"; models know right hands, and mirror left ones themselves.
        center_mm: [3] camera space, where the hand is; None finds it.
        previous_mm: [3] where it was in the frame before; models that follow hands look there first.
    """

    depth_mm: np.ndarray
    camera: Camera
    side: str = "right"
    center_mm: np.ndarray | None = None
    previous_mm: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class OpenModel:
    """A model that is ready to predict; `lsps_tf.models.open_model` opens one.

    Attributes:
        kind: "SavedModel", "TFLite", "run" or "server".
        name: where it lies, for messages.
        info: its skeleton, image size and cube.
        predict: a view to its hand, None where there is none.
        joints_of_crop: normalised crops [B, S, S, 1] to joints [B, J, 3] in half cubes; arrays.
    """

    kind: str
    name: str
    info: ModelInfo
    predict: Callable[[View], Hand | None]
    joints_of_crop: Callable[[np.ndarray], np.ndarray]


class HandPredictor:
    """A model with what stands before and after it. Not to be shared between threads.

    Attributes:
        model: the open model.
        skeleton: of the joints that come out.
        hand: which hand the frames show, "right" or "left".
        rotation_degrees: how far clockwise the frames are turned to stand upright, one of `rotation.ROTATIONS`.
    """

    def __init__(self, model: OpenModel, hand: str = "right", joints: int | None = None, rotation_degrees: int = 0):
        """Args: `joints` is 21 for those of `skeleton.HAND21`, None for the model's own; the others as the attributes.

        Raises:
            InputError: where an argument is none of these, or the model lacks the joints.
        """
        if hand not in HANDS:
            raise InputError(f"hand: there is no '{hand}' hand; give right or left")
        if rotation_degrees not in rotation.ROTATIONS:
            raise InputError(f"rotation: {rotation_degrees} degrees are no quarter turn; give 0, 90, 180 or 270")
        self.model, self.hand, self.rotation_degrees = model, hand, rotation_degrees
        self.skeleton = _skeleton(model.info.skeleton, joints)

    def __call__(
        self,
        depth_mm: np.ndarray,
        camera: Camera | str | Sequence[float],
        center_mm: Sequence[float] | None = None,
        previous_mm: np.ndarray | None = None,
    ) -> Hand | None:
        """Predicts the joints of the nearest hand, or of the one that is, or a frame ago was, at a place.

        Args:
            depth_mm: [H, W] mm of any type of number; 0, negative, NaN and infinite are no reading.
            camera: that made the frame; or its name, or fx, fy, cx, cy in pixels.
            center_mm: [3] camera space, where the hand is; None finds it.
            previous_mm: [3] where it was in the frame before. A TFLite model looks there first; others find it anew.

        Returns:
            The hand, in the camera space of the frame as it was given; None where there is none.

        Raises:
            InputError: where the frame or the camera has no meaning, or the model's joints are no numbers.
        """
        depth_mm = readings(depth_mm)
        turn, camera = self.rotation_degrees, as_camera(camera, *depth_mm.shape)
        places = (
            None if place is None else rotation.rotate_points(np.asarray(place, np.float32), turn)
            for place in (center_mm, previous_mm)
        )
        upright = View(rotation.rotate_depth(depth_mm, turn), rotation.rotate_camera(camera, turn), self.hand, *places)
        hand = self.model.predict(upright)
        if hand is None:
            return None
        if not (np.isfinite(hand.joints_mm).all() and np.isfinite(hand.center_mm).all()):
            raise InputError(f"{self.model.name}: the model predicts joints that are no numbers; train it again")
        return _turned_back(hand, upright.camera, turn).in_skeleton(self.skeleton)


def readings(depth_mm: np.ndarray) -> np.ndarray:
    """A frame [H, W] whose pixels without a reading are 0, however they were marked.

    Raises:
        InputError: where it is no frame of numbers.
    """
    depth_mm = np.asarray(depth_mm)
    if depth_mm.ndim != 2 or 0 in depth_mm.shape or depth_mm.dtype.kind not in "uif":
        raise InputError(
            f"a depth frame is an array [height, width] of numbers, not {depth_mm.dtype} of the shape {depth_mm.shape}"
        )
    # Comparisons with NaN are false; most frames are clean, and two passes tell it.
    if depth_mm.dtype.kind == "u" or (depth_mm.min() >= 0 and depth_mm.max() < np.inf):
        return depth_mm
    return np.where(np.isfinite(depth_mm) & (depth_mm > 0), depth_mm, depth_mm.dtype.type(0))


def _skeleton(own: Skeleton, joints: int | None) -> Skeleton:
    if joints is None or joints == own.num_joints:
        return own
    if joints not in SKELETON_OF_COUNT:
        raise InputError(f"joints: {joints} cannot be had; give 21, or leave it out for the model's {own.num_joints}")
    joints_of(own, SKELETON_OF_COUNT[joints])
    return SKELETON_OF_COUNT[joints]


def _turned_back(hand: Hand, camera: Camera, turn: int) -> Hand:
    """A hand of an upright frame of `camera`, in the frame as it was before the turn."""
    if turn == 0:
        return hand
    back = rotation.opposite(turn)
    points = {name: rotation.rotate_points(getattr(hand, name), back) for name in ("joints_mm", "center_mm")}
    return dataclasses.replace(hand, **points, joints_uvd=rotation.rotate_uvd(hand.joints_uvd, camera, back))
