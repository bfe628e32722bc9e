"""Hands that hold something: the fingers close on the surface of a bar, a ball, a block or a sheet.

Each finger closes until it touches. All of its joints close together first, then the outer two alone, as a finger wraps
around what stops its first phalanx. The thumb closes likewise from beside the palm. That is a power grip. In a
precision grip the outer joints stay nearly straight, the thing is at the fingers' ends, and no finger closes far beyond
the others (Napier, "The prehensile movements of the human hand", 1956). Everything is in the palm frame (see
`anatomy`), in mm.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf.simulation import anatomy, surface, things
from lsps_tf.simulation.kinematics import HandState, pose_hand
from lsps_tf.simulation.rotations import rotation_from_vector
from lsps_tf.simulation.shape import HandShape
from lsps_tf.simulation.things import Things
from lsps_tf.skeleton import FINGERS

KINDS = ("bar", "ball", "block", "sheet")
# Skin gives way by so much where it presses.
CONTACT_MM = 2.0
_STEPS = 10
# Degrees of a finger that is open and of one that is closed: MCP, PIP and DIP.
_FINGER_OPEN, _FINGER_CLOSED = (-7.0, 0.0, 0.0), (80.0, 95.0, 62.0)
# Of the thumb: its five angles.
_THUMB_OPEN, _THUMB_CLOSED = (-20.0, 16.0, 0.0, 0.0, 0.0), (26.0, -4.0, 42.0, 0.0, 55.0)
# From the palm's middle to its skin.
_PALM_MM = 15.0
# The share of precision grips, how straight their fingers are at least, and how far these close at least and at most.
_PRECISION, _LEAST_STRAIGHT, _CLOSE_AT_MOST = 0.5, 0.4, (0.35, 0.9)


class Grips(NamedTuple):
    """How B hands close.

    Attributes:
        straight: [B], 0 in a power grip, and up to 1 where the outer joints stay straight.
        most: [B], the level in [0, 1] beyond which no digit closes, whether it touches or not.
    """

    straight: tf.Tensor
    most: tf.Tensor


def draw_grips(seed: tf.Tensor, count: int) -> Grips:
    """Random grips, about half of them precision grips; `seed` is int32 [2]."""
    kind, straight, most = tf.unstack(tf.random.stateless_uniform([3, count], seed))
    precise, (low, high) = kind < _PRECISION, _CLOSE_AT_MOST
    straight = tf.where(precise, _LEAST_STRAIGHT + (1.0 - _LEAST_STRAIGHT) * straight, 0.0)
    return Grips(straight, tf.where(precise, low + (high - low) * most, 1.0))


def draw_held(seed: tf.Tensor, count: int, grips: Grips) -> Things:
    """Random things in the palm or at the fingers' ends, `count` of them; `seed` is int32 [2].

    Those of precision grips are at the fingers' ends. There are bars and cans of 12 to 72 mm, balls of 32 to 84 mm,
    blocks up to 114 mm long, and sheets that stand off the palm.
    """
    seeds = tf.unstack(tf.random.split(seed, 5))
    size = tf.random.stateless_uniform([count, 4], seeds[0])
    kind = tf.random.stateless_uniform([count], seeds[1], 0, len(KINDS), tf.int32)
    half_mm, round_mm = (tf.gather(part, kind, batch_dims=1) for part in _sizes(size))
    tilt = tf.random.stateless_normal([count, 3], seeds[2]) * tf.constant([0.15, 0.12, 0.45])
    is_sheet = tf.cast(kind == KINDS.index("sheet"), tf.float32)
    # 0 in the palm, 1 at the fingers' ends, where all sheets are.
    outward = tf.nn.relu(tf.random.stateless_uniform([count], seeds[3], -0.8, 1.0))
    outward = tf.where(grips.straight > 0.0, tf.maximum(outward, 0.3 + 0.4 * grips.straight), outward)
    outward = tf.maximum(outward, is_sheet)
    noise = tf.random.stateless_normal([count, 2], seeds[4])
    x = 4.0 + 8.0 * noise[:, 0]
    y = -26.0 - 38.0 * outward + 6.0 * noise[:, 1] - is_sheet * (20.0 + half_mm[:, 1])
    z = -(_PALM_MM + half_mm[:, 2] + round_mm + 26.0 * outward * (1.0 - 0.5 * is_sheet))
    return Things(tf.stack([x, y, z], axis=-1), rotation_from_vector(tilt), half_mm, round_mm)


def close_on(angles: tf.Tensor, shape: HandShape, held: Things, grips: Grips) -> tf.Tensor:
    """Closes hands on what they hold.

    Args:
        angles: (B, A) radians; those of the wrist, of the palm and of the fingers' spread stay.
        shape: HandShape of B or 1 hands.
        held: B things in the palm frame.
        grips: how each hand closes.

    Returns:
        (B, A) radians within the limits. No finger is deeper than CONTACT_MM in the thing, unless it is so when open.
    """
    nothing = tf.zeros([tf.shape(angles)[0], len(FINGERS)])
    bent, most = 1.0 - grips.straight[:, None], grips.most[:, None] + nothing
    inner = _farthest_free(lambda level: _at_levels(angles, level, bent * level), shape, held, nothing, most)
    # A straight finger does not wrap around what it touches.
    wrapped = bent * (inner + bent * (most - inner))
    outer = _farthest_free(lambda level: _at_levels(angles, inner, level), shape, held, bent * inner, wrapped)
    return _at_levels(angles, inner, outer)


def clearance_mm(state: HandState, held: Things) -> tf.Tensor:
    """Least distance [B, 5] of each digit's surface beyond its first joint, pinky to thumb, from the thing."""
    return tf.stack([_digit_clearance_mm(state, held, finger) for finger in FINGERS], axis=1)


def _sizes(size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Half sides [B, K, 3] and radii [B, K] of each kind, from uniform numbers [B, 4]."""
    a, b, c, d = tf.unstack(size, axis=1)
    zero = tf.zeros_like(a)
    bar = (tf.stack([40.0 + 110.0 * a, zero, zero], axis=-1), 6.0 + 30.0 * b**1.5)
    ball = (tf.stack([zero, zero, zero], axis=-1), 16.0 + 26.0 * b)
    block = (tf.stack([12.0 + 45.0 * a, 8.0 + 22.0 * c, 6.0 + 20.0 * d], axis=-1), zero + 2.0)
    sheet = (tf.stack([40.0 + 60.0 * a, 40.0 + 70.0 * c, 1.0 + 6.0 * d], axis=-1), zero + 1.0)
    halves, radii = zip(bar, ball, block, sheet)
    return tf.stack(halves, axis=1), tf.stack(radii, axis=1)


def _farthest_free(build, shape: HandShape, held: Things, lowest: tf.Tensor, highest: tf.Tensor) -> tf.Tensor:
    """Per digit the farthest level [B, 5] from `lowest` to `highest` up to which it has not met the thing."""
    count = tf.shape(lowest)[0]
    farthest, free = lowest, tf.ones_like(lowest, tf.bool)
    for step in range(1, _STEPS + 1):
        level = lowest + (highest - lowest) * (step / _STEPS)
        state = pose_hand(build(level), tf.eye(3, batch_shape=[count]), tf.zeros([count, 3]), shape)
        free &= clearance_mm(state, held) > -CONTACT_MM
        farthest = tf.where(free, level, farthest)
    return farthest


def _digit_clearance_mm(state: HandState, held: Things, finger: str) -> tf.Tensor:
    names = ("mcp", "ip", "tip") if finger == "thumb" else ("mcp", "pip", "dip", "tip")
    index = [surface.SPHERE_INDEX[f"{finger}_{name}"] for name in names]
    points_mm, radii_mm = (tf.gather(part, index, axis=1) for part in (state.centers_mm, state.radii_mm))
    # Between two joints, too, where a phalanx may lie against an edge.
    between_mm, around_mm = (0.5 * (part[:, 1:] + part[:, :-1]) for part in (points_mm, radii_mm))
    points_mm = tf.concat([points_mm[:, 1:], between_mm], axis=1)
    radii_mm = tf.concat([radii_mm[:, 1:], around_mm], axis=1)
    return tf.reduce_min(things.distance_mm(held, points_mm) - radii_mm, axis=1)


def _at_levels(angles: tf.Tensor, inner: tf.Tensor, outer: tf.Tensor) -> tf.Tensor:
    """Angles (B, A) with the digits closed to levels [B, 5] in [0, 1] of the first joint and of the outer ones."""
    level = tf.concat([inner, outer], axis=1) @ _LEVEL_OF_ANGLE
    return tf.where(_CLOSES, _OPEN + level * (_CLOSED - _OPEN), angles)


def _closing() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Per angle: its open and its closed value, whether it closes, and the level that moves it, [10, A] of 0 and 1."""
    opened, closed = np.zeros([2, anatomy.NUM_ANGLES], np.float32)
    closes, level = np.zeros(anatomy.NUM_ANGLES, bool), np.zeros([10, anatomy.NUM_ANGLES], np.float32)
    rows = [(finger, anatomy.FINGER_ANGLES[finger, [0, 2, 3]], _FINGER_OPEN, _FINGER_CLOSED, 1) for finger in range(4)]
    # The saddle joint's two angles are the thumb's first joint.
    rows.append((anatomy.THUMB, anatomy.THUMB_ANGLES, _THUMB_OPEN, _THUMB_CLOSED, 2))
    for digit, columns, low, high, first in rows:
        opened[columns], closed[columns], closes[columns] = np.radians(low), np.radians(high), True
        for number, column in enumerate(columns):
            level[digit if number < first else 5 + digit, column] = 1.0
    return opened, closed, closes, level


_OPEN, _CLOSED, _CLOSES, _LEVEL_OF_ANGLE = _closing()
