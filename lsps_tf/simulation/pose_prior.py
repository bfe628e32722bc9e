"""Random joint angles of a healthy hand: gestures with correlated fingers, none through another or through the palm.

Each finger has two levels in [0, 1], one for its MCP joint and one for its PIP joint. A gesture family says how the
four fingers' levels are drawn. Neighbors share noise. Tendons couple what muscles cannot move alone:

- DIP flexion follows PIP by two thirds (Lin, Wu, Huang, 2000).
- A finger draws its neighbors along (Haeger-Ross, Schieber, "Quantifying the independence of human finger movements",
  2000).
- Flexed MCP joints spread less.

How far real hands stray from these rules was measured on the two subjects of NYU's test set (docs/simulator.md).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from lsps_tf.simulation import anatomy, collision
from lsps_tf.simulation.kinematics import pose_hand
from lsps_tf.simulation.shape import HandShape, canonical_shape

_ROUNDS = 40  # about two thirds of the draws are free of collisions: none is left to replace after so many
_FAMILY_PROBABILITIES = {
    "curl": 0.18,
    "count": 0.24,
    "hook": 0.06,
    "flat": 0.06,
    "free": 0.24,
    "pinch": 0.12,
    "spread": 0.10,
}
_FAMILIES = tuple(_FAMILY_PROBABILITIES)
_THUMB_MODES = ("free", "out", "across")
_MCP_RANGE = np.radians([-22.0, 90.0]).astype(np.float32)
_PIP_RANGE = np.radians([0.0, 100.0]).astype(np.float32)
_DIP_OF_PIP = 2.0 / 3.0
_NEIGHBOR_CORRELATION = 0.6
_LEVEL_NOISE = 0.11
_LOWEST_MCP_LEVEL = -0.07  # a finger stretched back further than the range of the gestures
# How much of each finger's level comes from its neighbors, pinky to index.
_ENSLAVING = np.array(
    [[0.80, 0.20, 0.00, 0.00], [0.13, 0.74, 0.13, 0.00], [0.00, 0.13, 0.81, 0.06], [0.00, 0.00, 0.05, 0.95]], np.float32
)
_SPREAD_DEGREES = (-11.0, -4.5, 0.0, 8.0)  # deviation of the MCP joints as the hand is spread by one unit
# Standard deviations. On NYU's subjects neighboring fingers' deviations correlate by 0.65 and vary by 7 to 9 degrees.
# DIP flexion is off its best line in PIP by 12 to 15 there. Part of that is the labels' own noise.
_SWAY_DEGREES = 5.0  # all fingers lean to one side together
_OWN_DEVIATION_DEGREES = 4.5
_DIP_NOISE_DEGREES = 11.0
# Low and high angles in degrees of a thumb that points away from the hand, and of one in front of the palm or the fist.
_THUMB_OUT = ((-26.5, -21.0, -5.0, -10.0, -20.0), (-5.0, 16.0, 30.0, 10.0, 35.0))
_THUMB_ACROSS = ((0.0, -10.0, 5.0, -10.0, 0.0), (26.5, 21.0, 50.0, 10.0, 75.0))
# Angles in degrees at which the thumb's tip touches a finger's tip, pinky to index. They were found by minimizing the
# distance within the limits. A row is the palm's arch, the finger's four angles and the thumb's five.
_PINCHES = np.radians(
    [
        [12.5, 45.8, 12.3, 44.7, 27.3, 26.5, 15.4, 32.5, 5.0, 29.3],
        [9.8, 48.3, 7.1, 49.0, 29.7, 21.7, 15.2, 22.6, 3.3, 25.0],
        [3.0, 50.5, 3.4, 50.4, 30.2, 16.5, 11.7, 19.9, 0.4, 23.9],
        [0.0, 49.9, -0.2, 50.0, 30.0, 11.2, 11.7, 17.0, 0.0, 22.9],
    ]
).astype(np.float32)


def sample_angles(seed: tf.Tensor, n: int, shape: HandShape | None = None) -> tf.Tensor:
    """Random joint angles within the limits, free of collisions.

    Args:
        seed: int32 (2,).
        n: number of hands.
        shape: HandShape of n or 1 hands in which nothing may collide; the average hand if None.

    Returns:
        (n, A) float32 radians, in the order of `anatomy.ANGLE_NAMES`; `collision.penetration_mm` of every hand is at
        most `collision.CONTACT_MM`.
    """
    shape = canonical_shape() if shape is None else shape

    def unfinished(_, done, __):
        return tf.logical_not(tf.reduce_all(done))

    def draw_again(round_index, done, angles):
        drawn = draw_angles(tf.random.fold_in(seed, round_index, alg="philox"), n)
        accepted = tf.logical_and(tf.logical_not(done), _is_free(drawn, shape))
        return round_index + 1, tf.logical_or(done, accepted), tf.where(accepted[:, None], drawn, angles)

    # A hand that no round could draw stays flat and open, which collides in no shape.
    start = (tf.constant(0), tf.zeros([n], tf.bool), tf.zeros([n, anatomy.NUM_ANGLES]))
    return tf.while_loop(unfinished, draw_again, start, maximum_iterations=_ROUNDS)[2]


def _is_free(angles: tf.Tensor, shape: HandShape) -> tf.Tensor:
    n = tf.shape(angles)[0]
    state = pose_hand(angles, tf.eye(3, batch_shape=[n]), tf.zeros([n, 3]), shape)
    return collision.penetration_mm(state) <= collision.CONTACT_MM


def draw_angles(seed: tf.Tensor, n: int) -> tf.Tensor:
    """One round of `sample_angles`: (n, A) radians within the limits; parts may be inside each other."""
    seeds = tf.unstack(tf.random.split(seed, 6, alg="philox"))
    probabilities = tf.constant([list(_FAMILY_PROBABILITIES.values())])
    family = tf.one_hot(_categorical(seeds[0], n, probabilities), len(_FAMILIES))
    mcp_level, pip_level = _finger_levels(seeds[1], n, family)
    fingers = _finger_angles(seeds[2], mcp_level, pip_level, family)
    thumb = _thumb_angles(seeds[3], 0.5 * tf.reduce_mean(mcp_level + pip_level, axis=1))
    noise = tf.random.stateless_normal([n, 3], seeds[4], alg="philox")
    arch = 0.22 * tf.nn.relu(mcp_level[:, 0]) + 0.06 * tf.abs(noise[:, 0])
    wrist = tf.math.multiply([0.30, 0.14], noise[:, 1:])
    angles = tf.concat([wrist, arch[:, None], tf.reshape(fingers, [n, 16]), thumb], axis=1)
    angles = _with_pinches(seeds[5], angles, family[:, _FAMILIES.index("pinch")])
    return tf.clip_by_value(angles, anatomy.ANGLE_LIMITS[:, 0], anatomy.ANGLE_LIMITS[:, 1])


def _finger_levels(seed: tf.Tensor, n: int, family: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Levels of the MCP and PIP joints, (n, 4) both, in [0, 1]; an MCP's may be a little below."""
    seeds = tf.unstack(tf.random.split(seed, 6, alg="philox"))
    # Hands are more often open or closed than halfway: the arcsine law.
    shared = 0.5 - 0.5 * tf.cos(np.pi * tf.random.stateless_uniform([n, 2], seeds[0], alg="philox"))
    curl, other = shared[:, :1], shared[:, 1:]
    bent = tf.cast(tf.random.stateless_uniform([n, 4], seeds[1], alg="philox") < 0.5, tf.float32)
    count = 0.16 + 0.62 * bent
    free_mcp, free_pip = (_normal_to_uniform(_neighbor_noise(each, n)) for each in seeds[2:4])
    ones = tf.ones([n, 4])
    means = {
        "curl": (curl * ones, (0.75 * curl + 0.25 * other) * ones),
        "count": (count, 0.02 + 0.85 * bent),
        "hook": ((0.05 + 0.3 * other) * ones, (0.5 + 0.5 * curl) * ones),
        "flat": ((0.5 + 0.45 * curl) * ones, 0.25 * other * ones),
        "free": (free_mcp, 0.5 * (free_mcp + free_pip)),
        "pinch": ((0.1 + 0.5 * curl) * ones, (0.05 + 0.55 * curl) * ones),
        "spread": ((0.08 + 0.16 * curl) * ones, 0.12 * other * ones),
    }

    def levels(joint, lowest):
        mean = tf.add_n([family[:, i, None] * means[name][joint] for i, name in enumerate(_FAMILIES)])
        noisy = mean + _LEVEL_NOISE * _neighbor_noise(seeds[4 + joint], n)
        return tf.clip_by_value(noisy @ _ENSLAVING.T, lowest, 1.0)

    return levels(0, _LOWEST_MCP_LEVEL), levels(1, 0.0)


def _categorical(seed: tf.Tensor, n: int, probabilities: tf.Tensor) -> tf.Tensor:
    """Indices (n,) drawn with probabilities (n, K) or (1, K)."""
    place = tf.random.stateless_uniform([n, 1], seed, alg="philox")
    return tf.reduce_sum(tf.cast(place >= tf.cumsum(probabilities, axis=-1)[:, :-1], tf.int32), axis=1)


def _neighbor_noise(seed: tf.Tensor, n: int) -> tf.Tensor:
    """Standard normal (n, 4) whose neighbors correlate by `_NEIGHBOR_CORRELATION`."""
    distance = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    factor = np.linalg.cholesky(_NEIGHBOR_CORRELATION**distance).astype(np.float32)
    return tf.random.stateless_normal([n, 4], seed, alg="philox") @ factor.T


def _normal_to_uniform(normal: tf.Tensor) -> tf.Tensor:
    return 0.5 * (1.0 + tf.math.erf(normal / np.sqrt(2.0).astype(np.float32)))


def _finger_angles(seed: tf.Tensor, mcp_level: tf.Tensor, pip_level: tf.Tensor, family: tf.Tensor) -> tf.Tensor:
    """(n, 4, 4): MCP flexion, MCP deviation, PIP and DIP flexion of pinky, ring, middle, index."""
    n = mcp_level.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 4, alg="philox"))
    mcp = _MCP_RANGE[0] + mcp_level * (_MCP_RANGE[1] - _MCP_RANGE[0])
    pip = _PIP_RANGE[0] + pip_level * (_PIP_RANGE[1] - _PIP_RANGE[0])
    dip = _DIP_OF_PIP * pip + np.radians(_DIP_NOISE_DEGREES).astype(np.float32) * _neighbor_noise(seeds[0], n)
    spread = tf.random.stateless_normal([n, 1], seeds[1], alg="philox")
    is_spread = family[:, _FAMILIES.index("spread"), None]
    spread = (1.0 - is_spread) * tf.clip_by_value(0.9 * spread, -1.4, 2.0) + is_spread * (1.2 + 0.4 * tf.abs(spread))
    own = _OWN_DEVIATION_DEGREES * _neighbor_noise(seeds[2], n)
    sway = _SWAY_DEGREES * tf.random.stateless_normal([n, 1], seeds[3], alg="philox")
    # The collateral ligaments of a flexed MCP joint are tight.
    free = 1.0 - 0.7 * tf.clip_by_value(mcp / _MCP_RANGE[1], 0.0, 1.0)
    deviation = free * (np.pi / 180.0) * (spread * tf.constant(_SPREAD_DEGREES) + own + sway)
    return tf.stack([mcp, deviation, pip, dip], axis=-1)


def _thumb_angles(seed: tf.Tensor, curl: tf.Tensor) -> tf.Tensor:
    """(n, 5); the more the fingers are curled, the more often the thumb lies across them."""
    n = curl.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 3, alg="philox"))
    across = 0.25 + 0.4 * curl
    probabilities = tf.stack([0.5 * (1.0 - across), 0.5 * (1.0 - across), across], axis=-1)
    mode = _categorical(seeds[0], n, probabilities)
    lows = np.radians([np.degrees(anatomy.ANGLE_LIMITS[anatomy.THUMB_ANGLES, 0]), _THUMB_OUT[0], _THUMB_ACROSS[0]])
    highs = np.radians([np.degrees(anatomy.ANGLE_LIMITS[anatomy.THUMB_ANGLES, 1]), _THUMB_OUT[1], _THUMB_ACROSS[1]])
    low, high = (tf.gather(values.astype(np.float32), mode) for values in (lows, highs))
    place = tf.random.stateless_uniform([n, 5], seeds[1], alg="philox")
    # One tendon bends both outer joints, but the muscles of the thumb's ball bend the inner one alone.
    ip = 0.25 * place[:, 2] + 0.75 * place[:, 4]
    place = tf.concat([place[:, :4], ip[:, None]], axis=1)
    return low + place * (high - low)


def _with_pinches(seed: tf.Tensor, angles: tf.Tensor, is_pinch: tf.Tensor) -> tf.Tensor:
    """Sets the thumb and one finger of the hands that pinch (is_pinch 1, else 0) so that their tips meet, about."""
    n = angles.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 2, alg="philox"))
    finger = _categorical(seeds[0], n, tf.constant([[0.15, 0.15, 0.25, 0.45]]))
    columns = np.concatenate([np.full((4, 1), anatomy.PALM_ARCH), anatomy.FINGER_ANGLES], axis=1)
    thumbs = np.tile(anatomy.THUMB_ANGLES, (4, 1))
    columns = np.concatenate([columns, thumbs], axis=1)
    chosen = np.zeros([4, anatomy.NUM_ANGLES], np.float32)
    values = np.zeros([4, anatomy.NUM_ANGLES], np.float32)
    np.put_along_axis(chosen, columns, 1.0, axis=1)
    np.put_along_axis(values, columns, _PINCHES, axis=1)
    noise = np.radians(4.0).astype(np.float32) * tf.random.stateless_normal(angles.shape, seeds[1], alg="philox")
    mask = tf.gather(chosen, finger) * is_pinch[:, None]
    return angles * (1.0 - mask) + mask * (tf.gather(values, finger) + noise)
