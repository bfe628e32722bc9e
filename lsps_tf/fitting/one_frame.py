"""Fits the hand to one depth image at once: what `to_depth` asks of many images, by Levenberg and Marquardt's method.

A step takes the derivatives of all distances from a batch of hands that differ in one number each. A dozen steps are
enough where Adam needs hundreds, so that one image takes some 50 ms of one core.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf.fitting import explanation, foreground, observation, to_joints
from lsps_tf.fitting.to_depth import MM_PER_UNIT, PRIOR_ROBUST_MM, WEIGHTS
from lsps_tf.simulation import anatomy
from lsps_tf.simulation.kinematics import HandState, pose_hand
from lsps_tf.simulation.rotations import rotation_from_vector
from lsps_tf.simulation.shape import NUM_SHAPE_PARAMETERS, shape_from_parameters

_POINTS = 120
_FOLLOW_STEPS, _EXPLAIN_STEPS = 5, 9
# One image shows how large a hand is, and hardly more of its shape: the first parameter alone is free.
_FREE_SHAPE = 1
_A = anatomy.NUM_ANGLES
_NUMBERS = _A + 6 + _FREE_SHAPE
# Differences are taken over: radians of angles and of the rotation, units of the place, standard deviations.
_DIFFERENCE = np.concatenate([np.full(_A, 0.02), np.full(3, 0.01), np.full(3, 0.025), np.full(_FREE_SHAPE, 0.2)])
_START_DAMPING = 0.03
_LOW, _HIGH = anatomy.ANGLE_LIMITS.T


class OneFit(NamedTuple):
    """joints_mm [J, 3] in camera space, and residual_mm, the root of the mean robust squares of what is unexplained."""

    joints_mm: np.ndarray
    residual_mm: float


class OneFrameFitter(tf.Module):
    """Fits right hands to images, one at a time; its graphs are traced once.

    Attributes:
        image_size: pixels of the images' side.
    """

    image_size = observation.SIZE

    def __init__(self, joints: Sequence[int], shape_weight: float = 0.5):
        """Args: joints: which of NYU's 36 joints the predictions and results are. shape_weight: as of `FitSettings`."""
        super().__init__()
        self._joints, self._shape_weight = tuple(joints), shape_weight
        size, float32 = observation.SIZE, tf.float32
        hand = [tf.TensorSpec([None, _NUMBERS], float32), tf.TensorSpec([3, 3], float32)]
        seen = {
            "depth_mm": tf.TensorSpec([1, size, size], float32),
            "outside_mm": tf.TensorSpec([1, size, size], float32),
            "intrinsics": tf.TensorSpec([1, 4], float32),
            "points_mm": tf.TensorSpec([1, _POINTS, 3], float32),
            "origin_mm": tf.TensorSpec([1, 1, 3], float32),
        }
        self._joints_of = tf.function(self._build_joints, hand)
        self._distances = tf.function(self._build_distances, [*hand, seen])
        points = tf.TensorSpec([1, None, 3], float32)
        self._from_surface = tf.function(self._build_from_surface, [*hand, points, seen["origin_mm"]])

    def fit(
        self, image: np.ndarray, center_mm: np.ndarray, cube_mm: float, predicted_mm: np.ndarray, seed: int = 0
    ) -> OneFit:
        """Fits one right hand.

        Args:
            image: [SIZE, SIZE] in [-1, 1], 1 = background, as the networks see it.
            center_mm: [3] camera space, of the crop.
            cube_mm: of the crop.
            predicted_mm: [J, 3] camera space, where the fit starts.
            seed: of the choice of points.
        """
        center_mm, cube_mm = np.asarray(center_mm, np.float32)[None], np.array([cube_mm], np.float32)
        predicted_mm = np.asarray(predicted_mm, np.float32)
        rotations, places_mm = to_joints.start_motion(predicted_mm[None], self._joints)
        rotation = rotations[0].astype(np.float32)
        numbers = np.zeros(_NUMBERS)
        numbers[:_A], numbers[_A + 3 : _A + 6] = to_joints.START_ANGLES, places_mm[0] / MM_PER_UNIT

        def follow(hands: np.ndarray) -> list[_Part]:
            joints_mm = self._joints_of(hands, rotation).numpy()
            return [_prior(joints_mm, predicted_mm, None), *_limits(hands), _Part(hands[:, :_A], 0.005, None)]

        numbers = _descend(follow, numbers, _FOLLOW_STEPS)
        seen = self._attended(image, center_mm, cube_mm, numbers, rotation, seed)

        def explain(hands: np.ndarray) -> list[_Part]:
            joints_mm, distances_mm, inside_mm = self._distances(hands, rotation, seen)
            parts = [_Part(each.numpy(), 1.0 / each.shape[1], explanation.ROBUST_MM) for each in distances_mm]
            parts += [_Part(inside_mm.numpy(), WEIGHTS["collision"], None), *_limits(hands)]
            parts += [_prior(joints_mm.numpy(), predicted_mm, PRIOR_ROBUST_MM)]
            return [*parts, _Part(hands[:, -_FREE_SHAPE:], self._shape_weight, None)]

        numbers = _descend(explain, numbers, _EXPLAIN_STEPS)
        numbers[:_A] = np.clip(numbers[:_A], _LOW, _HIGH)
        last = numbers[None].astype(np.float32)
        unexplained = sum(part.costs()[0] for part in explain(last)[:3])
        return OneFit(self._joints_of(last, rotation).numpy()[0], float(np.sqrt(unexplained)))

    def _attended(self, image, center_mm, cube_mm, numbers, rotation, seed: int) -> dict[str, tf.Tensor]:
        measured = observation.measure(np.asarray(image, np.float32)[None], center_mm, cube_mm)
        points_mm = observation.measured_points(measured)
        shown = measured["depth_mm"] < observation.NOTHING_MM
        every_second = points_mm[:, ::2, ::2].reshape(1, -1, 3)
        hand = numbers[None].astype(np.float32)
        distance_mm, joints_mm = self._from_surface(hand, rotation, every_second, measured["origin_mm"])
        half = observation.SIZE // 2
        distance_mm = distance_mm.numpy().reshape(1, half, half).repeat(2, axis=1).repeat(2, axis=2)
        can_be = foreground.can_be_hand(points_mm, shown, distance_mm, joints_mm.numpy(), seed)
        attended = observation.attend(points_mm, shown, can_be, cube_mm, _POINTS, seed)
        return {name: tf.constant(value, tf.float32) for name, value in {**measured, **attended}.items()}

    def _build_hands(self, numbers: tf.Tensor, rotation: tf.Tensor) -> HandState:
        angles, turn, place, size = tf.split(numbers, [_A, 3, 3, _FREE_SHAPE], axis=1)
        shape = tf.pad(size, [[0, 0], [0, NUM_SHAPE_PARAMETERS - _FREE_SHAPE]])
        turned = tf.matmul(rotation_from_vector(turn), rotation)
        return pose_hand(angles, turned, place * MM_PER_UNIT, shape_from_parameters(shape))

    def _build_joints(self, numbers: tf.Tensor, rotation: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._build_hands(numbers, rotation).joints_mm, self._joints, axis=1)

    def _build_distances(self, numbers: tf.Tensor, rotation: tf.Tensor, seen: explanation.Seen):
        hands = self._build_hands(numbers, rotation)
        each = {name: tf.repeat(value, tf.shape(numbers)[0], axis=0) for name, value in seen.items()}
        distances_mm = list(explanation.unexplained_mm(hands, each).values())
        joints_mm = tf.gather(hands.joints_mm, self._joints, axis=1)
        return joints_mm, distances_mm, explanation.inside_mm(hands)

    def _build_from_surface(self, numbers: tf.Tensor, rotation: tf.Tensor, points_mm: tf.Tensor, origin_mm: tf.Tensor):
        hand = self._build_hands(numbers, rotation)
        return explanation.distance_mm(points_mm, hand, origin_mm), hand.joints_mm - origin_mm


class _Part(NamedTuple):
    """Distances [K, R] of K hands, the weight of their squares, and from where on they hardly pull (None: they do)."""

    distances: np.ndarray
    weight: float
    robust: float | None
    # Whether all distances of a hand are left behind together, by their mean square.
    together: bool = False

    def costs(self) -> np.ndarray:
        """Per hand [K] the weighted sum of the robust squares."""
        squares = self.distances**2
        if self.together:
            squares = np.sum(squares, axis=1, keepdims=True)
        if self.robust is not None:
            squares = squares / (1.0 + squares / self.robust**2)
        return self.weight * np.sum(squares, axis=1)

    def weights(self) -> np.ndarray:
        """Of the first hand's squares [R], so that their slope is that of the robust ones."""
        squares = self.distances[0] ** 2
        if self.robust is None:
            return np.full(len(squares), self.weight)
        squares = np.sum(squares) if self.together else squares
        return self.weight / (1.0 + squares / self.robust**2) ** 2 * np.ones(self.distances.shape[1])


def _prior(joints_mm: np.ndarray, predicted_mm: np.ndarray, robust: float | None) -> _Part:
    """The mean squared distance of joints [K, J, 3] from the predicted ones."""
    distances = (joints_mm - predicted_mm).reshape(len(joints_mm), -1) / np.sqrt(len(predicted_mm))
    return _Part(distances, 1.0 if robust is None else WEIGHTS["prior"], robust, True)


def _limits(hands: np.ndarray) -> list[_Part]:
    angles = hands[:, :_A]
    return [_Part(np.maximum(angles - _HIGH, 0.0) + np.maximum(_LOW - angles, 0.0), WEIGHTS["limit"], None)]


def _descend(parts_of: Callable[[np.ndarray], list[_Part]], numbers: np.ndarray, steps: int) -> np.ndarray:
    """The numbers [P] of a hand that brings the parts' costs down, by damped least squares."""
    steps_of = np.concatenate([np.zeros([1, _NUMBERS]), np.diag(_DIFFERENCE)]).astype(np.float32)
    best, best_cost, system, damping = numbers, np.inf, None, _START_DAMPING
    for _ in range(steps):
        parts = parts_of((numbers + steps_of).astype(np.float32))
        cost = sum(part.costs()[0] for part in parts)
        if cost < best_cost:
            best, best_cost, system = numbers, cost, _normal_equations(parts)
            damping *= 0.4
        else:
            damping *= 5.0
        matrix, slope = system
        numbers = best - np.linalg.solve(matrix + damping * np.diag(np.diag(matrix) + 1e-3), slope)
    last = sum(part.costs()[0] for part in parts_of(numbers[None].astype(np.float32)))
    return numbers if last < best_cost else best


def _normal_equations(parts: list[_Part]) -> tuple[np.ndarray, np.ndarray]:
    """The matrix [P, P] and the slope [P] of the weighted squares, at the first of the parts' hands."""
    matrix, slope = np.zeros([_NUMBERS, _NUMBERS]), np.zeros(_NUMBERS)
    for part in parts:
        first = part.distances[0].astype(np.float64)
        derivatives = (part.distances[1:] - first) / _DIFFERENCE[:, None]
        weighted = derivatives * part.weights()
        matrix += weighted @ derivatives.T
        slope += weighted @ first
    return matrix, slope
