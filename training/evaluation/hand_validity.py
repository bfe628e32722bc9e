"""Whether poses are hands: the share of joint angles that a hand can take, and how its bones change their length."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lsps_tf.fitting.to_joints import fit_hand
from lsps_tf.simulation import anatomy
from lsps_tf.skeleton import NYU, Skeleton, joints_of

# What the fit of a noisy pose may be beyond a limit, radians.
_TOLERANCE = np.radians(5.0)
# Shorter bones join joints of one body part, and their share says nothing.
_SHORTEST_MM = 10.0
_FIT_STEPS = 300


class Validity(NamedTuple):
    """What says whether poses are hands.

    Attributes:
        angles_percent: joint angles within the anatomical limits and 5 degrees, %.
        bones_spread_percent: standard deviation of a bone's length over the poses, % of its mean, over the bones.
        bones_percent: mean length of the bones, % of the reference hand's.
    """

    angles_percent: float
    bones_spread_percent: float
    bones_percent: float


def measure_validity(joints_mm: np.ndarray, skeleton: Skeleton, reference_mm: np.ndarray) -> Validity:
    """The validity of poses [N, J, 3] in mm.

    Angles are those of the simulator's hand where it fits the joints best, of any size, without limits.

    Args:
        joints_mm: the poses, camera space.
        skeleton: of the joints.
        reference_mm: [M, J, 3] poses of the hand whose bones count as right.
    """
    lengths, right = bone_lengths_mm(joints_mm, skeleton), bone_lengths_mm(reference_mm, skeleton).mean(axis=0)
    long = right >= _SHORTEST_MM
    lengths, right = lengths[:, long], right[long]
    fit = fit_hand(joints_mm, joints_of(NYU, skeleton), steps=_FIT_STEPS, limited=False)
    low, high = anatomy.ANGLE_LIMITS.T
    within = (fit.angles >= low - _TOLERANCE) & (fit.angles <= high + _TOLERANCE)
    return Validity(
        100.0 * float(within.mean()),
        100.0 * float((lengths.std(axis=0) / lengths.mean(axis=0)).mean()),
        100.0 * float((lengths.mean(axis=0) / right).mean()),
    )


def bone_lengths_mm(joints_mm: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """[N, K], of poses [N, J, 3]."""
    parent, child = np.array(skeleton.bones).T
    return np.linalg.norm(joints_mm[:, child] - joints_mm[:, parent], axis=-1)
