"""Folds of sleeves: relief of a few millimetres on forearms, as cloth has it where an arm bends or pulls at it.

A forearm is a smooth cone. Real ones are not, and what looks for hands must not take a fold for a finger. The relief is
a sum of waves over the forearm's length and around it, so that every view of a scene shows the same.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from lsps_tf.simulation import surface
from lsps_tf.simulation.kinematics import HandState

# Share of the forearms that have folds, and the height of the highest ones.
FOLDED, HIGHEST_MM = 0.55, 6.0
_WAVES = 4
_LENGTH_MM = (14.0, 70.0)
# Cloth is tight at the wrist and full-high so far behind it.
_CUFF_MM = 30.0
_OUTSIDE_MM = 6.0
# Any direction that no arm has by chance.
_SLANTED = (0.3, 0.5, 0.8)


class Folds(NamedTuple):
    """Waves of B forearms: height_mm, per_mm (waves a mm along the arm), around (whole waves), phase; all [B, K]."""

    height_mm: tf.Tensor
    per_mm: tf.Tensor
    around: tf.Tensor
    phase: tf.Tensor


def draw_folds(seed: tf.Tensor, count: int) -> Folds:
    """Random folds, none on some arms; `seed` is int32 [2]."""
    seeds = tf.unstack(tf.random.split(seed, 2))
    height, length, around, phase = tf.unstack(tf.random.stateless_uniform([4, count, _WAVES], seeds[0]))
    folded, highest = tf.unstack(tf.random.stateless_uniform([2, count, 1], seeds[1]))
    # Heights that add up to the highest at most.
    height_mm = HIGHEST_MM * highest * height / tf.reduce_sum(height, axis=1, keepdims=True)
    shortest, longest = (math.log(value) for value in _LENGTH_MM)
    per_mm = tf.exp(-(shortest + (longest - shortest) * length))
    return Folds(tf.where(folded < FOLDED, height_mm, 0.0), per_mm, tf.floor(4.0 * around) - 1.0, phase)


def fold(depth_mm: tf.Tensor, x: tf.Tensor, y: tf.Tensor, arm: HandState, folds: Folds) -> tf.Tensor:
    """Lifts the readings on a forearm towards the camera by its folds.

    Args:
        depth_mm: [B, S, S] along z, 0 = nothing.
        x: [B, S, S] or [B, 1, S], the rays' x at z = 1.
        y: [B, S, S] or [B, S, 1].
        arm: whose forearm it is.
        folds: of B.
    """
    start_mm, end_mm, radius_mm = _axis(arm)
    points_mm = tf.stack([x * depth_mm, y * depth_mm, depth_mm], axis=-1) - start_mm[:, None, None]
    length_mm = tf.maximum(tf.norm(end_mm - start_mm, axis=-1), 1.0)
    along = (end_mm - start_mm) / length_mm[:, None]
    first = tf.math.l2_normalize(tf.linalg.cross(along, tf.broadcast_to(_SLANTED, tf.shape(along))), axis=-1)
    directions = tf.stack([along, first, tf.linalg.cross(along, first)], axis=-1)
    s, u, v = tf.unstack(tf.einsum("bhwi,bij->bhwj", points_mm, directions), axis=-1)
    angle = tf.math.atan2(v, u)[..., None]
    waves = [part[:, None, None] for part in folds]
    phase = s[..., None] * waves[1] + angle / (2.0 * math.pi) * waves[2] + waves[3]
    relief_mm = tf.reduce_sum(waves[0] * tf.sin(2.0 * math.pi * phase), axis=-1)
    relief_mm *= tf.clip_by_value(s / _CUFF_MM, 0.0, 1.0)
    on_arm = (s > 0.0) & (s < length_mm[:, None, None] + radius_mm[:, None, None])
    on_arm &= tf.sqrt(u**2 + v**2) < radius_mm[:, None, None] + _OUTSIDE_MM
    return tf.where(on_arm & (depth_mm > 0.0), tf.maximum(depth_mm - relief_mm, 1.0), depth_mm)


def _axis(arm: HandState) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Middles [B, 3] of a forearm's two ends, at the wrist and at the elbow, and half its width [B] there."""
    ends = []
    for end in ("forearm", "elbow"):
        sides = [surface.SPHERE_INDEX[f"{end}_{side}"] for side in ("ulnar", "radial")]
        centers_mm = tf.gather(arm.centers_mm, sides, axis=1)
        half_mm = 0.5 * tf.norm(centers_mm[:, 0] - centers_mm[:, 1], axis=-1)
        ends.append((tf.reduce_mean(centers_mm, axis=1), half_mm + tf.gather(arm.radii_mm, sides[0], axis=1)))
    return ends[0][0], ends[1][0], tf.maximum(ends[0][1], ends[1][1])
