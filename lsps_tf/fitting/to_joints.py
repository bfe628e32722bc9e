"""Fits the kinematic hand to joint labels: a pose per frame and one shape for all of them, by gradient descent."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow import keras

from lsps_tf.simulation import anatomy, surface
from lsps_tf.simulation.kinematics import pose_hand
from lsps_tf.simulation.rotations import rotation_from_6d
from lsps_tf.simulation.shape import NUM_SHAPE_PARAMETERS, canonical_shape, shape_from_parameters

# Adam's first step: radians, standard deviations of the shape and, times the factor, mm.
_STEP = 0.1
_MM_PER_UNIT = 20.0
# Penalties beside the mean squared distance in mm². Of limits: per squared radian beyond one. Of rest: per squared
# radian, which keeps angles at rest that no joint shows. Of the shape: per squared standard deviation.
_LIMIT_WEIGHT = 2000.0
_REST_WEIGHT = 0.005
_SHAPE_WEIGHT = 0.005
_LOW, _HIGH = anatomy.ANGLE_LIMITS.T
# Fingers a little bent, from where every gesture is near.
START_ANGLES = 0.15 * (_LOW + _HIGH)
# What hardly moves as the fingers do: joints on the palm and on the digits' first bones.
_ROOT_BODIES = (anatomy.PALM, *(anatomy.bone_body(finger, 0) for finger in surface.FINGERS))


class HandFit(NamedTuple):
    """Hands fitted to N frames, NumPy.

    Attributes:
        angles: [N, A] radians within `anatomy.ANGLE_LIMITS`, in the order of `anatomy.ANGLE_NAMES`.
        rotation: [N, 3, 3] from the palm frame to camera space.
        translation_mm: [N, 3] camera space.
        shape_parameters: [1, P] in standard deviations, for `shape.shape_from_parameters`.
        joints_mm: [N, J, 3] the joints of the fitted hands, camera space.
    """

    angles: np.ndarray
    rotation: np.ndarray
    translation_mm: np.ndarray
    shape_parameters: np.ndarray
    joints_mm: np.ndarray


def fit_hand(
    joints_mm: np.ndarray,
    joints: Sequence[int] = tuple(range(36)),
    shape_parameters: np.ndarray | None = None,
    steps: int = 400,
    limited: bool = True,
) -> HandFit:
    """Fits right hands of one subject to their joints, by least squares within the anatomical limits.

    Args:
        joints_mm: [N, J, 3] camera space, mm; a left hand has to be mirrored.
        joints: which of NYU's 36 joints the J are.
        shape_parameters: [1, P] a known shape, which is kept; None fits one shape to all frames.
        steps: of Adam, whose step falls to zero by a cosine; 400 are enough from any start.
        limited: whether the limits hold; without them the fit says which angles the joints ask for.

    Returns:
        HandFit; angles are clipped to limits that hold, and its joints are those of the clipped angles.

    Raises:
        ValueError: where the shapes do not fit each other or a joint is not finite.
    """
    target_mm = np.asarray(joints_mm, np.float32)
    if target_mm.ndim != 3 or target_mm.shape[1:] != (len(joints), 3) or not len(target_mm):
        raise ValueError(f"joints [N, {len(joints)}, 3] are needed, not {target_mm.shape}")
    if not np.isfinite(target_mm).all():
        raise ValueError("a joint is not finite; frames without labels have to be left out")
    hand = _FreeHand(target_mm, tuple(joints), shape_parameters, limited)
    schedule = keras.optimizers.schedules.CosineDecay(_STEP, steps)
    optimizer = keras.optimizers.legacy.Adam(schedule)
    variables = hand.free_variables

    @tf.function
    def step() -> None:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss = hand.loss()
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    for _ in range(steps):
        step()
    return hand.result()


class _FreeHand(tf.Module):
    """The variables of a fit and its loss."""

    def __init__(
        self, target_mm: np.ndarray, joints: tuple[int, ...], shape_parameters: np.ndarray | None, limited: bool
    ):
        super().__init__()
        count = len(target_mm)
        self._limit_weight = _LIMIT_WEIGHT if limited else 0.0
        self._target_mm, self._joints = tf.constant(target_mm), joints
        rotation, translation_mm = start_motion(target_mm, joints)
        self.angles = tf.Variable(np.tile(START_ANGLES, (count, 1)))
        self.columns = tf.Variable(np.concatenate([rotation[:, :, 0], rotation[:, :, 1]], axis=1).astype(np.float32))
        self.place = tf.Variable((translation_mm / _MM_PER_UNIT).astype(np.float32))
        known = shape_parameters is not None
        start = shape_parameters if known else np.zeros([1, NUM_SHAPE_PARAMETERS])
        self.shape = tf.Variable(np.asarray(start, np.float32), trainable=not known)

    @property
    def free_variables(self) -> list[tf.Variable]:
        return list(self.trainable_variables)

    def posed(self, angles: tf.Tensor) -> tf.Tensor:
        """Joints [N, J, 3] in camera space, mm."""
        rotation = rotation_from_6d(self.columns)
        hand = pose_hand(angles, rotation, self.place * _MM_PER_UNIT, shape_from_parameters(self.shape))
        return tf.gather(hand.joints_mm, self._joints, axis=1)

    def loss(self) -> tf.Tensor:
        """Summed over the frames, so that a frame's step does not depend on how many there are."""
        squared = tf.reduce_sum((self.posed(self.angles) - self._target_mm) ** 2, axis=-1)
        beyond = tf.nn.relu(self.angles - _HIGH) + tf.nn.relu(_LOW - self.angles)
        frames = tf.reduce_mean(squared, axis=1)
        frames += self._limit_weight * tf.reduce_sum(beyond**2, axis=1) + _REST_WEIGHT * tf.reduce_sum(
            self.angles**2, axis=1
        )
        return tf.reduce_sum(frames + _SHAPE_WEIGHT * tf.reduce_sum(self.shape**2))

    def result(self) -> HandFit:
        angles = tf.clip_by_value(self.angles, _LOW, _HIGH) if self._limit_weight else tf.identity(self.angles)
        found = (angles, rotation_from_6d(self.columns), self.place * _MM_PER_UNIT, self.shape, self.posed(angles))
        return HandFit(*(value.numpy() for value in found))


def start_motion(target_mm: np.ndarray, joints: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Where the average hand's palm lies best on the labels' palms."""
    roots = [place for place, joint in enumerate(joints) if surface.JOINT_BODIES[joint] in _ROOT_BODIES]
    return rigid_motion(_average_joints_mm()[[joints[root] for root in roots]], target_mm[:, roots])


@functools.lru_cache(maxsize=1)
def _average_joints_mm() -> np.ndarray:
    """The 36 joints of the average hand in the palm frame, fingers a little bent."""
    return pose_hand(START_ANGLES[None], tf.eye(3)[None], tf.zeros([1, 3]), canonical_shape()).joints_mm[0].numpy()


def rigid_motion(points: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The motions that bring points nearest to their targets by least squares, never a reflection (Kabsch, 1976).

    Args:
        points: [K, 3].
        targets: [N, K, 3].

    Returns:
        rotation [N, 3, 3] and translation [N, 3]: target = rotation @ point + translation, about.
    """
    points, targets = np.asarray(points, np.float64), np.asarray(targets, np.float64)
    middle, target_middle = points.mean(axis=0), targets.mean(axis=1)
    covariance = np.einsum("ki,nkj->nij", points - middle, targets - target_middle[:, None])
    left, _, right = np.linalg.svd(covariance)
    flip = np.ones((len(targets), 3))
    flip[:, 2] = np.sign(np.linalg.det(left @ right))
    rotation = np.transpose(right, (0, 2, 1)) @ (flip[:, :, None] * np.transpose(left, (0, 2, 1)))
    return rotation, target_middle - rotation @ middle


def nearest_poses(queries_mm: np.ndarray, poses_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pose nearest to each query by mean joint distance.

    Args:
        queries_mm: [N, J, 3], in the frame of the poses; the palm's for what a hand does wherever it is.
        poses_mm: [M, J, 3].

    Returns:
        Indices [N] into the poses and mean joint distances [N] in mm.
    """
    poses_mm = np.asarray(poses_mm, np.float32)
    indices, distances = [], []
    for query_mm in np.asarray(queries_mm, np.float32):
        distance_mm = np.linalg.norm(poses_mm - query_mm, axis=-1).mean(axis=-1)
        indices.append(int(distance_mm.argmin()))
        distances.append(float(distance_mm[indices[-1]]))
    return np.array(indices), np.array(distances)


def to_palm_frame(joints_mm: np.ndarray, fit: HandFit) -> np.ndarray:
    """Joints [N, J, 3] of the fitted frames from camera space to their palm frames, mm."""
    return (np.asarray(joints_mm) - fit.translation_mm[:, None]) @ fit.rotation
