"""How deep parts of a posed hand are inside one another: closest points of tapered capsules."""

from __future__ import annotations

import itertools

import numpy as np
import tensorflow as tf

from lsps_tf.simulation import surface
from lsps_tf.simulation.kinematics import HandState
from lsps_tf.skeleton import FINGERS

# Soft tissue gives way: touching fingers and a closed fist overlap by this much without being wrong.
CONTACT_MM = 3.0

_FINGERS = tuple(finger for finger in FINGERS if finger != "thumb")
# The palm as the fingers meet it: its metacarpals, and for the fingers the skin and muscle that hold the thumb.
_PALM_CAPSULES = (
    ("palm_pinky", "hypothenar"),
    ("palm_ring", "hypothenar"),
    ("palm_middle", "wrist_radial"),
    ("palm_index", "wrist_radial"),
    ("hypothenar", "wrist_ulnar"),
)
_THUMB_ROOT_CAPSULES = (("thumb_web", "index_web_palm"), ("thenar", "palm_inner"))


def _digit_capsules(finger: str) -> list[tuple[str, str]]:
    """Proximal to distal; the first starts beyond the skin that it shares with its neighbors."""
    if finger == "thumb":
        return [("thenar", "thumb_mcp"), ("thumb_mcp", "thumb_ip"), ("thumb_ip", "thumb_tip")]
    return [
        (f"{finger}_web", f"{finger}_pip"),
        (f"{finger}_pip", f"{finger}_dip"),
        (f"{finger}_dip", f"{finger}_tip"),
    ]


def _named_pairs() -> list[tuple[tuple[str, str], tuple[str, str]]]:
    pairs = []
    for first, second in itertools.combinations(FINGERS, 2):
        pairs += itertools.product(_digit_capsules(first), _digit_capsules(second))
    # The proximal phalanges and the thumb's metacarpal grow out of the palm.
    for finger in FINGERS:
        middle, distal = _digit_capsules(finger)[1:]
        root = () if finger == "thumb" else _THUMB_ROOT_CAPSULES
        pairs += itertools.product([distal], _PALM_CAPSULES + root)
        # Beside the thumb's proximal phalanx the skin goes over into the index finger's metacarpal.
        beside = [pair for pair in _PALM_CAPSULES if finger != "thumb" or "palm_index" not in pair]
        pairs += itertools.product([middle], (*beside, *root))
    # A finger bent upon itself.
    pairs += [(_digit_capsules(finger)[0], _digit_capsules(finger)[2]) for finger in _FINGERS]
    return pairs


def _pair_indices() -> np.ndarray:
    """(K, 4): the sphere indices of the two capsules of every pair."""
    return np.array([[surface.SPHERE_INDEX[name] for pair in pairs for name in pair] for pairs in _named_pairs()])


_PAIRS = _pair_indices()


def penetration_mm(state: HandState) -> tf.Tensor:
    """Greatest depth by which two parts that are not neighbors are inside each other.

    Args:
        state: posed hands.

    Returns:
        (B,) mm, at least 0; up to `CONTACT_MM` is skin pressed against skin. Differentiable almost everywhere. It is
        measured where the axes are closest, which on tapered parts is within 0.3 mm of where they overlap most.
    """
    return tf.nn.relu(tf.reduce_max(pair_penetrations_mm(state), axis=1))


def pair_penetrations_mm(state: HandState) -> tf.Tensor:
    """Depths (B, K) in mm of all pairs of capsules that may meet; negative where they are apart."""
    starts = [tf.gather(state.centers_mm, _PAIRS[:, column], axis=1) for column in range(4)]
    radii = [tf.gather(state.radii_mm, _PAIRS[:, column], axis=1) for column in range(4)]
    first, second = segment_parameters(*starts)
    point_first = starts[0] + first[..., None] * (starts[1] - starts[0])
    point_second = starts[2] + second[..., None] * (starts[3] - starts[2])
    # The epsilon keeps the gradient finite where two axes cross.
    distance = tf.sqrt(tf.reduce_sum((point_first - point_second) ** 2, axis=-1) + 1e-6)
    radius_first = radii[0] + first * (radii[1] - radii[0])
    radius_second = radii[2] + second * (radii[3] - radii[2])
    return radius_first + radius_second - distance


def segment_parameters(
    start: tf.Tensor, end: tf.Tensor, other_start: tf.Tensor, other_end: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Where two segments are closest to each other (Ericson, "Real-Time Collision Detection", 2005, section 5.1.9).

    Args:
        start, end, other_start, other_end: (..., 3), no segment of length zero.

    Returns:
        Two (...) numbers in [0, 1], the part of the way from start to end on either segment.
    """
    along, other = end - start, other_end - other_start
    between = start - other_start

    def dot(a, b):
        return tf.reduce_sum(a * b, axis=-1)

    a, b, c, e, f = dot(along, along), dot(along, other), dot(along, between), dot(other, other), dot(other, between)
    # Parallel segments have no unique answer; any point does.
    determinant = tf.maximum(a * e - b * b, 1e-4 * a * e)
    first = tf.clip_by_value((b * f - c * e) / determinant, 0.0, 1.0)
    second = (b * first + f) / e
    clipped = tf.clip_by_value(second, 0.0, 1.0)
    first = tf.where(second == clipped, first, tf.clip_by_value((b * clipped - c) / a, 0.0, 1.0))
    return first, clipped
