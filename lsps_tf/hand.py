"""A predicted hand. NumPy alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lsps_tf.skeleton import Skeleton, joints_of


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
    """

    joints_mm: np.ndarray
    joints_uvd: np.ndarray
    center_mm: np.ndarray
    skeleton: Skeleton
    side: str = "right"
    confidence: np.ndarray | None = None

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
        """The joints and the centre as plain lists for JSON; lengths in mm, to a thousandth."""
        values = {name: getattr(self, name) for name in ("center_mm", "joints_mm", "joints_uvd")}
        return {name: np.round(value.astype(np.float64), 3).tolist() for name, value in values.items()}
