"""What the hand's surface is made of: spheres fastened to bodies, and the cones and wedges that they span.

A cone-sphere is the convex hull of two spheres, a wedge that of three (Tkach et al., "Sphere-Meshes for Real-Time Hand
Modeling and Tracking", 2016). The surface is the outside of the union of all `CONES` and `WEDGES`. The edges of a wedge
are part of its hull and are not listed again as cones. Radii are those of an average adult hand: finger breadths of 14
to 20 mm, a palm 25 mm thick, a wrist of 57 x 31 mm.

The 36 joints stand at the places of NYU's labels. The places were found by fitting this kinematic hand to the published
labels of the test set's first subject (frames 0 to 2439). docs/simulator.md says how far they are off on the second.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from lsps_tf import skeleton
from lsps_tf.simulation import anatomy
from lsps_tf.skeleton import FINGERS


@dataclasses.dataclass(frozen=True)
class Attachment:
    """A point fastened to a body.

    Attributes:
        name: what it is.
        body: index of the body (see `anatomy`).
        position_mm: for the palm and the metacarpals: in the palm frame of the unposed hand; else in the body's frame.
        along: part of the bone's length that is added along the bone (bones of digits only).
        radius_mm: of a sphere; 0 for a joint.
        thickness: which of `THICKNESSES` scales the radius.
    """

    name: str
    body: int
    position_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    along: float = 0.0
    radius_mm: float = 0.0
    thickness: str = "palm"


THICKNESSES = ("palm", "finger", "fingertip", "thenar", "forearm")

# Per finger the radii at the MCP, PIP and DIP joint and at the tip; the thumb's at MCP, IP and tip.
_RADII_MM = {
    "pinky": (9.0, 8.0, 7.0, 6.0),
    "ring": (10.0, 9.1, 8.0, 6.7),
    "middle": (10.5, 9.6, 8.4, 7.0),
    "index": (10.3, 9.4, 8.3, 6.8),
    "thumb": (11.5, 10.4, 8.3),
}
# The skin between two fingers reaches this far along the proximal phalanx.
_WEB_ALONG = 0.32
_WEB_RADIUS = 0.86  # of the MCP's radius, so that it hides inside the finger


def _finger_spheres(finger: str) -> list[Attachment]:
    mcp, pip, dip, tip = _RADII_MM[finger]
    bones = [anatomy.bone_body(finger, bone) for bone in range(3)]
    return [
        Attachment(f"{finger}_mcp", bones[0], radius_mm=mcp, thickness="finger"),
        Attachment(f"{finger}_pip", bones[1], radius_mm=pip, thickness="finger"),
        Attachment(f"{finger}_dip", bones[2], radius_mm=dip, thickness="fingertip"),
        Attachment(f"{finger}_tip", bones[2], along=1.0, radius_mm=tip, thickness="fingertip"),
        Attachment(f"{finger}_web", bones[0], along=_WEB_ALONG, radius_mm=_WEB_RADIUS * mcp, thickness="finger"),
    ]


def _thumb_spheres() -> list[Attachment]:
    mcp, ip, tip = _RADII_MM["thumb"]
    bones = [anatomy.bone_body("thumb", bone) for bone in range(3)]
    return [
        Attachment("thumb_cmc", bones[0], radius_mm=12.5, thickness="thenar"),
        Attachment("thumb_mcp", bones[1], radius_mm=mcp, thickness="finger"),
        Attachment("thumb_ip", bones[2], radius_mm=ip, thickness="fingertip"),
        Attachment("thumb_tip", bones[2], along=1.0, radius_mm=tip, thickness="fingertip"),
        Attachment("thenar", bones[0], (0.0, 0.0, -3.0), along=0.55, radius_mm=13.0, thickness="thenar"),
        Attachment("thumb_web", bones[0], (0.0, 0.0, -2.0), along=0.85, radius_mm=8.0, thickness="thenar"),
    ]


def _palm_spheres() -> list[Attachment]:
    return [
        Attachment("palm_pinky", anatomy.PINKY_METACARPAL, (-28.5, -17.5, -9.5), radius_mm=11.5),
        Attachment("palm_ring", anatomy.RING_METACARPAL, (-13.8, -28.0, -6.0), radius_mm=12.2),
        Attachment("palm_middle", anatomy.PALM, (3.0, -33.0, -4.5), radius_mm=12.8),
        Attachment("palm_index", anatomy.PALM, (21.0, -30.0, -4.0), radius_mm=12.6),
        Attachment("hypothenar", anatomy.PALM, (-20.5, 18.0, -9.5), radius_mm=14.8),
        Attachment("wrist_ulnar", anatomy.PALM, (-13.0, 41.0, -5.0), radius_mm=15.5),
        Attachment("wrist_radial", anatomy.PALM, (13.0, 41.0, -6.0), radius_mm=15.5),
        Attachment("palm_inner", anatomy.PALM, (3.0, -2.0, -10.0), radius_mm=11.0),
        Attachment("index_web_palm", anatomy.PALM, (21.0, -14.0, -7.0), radius_mm=10.0),
    ]


def _forearm_spheres() -> list[Attachment]:
    return [
        Attachment("forearm_ulnar", anatomy.FOREARM, (-13.0, 2.0, 0.0), radius_mm=16.0, thickness="forearm"),
        Attachment("forearm_radial", anatomy.FOREARM, (13.0, 2.0, 0.0), radius_mm=16.0, thickness="forearm"),
        Attachment("elbow_ulnar", anatomy.FOREARM, (-18.0, 210.0, 0.0), radius_mm=28.0, thickness="forearm"),
        Attachment("elbow_radial", anatomy.FOREARM, (18.0, 210.0, 0.0), radius_mm=28.0, thickness="forearm"),
    ]


def _build_spheres() -> tuple[Attachment, ...]:
    fingers = [sphere for finger in FINGERS if finger != "thumb" for sphere in _finger_spheres(finger)]
    return (*fingers, *_thumb_spheres(), *_palm_spheres(), *_forearm_spheres())


SPHERES = _build_spheres()
SPHERE_INDEX = {sphere.name: index for index, sphere in enumerate(SPHERES)}
SPHERE_BODIES = tuple(sphere.body for sphere in SPHERES)


def _indices(*groups: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(SPHERE_INDEX[name] for name in group) for group in groups)


def _chain(*names: str) -> list[tuple[str, str]]:
    return list(zip(names, names[1:]))


_FINGER_CHAINS = [
    pair
    for finger in FINGERS
    if finger != "thumb"
    for pair in _chain(f"{finger}_mcp", f"{finger}_pip", f"{finger}_dip", f"{finger}_tip")
]

# Pairs of sphere indices (15, 2): three per digit, proximal to distal, pinky to thumb.
CONES = _indices(*_FINGER_CHAINS, *_chain("thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip"))

# Triples of sphere indices: the palm's slab, the thenar eminence, the thumb's web and the webs of the fingers.
WEDGES = _indices(
    ("palm_pinky", "palm_ring", "hypothenar"),
    ("palm_ring", "palm_middle", "hypothenar"),
    ("palm_middle", "wrist_radial", "hypothenar"),
    ("palm_middle", "palm_index", "wrist_radial"),
    ("hypothenar", "wrist_ulnar", "wrist_radial"),
    ("thumb_cmc", "thenar", "palm_inner"),
    ("thenar", "thumb_web", "index_web_palm"),
    ("thenar", "index_web_palm", "palm_inner"),
    ("pinky_web", "ring_web", "palm_ring"),
    ("ring_web", "middle_web", "palm_middle"),
    ("middle_web", "index_web", "palm_middle"),
)

# The forearm, left out of the synthetic domain: two wedges that make a flattened cone.
FOREARM_CONES: tuple[tuple[int, ...], ...] = ()
FOREARM_WEDGES = _indices(
    ("forearm_ulnar", "forearm_radial", "elbow_ulnar"), ("forearm_radial", "elbow_radial", "elbow_ulnar")
)


def primitives(forearm: bool) -> tuple[np.ndarray, np.ndarray]:
    """Sphere indices of the cones (Kc, 2) and wedges (Kw, 3) of the hand alone or with its forearm, int32."""
    cones, wedges = (CONES + FOREARM_CONES, WEDGES + FOREARM_WEDGES) if forearm else (CONES, WEDGES)
    return np.array(cones, np.int32), np.array(wedges, np.int32)


# Per finger, a place for the outer and the inner label of the distal, the middle and the proximal phalanx. The first
# number is along the bone, as a part of its length. The others are in mm towards the thumb's side and towards the back
# of the hand. The outermost label, the tip, stands half a radius beyond the center of the tip's sphere.
_DIGIT_LABELS = {
    "pinky": (
        *((1.0, 0.9, 0.7), (0.59, -0.3, -0.3), (0.83, -0.5, -0.3)),
        *((0.30, -0.3, -0.3), (0.87, 0.2, -0.5), (0.38, -1.5, -0.7)),
    ),
    "ring": (
        *((1.0, 1.4, 0.1), (0.37, -0.1, 0.0), (0.58, -0.7, 0.0)),
        *((0.15, -1.6, -1.1), (0.71, 0.8, 0.6), (0.31, 0.2, 0.4)),
    ),
    "middle": (
        *((1.0, 0.8, 0.3), (0.33, -0.1, -0.4), (0.54, -0.5, 0.2)),
        *((0.11, -1.1, -0.5), (0.56, 0.3, 0.9), (0.10, 1.2, -0.5)),
    ),
    "index": (
        *((1.0, -0.1, 0.7), (0.52, -0.3, -0.5), (0.75, 0.1, -0.5)),
        *((0.19, -0.1, 0.2), (0.62, 0.5, 0.6), (0.02, 1.0, 0.1)),
    ),
    "thumb": ((1.0, 0.2, 0.4), (0.36, -0.5, -1.3), (0.59, -0.7, 0.4), (0.10, -0.3, 0.5), (0.57, 2.3, 0.6)),
}
# From the thumb's inner label on, in the palm frame; all are fastened to the palm.
_PALM_LABELS_MM = (
    *((10.2, 22.2, -21.5), (-15.4, 42.8, -2.8), (14.7, 42.8, -2.3), (-0.3, -23.6, -0.6)),
    *((-20.4, -15.7, -10.6), (0.0, 0.0, 0.0), (-0.4, 47.6, 0.7)),
)


def _digit_joints(finger: str) -> list[Attachment]:
    tip_mm = 0.5 * _RADII_MM[finger][-1]
    return [
        Attachment(
            skeleton.NYU.joint_names[6 * FINGERS.index(finger) + rank],
            anatomy.bone_body(finger, 2 - rank // 2),
            (side_mm, -tip_mm if rank == 0 else 0.0, back_mm),
            along=along,
        )
        for rank, (along, side_mm, back_mm) in enumerate(_DIGIT_LABELS[finger])
    ]


def _build_joints() -> tuple[Attachment, ...]:
    digits = [joint for finger in FINGERS for joint in _digit_joints(finger)]
    names = skeleton.NYU.joint_names[len(digits) :]
    return (*digits, *(Attachment(name, anatomy.PALM, place) for name, place in zip(names, _PALM_LABELS_MM)))


JOINTS = _build_joints()
JOINT_BODIES = tuple(joint.body for joint in JOINTS)
