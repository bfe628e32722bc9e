"""Skeletons: joint names, bones, evaluated subsets and the maps between them.

Two are those of public benchmarks, which models are trained in. `HAND21` is the order of MANO, MediaPipe and FreiHAND;
its joints are taken from a model's.

Sources: the NYU hand pose dataset (Tompson et al., 2014) and ICVL (Tang et al., 2014); the 14 joints that the field
evaluates on NYU are those of Oberweger et al. (2015).
"""

from __future__ import annotations

import dataclasses

from lsps_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """Names and structure of J joints.

    Attributes:
        name: "nyu", "icvl" or "hand21".
        joint_names: J names; their order is the order of every joint array of this skeleton.
        bones: pairs (parent, child) of joint indices, for drawing.
        evaluated: indices of the joints that the field's metrics use.
        finger_of: per joint one of "pinky", "ring", "middle", "index", "thumb", "palm".
    """

    name: str
    joint_names: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    evaluated: tuple[int, ...]
    finger_of: tuple[str, ...]

    @property
    def num_joints(self) -> int:
        return len(self.joint_names)


FINGERS = ("pinky", "ring", "middle", "index", "thumb")

# Two labels per phalanx, from the tip inwards; each is named after the anatomical place that it is nearest to. The
# thumb's innermost stays with the palm.
_NYU_FINGER_JOINTS = ("tip", "distal", "dip", "middle", "pip", "mcp")
_NYU_THUMB_JOINTS = ("tip", "distal", "ip", "mcp", "metacarpal", "cmc")
_NYU_PALM_JOINTS = ("wrist_ulnar", "wrist_radial", "palm_distal", "palm_ulnar", "palm", "wrist")
# A tree rooted at the wrist: the palm, then each digit at the nearest label of the palm.
_NYU_PALM_BONES = ((35, 30), (35, 31), (35, 34), (34, 32), (34, 33), (33, 5), (32, 11), (32, 17), (32, 23), (31, 29))


def _build_nyu() -> Skeleton:
    names, fingers, bones = [], [], []
    for finger in FINGERS:
        parts = _NYU_THUMB_JOINTS if finger == "thumb" else _NYU_FINGER_JOINTS
        first = len(names)
        names += [f"{finger}_{part}" for part in parts]
        fingers += [finger] * len(parts)
        bones += [(i + 1, i) for i in range(first, first + len(parts) - 1)]
    names += list(_NYU_PALM_JOINTS)
    fingers += ["palm"] * len(_NYU_PALM_JOINTS)
    evaluated = (0, 3, 6, 9, 12, 15, 18, 21, 24, 25, 27, 30, 31, 32)
    return Skeleton("nyu", tuple(names), (*bones, *_NYU_PALM_BONES), evaluated, tuple(fingers))


def _build_icvl() -> Skeleton:
    names, fingers, bones = ["palm"], ["palm"], []
    for finger in reversed(FINGERS):
        first = len(names)
        names += [f"{finger}_{part}" for part in ("root", "mid", "tip")]
        fingers += [finger] * 3
        bones += [(0, first), (first, first + 1), (first + 1, first + 2)]
    return Skeleton("icvl", tuple(names), tuple(bones), tuple(range(16)), tuple(fingers))


def _build_hand21() -> Skeleton:
    names, fingers, bones = ["wrist"], ["palm"], []
    for finger in reversed(FINGERS):
        first = len(names)
        parts = ("cmc", "mcp", "ip", "tip") if finger == "thumb" else ("mcp", "pip", "dip", "tip")
        names += [f"{finger}_{part}" for part in parts]
        fingers += [finger] * len(parts)
        bones += [(0, first), *((joint, joint + 1) for joint in range(first, first + len(parts) - 1))]
    return Skeleton("hand21", tuple(names), tuple(bones), tuple(range(21)), tuple(fingers))


NYU = _build_nyu()
ICVL = _build_icvl()
HAND21 = _build_hand21()
# What models are trained in.
SKELETONS = {skeleton.name: skeleton for skeleton in (NYU, ICVL)}

# ICVL's joint k is NYU's joint ICVL_FROM_NYU[k] (palm, then root, mid, tip of thumb, index, middle, ring, pinky).
ICVL_FROM_NYU = (34, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0)

# The same for HAND21: the wrist, then thumb, index, middle, ring and pinky from the palm outwards.
# NYU names these joints alike.
HAND21_FROM_NYU = (35, 29, 27, 26, 24, 23, 22, 20, 18, 17, 16, 14, 12, 11, 10, 8, 6, 5, 4, 2, 0)


# Layouts that are asked for by their number of joints.
SKELETON_OF_COUNT = {HAND21.num_joints: HAND21}


def joints_of(source: Skeleton, target: Skeleton) -> tuple[int, ...]:
    """Where the joints of `target` lie among those of `source`.

    Raises:
        InputError: where `source` lacks some of them.
    """
    if source == target:
        return tuple(range(source.num_joints))
    maps = {("nyu", "icvl"): ICVL_FROM_NYU, ("nyu", "hand21"): HAND21_FROM_NYU}
    if (source.name, target.name) not in maps:
        raise InputError(
            f"the {target.num_joints} joints of {target.name} cannot be had from a model of {source.name}'s "
            f"{source.num_joints}; take one that was trained on NYU's joints"
        )
    return maps[source.name, target.name]
