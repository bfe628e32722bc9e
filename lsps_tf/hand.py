"""A predicted hand, or several. NumPy alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lsps_tf.skeleton import Skeleton, joints_of

# So many hands are looked for where nothing else is said, and at most so many in one frame.
USUAL_HANDS, MOST_HANDS = 4, 8
# A hand whose centre is farther than this from a place, or from where a hand was a frame ago, is another one.
SAME_HAND_MM = 150.0
# Below this logit, either way, what a hand looks like leaves its side open.
SURE_SIDE = 1.0
# Logits nearer than this to the verge, -SURE_SIDE, may be others after further looks. Of the simulated hands whose side
# the further looks change, 9 of 10 are nearer.
NEAR_VERGE = 1.5
# What the finder's logit weighs, and the difference of the squares of what the predictions of both sides explain.
# Their ratio is fitted on simulated hands of validation subjects among things.
LOOKS_SHARE, FIT_SHARE = 1.14, 17.0


@dataclasses.dataclass(frozen=True)
class Hand:
    """One hand in camera space.

    Attributes:
        joints_mm: float32 [J, 3], x right, y down, z forward.
        joints_uvd: float32 [J, 3], pixels of the frame, pixels, mm.
        center_mm: float32 [3], the middle of the hand's cube.
        skeleton: of the joints.
        side: "right" or "left".
        confidence: float32 [J], the probability that each joint lies within 20 mm of its place; None where the model
            does not know it.
        right_logit: how much it looks like a right hand: above 0 a right one, below 0 a left one, and 0 where that was
            not looked at. Of a hand that is followed, the sum over its frames.
        track: the number of a hand that is followed (`lsps_tf.device.tracking`), None in a single frame.
    """

    joints_mm: np.ndarray
    joints_uvd: np.ndarray
    center_mm: np.ndarray
    skeleton: Skeleton
    side: str = "right"
    confidence: np.ndarray | None = None
    right_logit: float = 0.0
    track: int | None = None

    @property
    def joint_names(self) -> tuple[str, ...]:
        """J names, in the order of the joints."""
        return self.skeleton.joint_names

    def in_skeleton(self, skeleton: Skeleton) -> Hand:
        """The same hand with the joints of another skeleton; InputError where this one lacks some of them."""
        chosen = list(joints_of(self.skeleton, skeleton))
        confidence = None if self.confidence is None else self.confidence[chosen]
        joints = {"joints_mm": self.joints_mm[chosen], "joints_uvd": self.joints_uvd[chosen]}
        return dataclasses.replace(self, **joints, skeleton=skeleton, confidence=confidence)

    def to_dict(self) -> dict[str, Any]:
        """Side, joints and centre as plain values for JSON; lengths in mm, to a thousandth."""
        values = {name: getattr(self, name) for name in ("center_mm", "joints_mm", "joints_uvd")}
        lists = {name: np.round(value.astype(np.float64), 3).tolist() for name, value in values.items()}
        track = {} if self.track is None else {"track": self.track}
        return {**track, "side": self.side, "right_logit": round(float(self.right_logit), 3), **lists}


def side_of(right_logit: float) -> str:
    """The side that a logit says; "right" where it is not sure, as most hands before a camera are."""
    return "left" if right_logit < -SURE_SIDE else "right"


def is_near_verge(right_logit):
    """Whether further looks may tell another side than this logit; a number, an array or a tensor."""
    return abs(right_logit + SURE_SIDE) < NEAR_VERGE


def right_logit(looks_right, as_right, as_left):
    """How much a hand looks like a right one; numbers, arrays or tensors.

    Squares, because two predictions that both explain little tell less.

    Args:
        looks_right: the finder's logit.
        as_right: how much is explained (`hand_finding.fit`) where it is predicted as a right hand.
        as_left: and as a left one.
    """
    return LOOKS_SHARE * looks_right + FIT_SHARE * (as_right**2 - as_left**2)
