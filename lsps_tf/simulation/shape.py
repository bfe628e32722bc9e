"""Hand shapes: a few numbers per subject (size, proportions, thickness) to bone lengths and sphere radii."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf.simulation import anatomy, surface
from lsps_tf.skeleton import FINGERS

# Name and standard deviation of the logarithm. Hand length varies by 6 % among adults of both sexes. Breadth, thickness
# and single fingers vary by some more (Garrett, "The adult human hand: some anthropometric and biomechanical
# considerations", 1971). Here the size carries what all have in common.
SHAPE_PARAMETERS = (
    ("size", 0.06),
    ("palm_width", 0.035),
    ("palm_length", 0.03),
    ("palm_thickness", 0.05),
    ("finger_length", 0.03),
    *((f"{finger}_length", 0.03) for finger in FINGERS),
    ("middle_phalanx", 0.035),
    ("distal_phalanx", 0.04),
    ("finger_thickness", 0.05),
    ("fingertip_taper", 0.03),
    ("thenar_thickness", 0.05),
    ("forearm_thickness", 0.07),
)
NUM_SHAPE_PARAMETERS = len(SHAPE_PARAMETERS)
_SIGMAS = np.array([sigma for _, sigma in SHAPE_PARAMETERS], np.float32)

# Lengths of the three bones per digit, pinky to thumb, the last one to the center of the tip's sphere. Means of
# Buryanov, Kotiuk, "Proportions of hand segments", 2010; the tip's soft tissue added, the sphere's radius taken off.
_BONE_LENGTHS_MM = np.array(
    [[33.0, 18.5, 15.0], [41.5, 25.5, 16.5], [44.5, 27.0, 17.0], [40.0, 23.5, 16.0], [45.0, 32.5, 22.5]], np.float32
)
# First joint of each digit (MCP, the thumb's CMC), bases of the ring and pinky metacarpals, and the wrist: palm frame.
_BASES_MM = np.array(
    [[-30.5, -26.5, -10.5], [-15.0, -38.0, -6.0], [3.0, -44.0, -3.0], [22.0, -40.5, -2.0], [12.5, 24.0, -19.0]],
    np.float32,
)
_METACARPAL_PIVOTS_MM = np.array([[-5.0, 19.0, -4.0], [-13.5, 22.0, -6.0]], np.float32)
_WRIST_MM = np.array([0.0, 43.0, -5.0], np.float32)
# Neutral directions of the fingers, pinky to index: towards the little finger's side, and the roll that lets the
# flexing fingers converge (degrees).
_FINGER_FAN = (20.0, 9.0, 2.0, -5.0)
_FINGER_ROLL = (14.0, 9.0, 4.0, 0.0)
# The thumb's metacarpal in the middle of its range: flexion axis, and the bone's direction (palm frame).
_THUMB_FLEXION_AXIS = np.array([0.19, 0.44, -0.88])
_THUMB_DIRECTION = np.array([0.63, -0.74, -0.24])
_LAST_SIGMA = 2.0  # subjects further out are not drawn


class HandShape(NamedTuple):
    """Shapes of B hands (B may be 1 and broadcasts), float32, mm.

    Attributes:
        base_mm: (B, 5, 3) first joint of each digit in the palm frame, pinky to thumb.
        base_rotations: (B, 5, 3, 3) neutral orientation of each digit's first bone in the palm frame.
        bone_lengths_mm: (B, 5, 3) proximal to distal.
        metacarpal_pivots_mm: (B, 2, 3) where the ring and the pinky metacarpal turn when the palm is cupped.
        wrist_mm: (B, 3) the wrist's center of rotation in the palm frame.
        joint_offsets_mm: (B, 36, 3) NYU's joints in the frames of their bodies (`surface.JOINT_BODIES`).
        sphere_offsets_mm: (B, S, 3) spheres in the frames of their bodies (`surface.SPHERE_BODIES`).
        radii_mm: (B, S).
    """

    base_mm: tf.Tensor
    base_rotations: tf.Tensor
    bone_lengths_mm: tf.Tensor
    metacarpal_pivots_mm: tf.Tensor
    wrist_mm: tf.Tensor
    joint_offsets_mm: tf.Tensor
    sphere_offsets_mm: tf.Tensor
    radii_mm: tf.Tensor


def canonical_shape() -> HandShape:
    """The average adult right hand, batch of one: the one hand of the synthetic domain."""
    return shape_from_parameters(tf.zeros([1, NUM_SHAPE_PARAMETERS]))


def sample_shape(seed: tf.Tensor, n: int) -> HandShape:
    """Shapes of n random subjects; `seed` is an int32 tensor (2,)."""
    return shape_from_parameters(sample_shape_parameters(seed, n))


def sample_shape_parameters(seed: tf.Tensor, n: int) -> tf.Tensor:
    """Parameters (n, P) of random subjects in standard deviations, normal and cut at two."""
    return tf.random.stateless_truncated_normal([n, NUM_SHAPE_PARAMETERS], seed, alg="philox") * (_LAST_SIGMA / 2.0)


def subject_shape(subject_ids) -> HandShape:
    """Shapes of known subjects: the same number is the same hand in every run.

    Args:
        subject_ids: integer, or integers (B,).

    Returns:
        HandShape of B subjects (1 for a single number).
    """
    ids = tf.reshape(tf.cast(subject_ids, tf.int32), [-1])
    rows = tf.map_fn(
        lambda subject: sample_shape_parameters(tf.stack([subject, 0x4A2D]), 1)[0], ids, fn_output_signature=tf.float32
    )
    return shape_from_parameters(rows)


def shape_from_parameters(parameters: tf.Tensor) -> HandShape:
    """Hand shapes of parameters, differentiable.

    Args:
        parameters: (B, P) in standard deviations, in the order of `SHAPE_PARAMETERS`; zero is the average hand.

    Returns:
        HandShape of B hands.
    """
    scale = _scales(parameters)
    size, batch = scale["size"], tf.shape(parameters)[0]
    widths = [scale[name] for name in ("palm_width", "palm_length", "palm_thickness")]
    palm = size[:, None] * tf.stack(widths, axis=-1)
    lengths = _bone_lengths(scale)
    base = _BASES_MM * palm[:, None]
    pivots = _METACARPAL_PIVOTS_MM * palm[:, None]
    scales = _body_scales(palm, scale)
    origins = tf.concat([tf.zeros([batch, 2, 3]), pivots, tf.zeros([batch, 3 * anatomy.NUM_DIGITS, 3])], axis=1)
    rotations = tf.tile(tf.constant(_base_rotations())[None], [batch, 1, 1, 1])
    return HandShape(
        base_mm=base,
        base_rotations=rotations,
        bone_lengths_mm=lengths,
        metacarpal_pivots_mm=pivots,
        wrist_mm=_WRIST_MM * palm,
        joint_offsets_mm=_offsets(surface.JOINTS, scales, origins, lengths),
        sphere_offsets_mm=_offsets(surface.SPHERES, scales, origins, lengths),
        radii_mm=_radii(scale),
    )


def _scales(parameters: tf.Tensor) -> dict[str, tf.Tensor]:
    """Factor (B,) per parameter, 1 for the average hand."""
    factors = tf.unstack(tf.exp(parameters * _SIGMAS), num=NUM_SHAPE_PARAMETERS, axis=-1)
    return {name: factor for (name, _), factor in zip(SHAPE_PARAMETERS, factors)}


def _bone_lengths(scale: dict[str, tf.Tensor]) -> tf.Tensor:
    """(B, 5, 3) in mm."""
    digits = tf.stack([scale[f"{finger}_length"] for finger in FINGERS], axis=-1)
    digits *= (scale["size"] * scale["finger_length"])[:, None]
    phalanges = [tf.ones_like(scale["size"]), scale["middle_phalanx"], scale["distal_phalanx"]]
    return _BONE_LENGTHS_MM * digits[:, :, None] * tf.stack(phalanges, axis=-1)[:, None]


def _body_scales(palm: tf.Tensor, scale: dict[str, tf.Tensor]) -> tf.Tensor:
    """(B, N, 3): how the positions fastened to each body grow, per axis."""
    size = scale["size"]
    forearm = tf.stack([size * scale["forearm_thickness"], size, size * scale["forearm_thickness"]], axis=-1)
    digits = tf.repeat(size[:, None, None] * tf.ones([3]), 3 * anatomy.NUM_DIGITS, axis=1)
    return tf.concat([tf.stack([palm, forearm, palm, palm], axis=1), digits], axis=1)


def _offsets(
    points: tuple[surface.Attachment, ...], scales: tf.Tensor, origins: tf.Tensor, lengths: tf.Tensor
) -> tf.Tensor:
    """Offsets (B, P, 3) of attachments in the frames of their bodies."""
    bodies = np.array([point.body for point in points])
    positions = np.array([point.position_mm for point in points], np.float32)
    along = np.array([[0.0, -point.along, 0.0] for point in points], np.float32)
    bones = tf.reshape(lengths, [-1, 3 * anatomy.NUM_DIGITS])
    bone = tf.gather(bones, np.maximum(bodies - 4, 0), axis=1)
    return positions * tf.gather(scales, bodies, axis=1) - tf.gather(origins, bodies, axis=1) + along * bone[..., None]


def _radii(scale: dict[str, tf.Tensor]) -> tf.Tensor:
    """(B, S) in mm."""
    finger = scale["finger_thickness"]
    groups = {
        "palm": scale["palm_thickness"],
        "finger": finger,
        "fingertip": finger * scale["fingertip_taper"],
        "thenar": scale["thenar_thickness"],
        "forearm": scale["forearm_thickness"],
    }
    thickness = tf.stack([groups[name] for name in surface.THICKNESSES], axis=-1)
    chosen = tf.gather(thickness, [surface.THICKNESSES.index(sphere.thickness) for sphere in surface.SPHERES], axis=1)
    return np.array([sphere.radius_mm for sphere in surface.SPHERES], np.float32) * chosen * scale["size"][:, None]


def _base_rotations() -> np.ndarray:
    """(5, 3, 3): columns are the neutral axes of the digits' first bones in the palm frame."""
    rotations = []
    for fan, roll in zip(np.radians(_FINGER_FAN), np.radians(_FINGER_ROLL)):
        turn = np.array([[np.cos(fan), np.sin(fan), 0.0], [-np.sin(fan), np.cos(fan), 0.0], [0.0, 0.0, 1.0]])
        lean = np.array([[np.cos(roll), 0.0, -np.sin(roll)], [0.0, 1.0, 0.0], [np.sin(roll), 0.0, np.cos(roll)]])
        rotations.append(turn @ lean)
    y_axis = -_THUMB_DIRECTION / np.linalg.norm(_THUMB_DIRECTION)
    x_axis = _THUMB_FLEXION_AXIS - y_axis * (_THUMB_FLEXION_AXIS @ y_axis)
    x_axis /= np.linalg.norm(x_axis)
    rotations.append(np.stack([x_axis, y_axis, np.cross(x_axis, y_axis)], axis=-1))
    return np.stack(rotations).astype(np.float32)
