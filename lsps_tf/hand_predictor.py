"""One depth frame to the hands that it shows, with any kind of model. NumPy alone: models bring what they need.

predictor = lsps_tf.load_predictor()
hand = predictor(depth_mm, "sr305")
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from lsps_tf import rotation
from lsps_tf.camera import Camera, as_camera
from lsps_tf.device import search
from lsps_tf.errors import InputError
from lsps_tf.hand import USUAL_HANDS, Hand
from lsps_tf.mirror import AUTO, HAND_SETTINGS
from lsps_tf.model_info import ModelInfo
from lsps_tf.skeleton import SKELETON_OF_COUNT, Skeleton, joints_of


@dataclasses.dataclass(frozen=True)
class View:
    """What a model is asked about.

    Attributes:
        depth_mm: [H, W] of any type of number, 0 = no reading.
        camera: that made the frame.
        side: "right" or "left", or "auto" to have it told; models know right hands, and mirror left ones themselves.
        hands: how many to find at most, the nearest ones.
        center_mm: [3] camera space, where the one hand is; None finds it.
    """

    depth_mm: np.ndarray
    camera: Camera
    side: str = AUTO
    hands: int = 1
    center_mm: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class OpenModel:
    """A model that is ready to predict; `lsps_tf.models.open_model` opens one.

    Attributes:
        kind: "SavedModel", "TFLite", "run" or "server".
        name: where it lies, for messages.
        info: its skeleton, image size, cube, and how many hands it finds at most.
        predict: a view to its hands, the nearest first.
        joints_of_crop: normalised crops [B, S, S, 1] to joints [B, J, 3] in half cubes; arrays.
    """

    kind: str
    name: str
    info: ModelInfo
    predict: Callable[[View], list[Hand]]
    joints_of_crop: Callable[[np.ndarray], np.ndarray]


class HandPredictor:
    """A model with what stands before and after it. Not to be shared between threads.

    Attributes:
        model: the open model.
        skeleton: of the joints that come out.
        hand: which hand the frames show: "right", "left", or "auto" to have each told from what it looks like.
        rotation_degrees: how far clockwise the frames are turned to stand upright, one of `rotation.ROTATIONS`.
        hands: how many are predicted at most, the nearest ones.
    """

    def __init__(
        self,
        model: OpenModel,
        hand: str = AUTO,
        joints: int | None = None,
        rotation_degrees: int = 0,
        hands: int = 1,
    ):
        """Args: `joints` is 21 for those of `skeleton.HAND21`, None for the model's own; the others as the attributes.

        Raises:
            InputError: where an argument is none of these, or the model lacks the joints or finds fewer hands.
        """
        if hand not in HAND_SETTINGS:
            raise InputError(f"hand: there is no '{hand}' hand; give right, left or auto")
        if rotation_degrees not in rotation.ROTATIONS:
            raise InputError(f"rotation: {rotation_degrees} degrees are no quarter turn; give 0, 90, 180 or 270")
        _check_hands(hands, model)
        self.model, self.hand, self.rotation_degrees, self.hands = model, hand, rotation_degrees, hands
        self.skeleton = _skeleton(model.info.skeleton, joints)

    def __call__(
        self,
        depth_mm: np.ndarray,
        camera: Camera | str | Sequence[float],
        center_mm: Sequence[float] | None = None,
    ) -> Hand | list[Hand] | None:
        """Predicts the nearest hand, or as many as the predictor was made for, or the one at a place.

        Args:
            depth_mm: [H, W] mm of any type of number; 0, negative, NaN and infinite are no reading.
            camera: that made the frame; or its name, or fx, fy, cx, cy in pixels.
            center_mm: [3] camera space, where the hand is; None finds it.

        Returns:
            The hand, in the camera space of the frame as it was given; None where there is none. A predictor of
            several hands gives a list of them, the nearest first, which may be empty.

        Raises:
            InputError: where the frame or the camera has no meaning, the model's joints are no numbers, or a centre is
                given and several hands are asked for.
        """
        hands = self.hands_in(depth_mm, camera, center_mm)
        return hands if self.hands > 1 else next(iter(hands), None)

    def hands_in(
        self,
        depth_mm: np.ndarray,
        camera: Camera | str | Sequence[float],
        center_mm: Sequence[float] | None = None,
    ) -> list[Hand]:
        """The same as a list, whether one hand is asked for or several."""
        if center_mm is not None and self.hands > 1:
            raise InputError(f"center: one hand lies there, and {self.hands} are asked for; leave one of them out")
        view = self.upright(depth_mm, camera)
        if center_mm is not None:
            center_mm = rotation.rotate_points(np.asarray(center_mm, np.float32), self.rotation_degrees)
        return self.predict(dataclasses.replace(view, hands=self.hands, center_mm=center_mm))

    def count_hands(self, depth_mm: np.ndarray, camera: Camera | str | Sequence[float]) -> int:
        """How many hands a frame shows, counted up to `hand.USUAL_HANDS`; InputError as of a call."""
        view = self.upright(depth_mm, camera)
        return len(search.sure_hands(search.find_hands(view.depth_mm, view.camera.intrinsics, USUAL_HANDS)))

    def upright(self, depth_mm: np.ndarray, camera: Camera | str | Sequence[float]) -> View:
        """A frame as the model is to see it, turned upright, to be found and predicted in; InputError as of a call."""
        depth_mm = readings(depth_mm)
        turn, camera = self.rotation_degrees, as_camera(camera, *depth_mm.shape)
        return View(rotation.rotate_depth(depth_mm, turn), rotation.rotate_camera(camera, turn), self.hand)

    def predict(self, view: View) -> list[Hand]:
        """The hands of an upright frame, in the camera space of the frame as it was given; InputError as of a call."""
        hands = self.model.predict(view)
        for hand in hands:
            if not (np.isfinite(hand.joints_mm).all() and np.isfinite(hand.center_mm).all()):
                raise InputError(f"{self.model.name}: the model predicts joints that are no numbers; train it again")
        return [_turned_back(hand, view.camera, self.rotation_degrees).in_skeleton(self.skeleton) for hand in hands]


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


def _check_hands(hands: int, model: OpenModel) -> None:
    most = model.info.hands
    if hands < 1:
        raise InputError(f"hands: {hands} cannot be predicted; give how many at most, from 1 to {most}")
    if hands > most:
        again = "" if model.kind in ("TFLite", "run") else f", or export the run again with --hands {hands}"
        raise InputError(f"hands: {model.name} finds at most {most} hands in a frame, not {hands}; give fewer{again}")


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
