"""Joint angles of the simulated right hand: their names, anatomical limits, and the bodies that they move.

Palm frame (mm): x towards the thumb, y towards the wrist, z towards the back of the hand, so that without rotation a
camera sees the palm with the fingers up. Origin: the palm's center (NYU joint 34). Every bone has a frame of its own,
with the bone along -y and its flexion axis along x.

Limits in degrees, from
[AAOS] American Academy of Orthopaedic Surgeons, "Joint Motion: Method of Measuring and Recording", 1965: wrist flexion
    80, extension 70, radial deviation 20, ulnar deviation 30; fingers MCP 90 / extension 45, PIP 100, DIP 90, abduction
    20; thumb MCP 50, IP 80 / extension 20.
[Lin] Lin, Wu, Huang, "Modeling the constraints of human hand motion", 2000: MCP abduction 15, DIP flexion 2/3 of PIP's.
[Cooney] Cooney et al., "The kinesiology of the thumb trapeziometacarpal joint", 1981: the thumb's CMC joint has 53 of
    flexion-extension, 42 of abduction-adduction and, following both, 17 of axial rotation.
[El-Shennawy] El-shennawy et al., "Three-dimensional kinematic analysis of the second through fifth carpometacarpal
    joints", 2001: the fifth CMC joint flexes by 27, the fourth by 20, moved together.
"""

from __future__ import annotations

import math

import numpy as np

from lsps_tf.skeleton import FINGERS

NUM_DIGITS = len(FINGERS)
THUMB = FINGERS.index("thumb")

# Name, lower and upper limit in degrees. Positive: flexion, or deviation towards the thumb's side.
_WRIST_LIMITS = (
    ("wrist_flexion", -70.0, 80.0),  # AAOS
    ("wrist_deviation", -30.0, 20.0),  # AAOS: ulnar 30, radial 20
    ("palm_arch", 0.0, 27.0),  # El-Shennawy, the fifth CMC joint; the fourth follows
)
# Hyperextension of the MCP joints stays below the 45 of AAOS, which is passive.
_FINGER_LIMITS = (
    ("mcp_flexion", -30.0, 90.0),  # AAOS
    ("mcp_deviation", -20.0, 20.0),  # AAOS; Lin: 15 in free motion
    ("pip_flexion", 0.0, 100.0),  # AAOS
    ("dip_flexion", 0.0, 90.0),  # AAOS
)
# The CMC joint's zero is the middle of Cooney's ranges.
_THUMB_LIMITS = (
    ("thumb_cmc_flexion", -26.5, 26.5),  # Cooney: 53 in all
    ("thumb_cmc_abduction", -21.0, 21.0),  # Cooney: 42 in all
    ("thumb_mcp_flexion", -5.0, 50.0),  # AAOS: from 0; a few degrees beyond straight are common
    ("thumb_mcp_deviation", -10.0, 10.0),  # the ligaments' play, less than a finger's
    ("thumb_ip_flexion", -20.0, 80.0),  # AAOS
)


def _angle_table() -> tuple[tuple[str, float, float], ...]:
    fingers = [
        (f"{finger}_{name}", low, high) for finger in FINGERS if finger != "thumb" for name, low, high in _FINGER_LIMITS
    ]
    return (*_WRIST_LIMITS, *fingers, *_THUMB_LIMITS)


_TABLE = _angle_table()
ANGLE_NAMES = tuple(name for name, _, _ in _TABLE)
NUM_ANGLES = len(ANGLE_NAMES)
ANGLE_LIMITS = np.radians([[low, high] for _, low, high in _TABLE]).astype(np.float32)  # (A, 2) in radians

# Where in the angle vector: scalars, (4, 4) fingers x (mcp flexion, mcp deviation, pip, dip), and the thumb's five.
WRIST_FLEXION, WRIST_DEVIATION, PALM_ARCH = range(3)
FINGER_ANGLES = np.arange(3, 19).reshape(4, 4)
THUMB_ANGLES = np.arange(19, 24)

RING_ARCH_SHARE = 20.0 / 27.0  # El-Shennawy: the fourth CMC joint's part of the fifth's motion
THUMB_AXIAL_SHARE = math.radians(17.0) / math.radians(53.0 + 42.0)  # Cooney: axial part of the two others

# Rigid bodies: what spheres and joints are fastened to.
PALM, FOREARM, RING_METACARPAL, PINKY_METACARPAL = range(4)
NUM_BODIES = 4 + 3 * NUM_DIGITS


def bone_body(finger: str, bone: int) -> int:
    """Index of the body of `finger`'s bone 0, 1 or 2 (proximal to distal; the thumb's bone 0 is its metacarpal)."""
    return 4 + 3 * FINGERS.index(finger) + bone
