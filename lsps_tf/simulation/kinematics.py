"""Forward kinematics of the right hand: joint angles and a shape to joints and spheres in camera space."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from lsps_tf.simulation import anatomy, surface
from lsps_tf.simulation.rotations import axis_rotation
from lsps_tf.simulation.shape import HandShape

_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
# The axes of the thumb's saddle joint are neither perpendicular nor fixed in one bone (Hollister et al., "The axes of
# rotation of the thumb carpometacarpal joint", 1992): flexion turns about the trapezium's x, abduction about an axis
# of the metacarpal that leans by 15 degrees.
_THUMB_ABDUCTION_AXIS = (0.0, 0.25881905, 0.96592583)


class HandState(NamedTuple):
    """Posed hands in camera space: joints_mm (B, 36, 3) in NYU's order, centers_mm (B, S, 3) and radii_mm (B, S)."""

    joints_mm: tf.Tensor
    centers_mm: tf.Tensor
    radii_mm: tf.Tensor


def pose_hand(angles: tf.Tensor, rotation: tf.Tensor, translation_mm: tf.Tensor, shape: HandShape) -> HandState:
    """Poses hands; differentiable in every argument.

    Args:
        angles: (B, A) radians in the order of `anatomy.ANGLE_NAMES`.
        rotation: (B, 3, 3) from the palm frame (see `anatomy`) to camera space.
        translation_mm: (B, 3) camera-space position of the palm's center.
        shape: shapes of B hands, or one shape for all.

    Returns:
        HandState in camera space (x right, y down, z forward); radii broadcast to (B, S).
    """
    rotations, origins = body_frames(angles, shape)
    joints = _attached_points(rotations, origins, surface.JOINT_BODIES, shape.joint_offsets_mm)
    centers = _attached_points(rotations, origins, surface.SPHERE_BODIES, shape.sphere_offsets_mm)
    radii = tf.broadcast_to(shape.radii_mm, tf.shape(centers)[:2])
    return HandState(_to_camera(joints, rotation, translation_mm), _to_camera(centers, rotation, translation_mm), radii)


def body_frames(angles: tf.Tensor, shape: HandShape) -> tuple[tf.Tensor, tf.Tensor]:
    """Frames of the hand's rigid bodies in the palm frame.

    Args:
        angles: (B, A) radians.
        shape: HandShape of B or 1 hands.

    Returns:
        rotations (B, N, 3, 3) and origins_mm (B, N, 3), N = `anatomy.NUM_BODIES`.
    """
    batch = tf.shape(angles)[0]
    palm = tf.eye(3, batch_shape=[batch])
    forearm = _forearm_rotation(angles)
    metacarpals, metacarpal_origins = _metacarpal_frames(angles, shape)
    bones, bone_origins = _digit_frames(angles, metacarpals, metacarpal_origins, shape)
    wrist = tf.broadcast_to(shape.wrist_mm, [batch, 3])
    rotations = [tf.stack([palm, forearm], axis=1), metacarpals, bones]
    origins = [tf.stack([tf.zeros_like(wrist), wrist], axis=1), metacarpal_origins, bone_origins]
    return tf.concat(rotations, axis=1), tf.concat(origins, axis=1)


def _forearm_rotation(angles: tf.Tensor) -> tf.Tensor:
    flexion = axis_rotation(_X, angles[:, anatomy.WRIST_FLEXION])
    deviation = axis_rotation(_Z, angles[:, anatomy.WRIST_DEVIATION])
    # The angles turn the hand on the forearm; seen from the palm the forearm turns the other way.
    return tf.linalg.matrix_transpose(flexion @ deviation)


def _metacarpal_frames(angles: tf.Tensor, shape: HandShape) -> tuple[tf.Tensor, tf.Tensor]:
    """Ring and pinky metacarpals (B, 2, 3, 3) and their pivots (B, 2, 3): they flex as the palm is cupped."""
    arch = angles[:, anatomy.PALM_ARCH]
    shares = tf.constant([anatomy.RING_ARCH_SHARE, 1.0])
    rotations = axis_rotation(_X, arch[:, None] * shares)
    return rotations, tf.broadcast_to(shape.metacarpal_pivots_mm, [tf.shape(angles)[0], 2, 3])


def _digit_frames(
    angles: tf.Tensor, metacarpals: tf.Tensor, pivots: tf.Tensor, shape: HandShape
) -> tuple[tf.Tensor, tf.Tensor]:
    """Frames of the 15 bones, pinky to thumb, proximal to distal: (B, 15, 3, 3) and (B, 15, 3)."""
    batch = tf.shape(angles)[0]
    base = tf.broadcast_to(shape.base_rotations, [batch, anatomy.NUM_DIGITS, 3, 3])
    origin = tf.broadcast_to(shape.base_mm, [batch, anatomy.NUM_DIGITS, 3])
    # Pinky and ring stand on their metacarpals, in reverse order of the bodies; the others stand on the palm.
    moved = tf.concat([metacarpals[:, ::-1], tf.eye(3, batch_shape=[batch, 3])], axis=1)
    pivot = tf.concat([pivots[:, ::-1], origin[:, 2:]], axis=1)
    origin = pivot + tf.linalg.matvec(moved, origin - pivot)

    rotations, origins = [moved @ base @ _first_joint(angles)], [origin]
    for bone, joint in enumerate(_outer_joints(angles)):
        along = shape.bone_lengths_mm[..., bone, None] * tf.constant([0.0, -1.0, 0.0])
        origins.append(origins[-1] + tf.linalg.matvec(rotations[-1], along))
        rotations.append(rotations[-1] @ joint)
    count = 3 * anatomy.NUM_DIGITS
    return (
        tf.reshape(tf.stack(rotations, axis=2), [batch, count, 3, 3]),
        tf.reshape(tf.stack(origins, axis=2), [batch, count, 3]),
    )


def _first_joint(angles: tf.Tensor) -> tf.Tensor:
    """Rotation of each digit's first joint (B, 5, 3, 3): MCP of the fingers, CMC of the thumb."""
    flexion = tf.gather(angles, anatomy.FINGER_ANGLES[:, 0], axis=1)
    deviation = tf.gather(angles, anatomy.FINGER_ANGLES[:, 1], axis=1)
    fingers = axis_rotation(_X, flexion) @ axis_rotation(_Z, deviation)
    cmc_flexion, cmc_abduction = angles[:, anatomy.THUMB_ANGLES[0]], angles[:, anatomy.THUMB_ANGLES[1]]
    saddle = axis_rotation(_X, cmc_flexion) @ axis_rotation(_THUMB_ABDUCTION_AXIS, cmc_abduction)
    # Ligaments turn the metacarpal about itself as it moves towards opposition.
    axial = axis_rotation(_Y, anatomy.THUMB_AXIAL_SHARE * (cmc_flexion + cmc_abduction))
    return tf.concat([fingers, (saddle @ axial)[:, None]], axis=1)


def _outer_joints(angles: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Rotations of the second and third joint of each digit, (B, 5, 3, 3) both."""
    thumb = anatomy.THUMB_ANGLES
    second = tf.gather(angles, [*anatomy.FINGER_ANGLES[:, 2], thumb[2]], axis=1)
    third = tf.gather(angles, [*anatomy.FINGER_ANGLES[:, 3], thumb[4]], axis=1)
    sideways = tf.pad(angles[:, thumb[3], None], [[0, 0], [anatomy.NUM_DIGITS - 1, 0]])
    return axis_rotation(_X, second) @ axis_rotation(_Z, sideways), axis_rotation(_X, third)


def _attached_points(rotations: tf.Tensor, origins: tf.Tensor, bodies, offsets_mm: tf.Tensor) -> tf.Tensor:
    """Points (B, P, 3) in the palm frame from their offsets in the frames of their bodies."""
    return tf.gather(origins, bodies, axis=1) + tf.linalg.matvec(tf.gather(rotations, bodies, axis=1), offsets_mm)


def _to_camera(points: tf.Tensor, rotation: tf.Tensor, translation_mm: tf.Tensor) -> tf.Tensor:
    return tf.matmul(points, rotation, transpose_b=True) + translation_mm[:, None]
