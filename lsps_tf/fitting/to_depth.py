"""Fits the kinematic hand to depth images, without labels: the hand that explains what the sensor saw.

Training by fitting (Wan et al., "Self-supervised 3D hand pose estimation through training by fitting", 2019) with this
project's hand. A fit starts from the joints that a network predicts, and moves pose and shape. It asks that

- the measured points that can be the hand's lie on the surface, the cone-spheres and wedges that the renderer draws,
- nothing of the hand shows where the sensor saw past it or beside it,
- no part is inside another,
- angles stay within their limits, and joints near the prediction.

Tables, walls and what is far from the predicted hand are not to be explained (`foreground`). What is left unexplained
says how far a result can be believed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow import keras

from lsps_tf.fitting import explanation, foreground, observation, to_joints
from lsps_tf.fitting.observation import SIZE
from lsps_tf.simulation import anatomy
from lsps_tf.simulation.kinematics import HandState, pose_hand
from lsps_tf.simulation.rotations import rotation_from_6d
from lsps_tf.simulation.shape import NUM_SHAPE_PARAMETERS, shape_from_parameters

# Adam's first steps of following joints and of explaining depth: radians, standard deviations and units of 20 mm.
_FOLLOW_STEP, _EXPLAIN_STEP = 0.1, 0.08
_FOLLOW_STEPS = 150
MM_PER_UNIT = 20.0
# A prediction's joints farther off than this hardly pull, so that wrong ones are left behind.
PRIOR_ROBUST_MM = 30.0
WEIGHTS = {"limit": 2000.0, "collision": 1.0, "prior": 0.02}
# Added to the prior's weight, times the part of what was measured that is not the hand: among things depth says less.
_PRIOR_AMONG_THINGS = 0.06
_LOW, _HIGH = anatomy.ANGLE_LIMITS.T


class DepthFit(NamedTuple):
    """Hands fitted to N images, NumPy.

    Attributes:
        joints_mm: float32 [N, J, 3] camera space.
        shape_parameters: float32 [N, P] standard deviations, for `shape.shape_from_parameters`.
        residual_mm: float32 [N], the root of the mean robust squared distance of what is not explained.
    """

    joints_mm: np.ndarray
    shape_parameters: np.ndarray
    residual_mm: np.ndarray


@dataclasses.dataclass(frozen=True)
class FitSettings:
    """How a fit is done.

    Attributes:
        steps: of Adam, whose step falls to zero by a cosine.
        points: of each image that have to lie on the surface.
        shape_weight: of squared standard deviations from the expected shape.
    """

    steps: int = 100
    points: int = 160
    shape_weight: float = 0.5


class DepthFitter(tf.Module):
    """Fits batches of B images; its graphs are traced once."""

    def __init__(self, batch: int, joints: Sequence[int], settings: FitSettings | None = None):
        """Args: batch: B. joints: which of NYU's 36 joints the J of predictions and results are."""
        super().__init__()
        settings = FitSettings() if settings is None else settings
        self._batch, self._joints, self._settings = batch, tuple(joints), settings
        shapes = {
            "depth_mm": (SIZE, SIZE),
            "outside_mm": (SIZE, SIZE),
            "intrinsics": (4,),
            "points_mm": (settings.points, 3),
            "origin_mm": (1, 3),
            "predicted_mm": (len(self._joints), 3),
            "expected_shape": (NUM_SHAPE_PARAMETERS,),
            "other_share": (),
        }
        self._seen = {name: tf.Variable(tf.zeros((batch, *shape)), trainable=False) for name, shape in shapes.items()}
        self._angles = tf.Variable(tf.zeros([batch, anatomy.NUM_ANGLES]))
        self._columns = tf.Variable(tf.zeros([batch, 6]))
        self._place = tf.Variable(tf.zeros([batch, 3]))
        self._shape = tf.Variable(tf.zeros([batch, NUM_SHAPE_PARAMETERS]))
        pose = [self._angles, self._columns, self._place]
        self._follow = _Descent(_FOLLOW_STEP, _FOLLOW_STEPS, pose, self._follow_loss)
        self._explain = _Descent(_EXPLAIN_STEP, settings.steps, [*pose, self._shape], self._explain_loss)

    def fit(
        self,
        images: np.ndarray,
        center_mm: np.ndarray,
        cube_mm: np.ndarray,
        predicted_mm: np.ndarray,
        expected_shape: np.ndarray | None = None,
        seed: int = 0,
    ) -> DepthFit:
        """Fits up to B right hands.

        Args:
            images: [N, SIZE, SIZE] in [-1, 1], 1 = background, as the networks see them.
            center_mm: [N, 3] camera space, of the crops.
            cube_mm: [N].
            predicted_mm: [N, J, 3] camera space, where the fit starts.
            expected_shape: [N, P] the shape that a fit stays near; None for the average hand's.
            seed: of the choice of points.
        """
        count = len(images)
        if expected_shape is None:
            expected_shape = np.zeros([count, NUM_SHAPE_PARAMETERS])
        self._look(images, center_mm, cube_mm, predicted_mm, expected_shape, seed)
        self._explain()
        self._clip()
        found = (*self._result(), self._shape)
        joints_mm, residual_mm, shape_parameters = (value.numpy()[:count] for value in found)
        return DepthFit(joints_mm, shape_parameters, residual_mm)

    def unexplained_mm(
        self,
        images: np.ndarray,
        center_mm: np.ndarray,
        cube_mm: np.ndarray,
        hand_mm: np.ndarray,
        predicted_mm: Sequence[np.ndarray],
        seed: int = 0,
    ) -> np.ndarray:
        """What predictions as they are leave unexplained of up to B right hands, as `DepthFit.residual_mm` says it.

        Args:
            images, center_mm, cube_mm, seed: as of `fit`.
            hand_mm: [N, J, 3] camera space, the hands that say what of the images is to be explained.
            predicted_mm: K predictions [N, J, 3], which are compared by it.

        Returns:
            [K, N] mm.
        """
        count = len(images)
        self._look(images, center_mm, cube_mm, hand_mm, np.zeros([count, NUM_SHAPE_PARAMETERS]), seed)
        residuals_mm = []
        for joints_mm in predicted_mm:
            self._start(self._filled(joints_mm))
            residuals_mm.append(self._result()[1].numpy()[:count])
        return np.stack(residuals_mm)

    def _look(self, images, center_mm, cube_mm, hand_mm, expected_shape, seed: int) -> None:
        """Puts hands where their joints are, and takes in what they have to explain of the images."""
        given = (images, center_mm, cube_mm, hand_mm, expected_shape)
        images, center_mm, cube_mm, hand_mm, expected_shape = (self._filled(value) for value in given)
        measured = observation.measure(images, center_mm, cube_mm)
        self._assign({**measured, "expected_shape": expected_shape})
        self._start(hand_mm)
        self._assign(self._attended(measured, cube_mm, seed))

    def _start(self, predicted_mm: np.ndarray) -> None:
        """Hands of the expected shapes that follow predicted joints [B, J, 3]."""
        self._seen["predicted_mm"].assign(predicted_mm)
        rotation, translation_mm = to_joints.start_motion(predicted_mm, self._joints)
        self._angles.assign(np.tile(to_joints.START_ANGLES, (self._batch, 1)))
        self._columns.assign(np.concatenate([rotation[:, :, 0], rotation[:, :, 1]], axis=1))
        self._place.assign(translation_mm / MM_PER_UNIT)
        self._shape.assign(self._seen["expected_shape"])
        self._follow()
        self._clip()

    def _attended(self, measured: dict[str, np.ndarray], cube_mm: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """What the explaining is about, now that the hand is where the prediction has it."""
        points_mm = observation.measured_points(measured)
        shown = measured["depth_mm"] < observation.NOTHING_MM
        distance_mm, joints_mm = (value.numpy() for value in self._predicted(points_mm[:, ::2, ::2]))
        distance_mm = distance_mm.repeat(2, axis=1).repeat(2, axis=2)
        hand = foreground.can_be_hand(points_mm, shown, distance_mm, joints_mm, seed)
        attended = observation.attend(points_mm, shown, hand, cube_mm, self._settings.points, seed)
        return {**attended, "other_share": np.mean(shown & ~hand, (1, 2)) / np.maximum(np.mean(shown, (1, 2)), 1e-6)}

    @tf.function
    def _predicted(self, points_mm: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Distances [B, H, W] of points [B, H, W, 3] from the hand, and its joints [B, J, 3]; all from the centres."""
        hand, origin_mm = self._hand(), self._seen["origin_mm"]
        flat_mm = tf.reshape(points_mm, [self._batch, -1, 3])
        distance_mm = explanation.distance_mm(flat_mm, hand, origin_mm)
        return tf.reshape(distance_mm, tf.shape(points_mm)[:-1]), hand.joints_mm - origin_mm

    def _filled(self, value: np.ndarray) -> np.ndarray:
        value = np.asarray(value, np.float32)
        return value[np.minimum(np.arange(self._batch), len(value) - 1)]

    def _assign(self, values: dict[str, np.ndarray]) -> None:
        for name, value in values.items():
            self._seen[name].assign(value)

    def _clip(self) -> None:
        self._angles.assign(tf.clip_by_value(self._angles, _LOW, _HIGH))

    def _hand(self) -> HandState:
        rotation = rotation_from_6d(self._columns)
        return pose_hand(self._angles, rotation, self._place * MM_PER_UNIT, shape_from_parameters(self._shape))

    @tf.function
    def _result(self) -> tuple[tf.Tensor, tf.Tensor]:
        hand = self._hand()
        unexplained = self._unexplained(hand)
        return tf.gather(hand.joints_mm, self._joints, axis=1), tf.sqrt(unexplained)

    def _follow_loss(self) -> tf.Tensor:
        return tf.reduce_sum(self._prior(self._hand()) + self._beyond_limits() + 0.005 * _squares(self._angles))

    def _explain_loss(self) -> tf.Tensor:
        hand = self._hand()
        prior = self._prior(hand)
        prior /= 1.0 + prior / PRIOR_ROBUST_MM**2
        frames = self._unexplained(hand) + self._beyond_limits()
        frames += WEIGHTS["collision"] * _squares(explanation.inside_mm(hand)) + self._prior_weight() * prior
        shape = self._settings.shape_weight * _squares(self._shape - self._seen["expected_shape"])
        return tf.reduce_sum(frames + shape)

    def _prior_weight(self) -> tf.Tensor:
        return WEIGHTS["prior"] + _PRIOR_AMONG_THINGS * self._seen["other_share"]

    def _prior(self, hand: HandState) -> tf.Tensor:
        """Mean squared distance [B] of the joints from the predicted ones, mm²."""
        offset = tf.gather(hand.joints_mm, self._joints, axis=1) - self._seen["predicted_mm"]
        return _squares(offset) / len(self._joints)

    def _beyond_limits(self) -> tf.Tensor:
        return WEIGHTS["limit"] * _squares(tf.nn.relu(self._angles - _HIGH) + tf.nn.relu(_LOW - self._angles))

    def _unexplained(self, hand: HandState) -> tf.Tensor:
        """Sum [B] of the mean robust squared distances, mm²."""
        distances = explanation.unexplained_mm(hand, self._seen).values()
        return tf.add_n([tf.reduce_mean(explanation.robust(distance), axis=1) for distance in distances])


class _Descent:
    """A number of steps of Adam in one graph."""

    def __init__(self, first_step: float, steps: int, variables: list[tf.Variable], loss):
        self._variables, self._steps, self._loss = variables, steps, loss
        schedule = keras.optimizers.schedules.CosineDecay(first_step, steps)
        self._optimizer = keras.optimizers.legacy.Adam(schedule, beta_2=0.99)
        self._optimizer.apply_gradients([(tf.zeros_like(variable), variable) for variable in variables])
        self._run = tf.function(self._steps_of_adam)

    def __call__(self) -> None:
        for variable in self._optimizer.variables():
            variable.assign(tf.zeros_like(variable))
        self._run()

    def _steps_of_adam(self) -> None:
        for _ in tf.range(self._steps):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(self._variables)
                loss = self._loss()
            self._optimizer.apply_gradients(zip(tape.gradient(loss, self._variables), self._variables))


def _squares(values: tf.Tensor) -> tf.Tensor:
    """Sums of squares [B]."""
    return tf.reduce_sum(values * values, axis=list(range(1, len(values.shape))))
