"""Fits the kinematic hand to depth images, without labels: the hand that explains what the sensor saw.

Training by fitting (Wan et al., "Self-supervised 3D hand pose estimation through training by fitting", 2019) with this
project's hand. A fit starts from the joints that a network predicts, and moves pose and shape. It asks that

- the measured points lie on the surface, which is the cone-spheres and wedges that the renderer draws,
- nothing of the hand shows where the sensor saw past it or beside it,
- no part is inside another,
- angles stay within their limits, and joints near the prediction.

What is left unexplained says how far a result can be believed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy import ndimage
from tensorflow import keras

from lsps_tf import crop
from lsps_tf.fitting import to_joints
from lsps_tf.simulation import anatomy, collision, surface
from lsps_tf.simulation.kinematics import HandState, pose_hand
from lsps_tf.simulation.renderer import all_cones
from lsps_tf.simulation.rotations import rotation_from_6d
from lsps_tf.simulation.shape import NUM_SHAPE_PARAMETERS, shape_from_parameters
from lsps_tf.simulation.surface_distance import surface_distance_mm

SIZE = 64
# Adam's first steps of following joints and of explaining depth: radians, standard deviations and units of 20 mm.
_FOLLOW_STEP, _EXPLAIN_STEP = 0.1, 0.08
_FOLLOW_STEPS = 150
_MM_PER_UNIT = 20.0
# Distances beyond this hardly pull (Geman & McClure, 1987): points of things that are not the hand, and holes.
_ROBUST_MM = 15.0
# A prediction's joints farther off than this hardly pull, so that wrong ones are left behind.
_PRIOR_ROBUST_MM = 30.0
# A surface may be this much before the measured depth: pixels are wide and sensors noisy.
_FREE_MM = 4.0
_WEIGHTS = {"limit": 2000.0, "collision": 1.0, "prior": 0.02}
_NOTHING_MM = 1e5
_ALONG_CONES = (0.25, 0.75, 1.0)
_LOW, _HIGH = anatomy.ANGLE_LIMITS.T
_CONES, _WEDGES = surface.primitives(forearm=True)
_ALL_CONES = all_cones(_CONES, _WEDGES)


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
        given = [images, center_mm, cube_mm, predicted_mm, expected_shape]
        images, center_mm, cube_mm, predicted_mm, expected_shape = (self._filled(value) for value in given)
        seen = observe(images, center_mm, cube_mm, self._settings.points, seed)
        self._assign({**seen, "predicted_mm": predicted_mm, "expected_shape": expected_shape})
        rotation, translation_mm = to_joints.start_motion(predicted_mm, self._joints)
        self._angles.assign(np.tile(to_joints.START_ANGLES, (self._batch, 1)))
        self._columns.assign(np.concatenate([rotation[:, :, 0], rotation[:, :, 1]], axis=1))
        self._place.assign(translation_mm / _MM_PER_UNIT)
        self._shape.assign(expected_shape)
        self._follow()
        self._clip()
        self._explain()
        self._clip()
        found = (*self._result(), self._shape)
        joints_mm, residual_mm, shape_parameters = (value.numpy()[:count] for value in found)
        return DepthFit(joints_mm, shape_parameters, residual_mm)

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
        return pose_hand(self._angles, rotation, self._place * _MM_PER_UNIT, shape_from_parameters(self._shape))

    @tf.function
    def _result(self) -> tuple[tf.Tensor, tf.Tensor]:
        hand = self._hand()
        unexplained = tf.add_n(list(self._unexplained(hand).values()))
        return tf.gather(hand.joints_mm, self._joints, axis=1), tf.sqrt(unexplained)

    def _follow_loss(self) -> tf.Tensor:
        return tf.reduce_sum(self._prior(self._hand()) + self._beyond_limits() + 0.005 * _squares(self._angles))

    def _explain_loss(self) -> tf.Tensor:
        hand = self._hand()
        inside = tf.nn.relu(collision.pair_penetrations_mm(hand) - collision.CONTACT_MM)
        prior = self._prior(hand)
        prior /= 1.0 + prior / _PRIOR_ROBUST_MM**2
        frames = tf.add_n(list(self._unexplained(hand).values())) + self._beyond_limits()
        frames += _WEIGHTS["collision"] * _squares(inside) + _WEIGHTS["prior"] * prior
        shape = self._settings.shape_weight * _squares(self._shape - self._seen["expected_shape"])
        return tf.reduce_sum(frames + shape)

    def _prior(self, hand: HandState) -> tf.Tensor:
        """Mean squared distance [B] of the joints from the predicted ones, mm²."""
        offset = tf.gather(hand.joints_mm, self._joints, axis=1) - self._seen["predicted_mm"]
        return _squares(offset) / len(self._joints)

    def _beyond_limits(self) -> tf.Tensor:
        return _WEIGHTS["limit"] * _squares(tf.nn.relu(self._angles - _HIGH) + tf.nn.relu(_LOW - self._angles))

    def _unexplained(self, hand: HandState) -> dict[str, tf.Tensor]:
        """Mean robust squared distances [B] in mm²: points off the surface, hand beside and before what was seen."""
        seen = self._seen
        offset_mm = surface_distance_mm(
            seen["points_mm"], hand.centers_mm - seen["origin_mm"], hand.radii_mm, _ALL_CONES, _WEDGES
        )
        start, end = (tf.gather(hand.centers_mm, _ALL_CONES[:, i], axis=1) for i in range(2))
        start_radius, end_radius = (tf.gather(hand.radii_mm, _ALL_CONES[:, i], axis=1) for i in range(2))
        axis_mm = tf.concat([start * (1.0 - t) + end * t for t in _ALONG_CONES], axis=1)
        radius_mm = tf.concat([start_radius * (1.0 - t) + end_radius * t for t in _ALONG_CONES], axis=1)
        fx, fy, cx, cy = (seen["intrinsics"][:, None, i] for i in range(4))
        x, y, z = tf.unstack(axis_mm, axis=-1)
        u, v = x * fx / z + cx, y * fy / z + cy
        within = (u >= 0.0) & (u <= SIZE - 1.0) & (v >= 0.0) & (v <= SIZE - 1.0)
        beside_mm = tf.where(within, _bilinear(seen["outside_mm"], u, v), 0.0)
        measured_mm = _nearest_pixel(seen["depth_mm"], u, v)
        hit = within & (measured_mm < 0.1 * _NOTHING_MM)
        before_mm = tf.where(hit, tf.nn.relu(measured_mm - (z - radius_mm) - _FREE_MM), 0.0)
        distances = {"points": offset_mm, "beside": beside_mm, "before": before_mm}
        return {name: tf.reduce_mean(_robust(distance), axis=1) for name, distance in distances.items()}


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


def observe(
    images: np.ndarray, center_mm: np.ndarray, cube_mm: np.ndarray, points: int, seed: int
) -> dict[str, np.ndarray]:
    """What a fit has to explain, of images [B, SIZE, SIZE] in [-1, 1].

    Returns:
        depth_mm [B, SIZE, SIZE], 1e5 where nothing is; outside_mm [B, SIZE, SIZE], how far a pixel is from the
        silhouette, at the centre's distance; intrinsics [B, 4] of the crops; points_mm [B, points, 3] that were
        measured, from the centre; and origin_mm [B, 1, 3], the centre.
    """
    shown = images < 1.0
    half_cube_mm = 0.5 * cube_mm[:, None, None]
    depth_mm = np.where(shown, center_mm[:, 2, None, None] + half_cube_mm * images, _NOTHING_MM)
    intrinsics = crop.crop_intrinsics(tf.constant(center_mm), tf.constant(cube_mm), SIZE).numpy()
    rng = np.random.default_rng(seed)
    points_mm = np.stack([_draw_points(*each, points, rng) for each in zip(depth_mm, shown, intrinsics, center_mm)])
    outside = np.stack([_pixels_outside(each) for each in shown])
    return {
        "depth_mm": depth_mm,
        "outside_mm": outside * (cube_mm / SIZE)[:, None, None],
        "intrinsics": intrinsics,
        "points_mm": points_mm,
        "origin_mm": center_mm[:, None],
    }


def _draw_points(depth_mm, shown, intrinsics, center_mm, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points [count, 3] among the measured ones, from the centre; the centre itself where there are none."""
    rows, columns = np.nonzero(shown)
    if not len(rows):
        return np.zeros([count, 3])
    chosen = rng.choice(len(rows), count, replace=len(rows) < count)
    rows, columns = rows[chosen], columns[chosen]
    z, (fx, fy, cx, cy) = depth_mm[rows, columns], intrinsics
    return np.stack([(columns - cx) * z / fx, (rows - cy) * z / fy, z], axis=-1) - center_mm


def _pixels_outside(shown: np.ndarray) -> np.ndarray:
    """Distance of each pixel [SIZE, SIZE] to the silhouette, whose one-pixel holes are closed."""
    if not shown.any():
        return np.zeros(shown.shape)
    closed = ndimage.binary_closing(np.pad(shown, 2))[2:-2, 2:-2]
    return ndimage.distance_transform_edt(~(closed | shown))


def _robust(distance_mm: tf.Tensor) -> tf.Tensor:
    squared = distance_mm * distance_mm
    return squared / (1.0 + squared / _ROBUST_MM**2)


def _squares(values: tf.Tensor) -> tf.Tensor:
    """Sums of squares [B]."""
    return tf.reduce_sum(values * values, axis=list(range(1, len(values.shape))))


def _bilinear(images: tf.Tensor, u: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    """Values [B, N] of images [B, S, S] between pixels, differentiable in u and v."""
    left, top = (tf.clip_by_value(tf.floor(value), 0.0, SIZE - 2.0) for value in (u, v))
    x, y = u - tf.stop_gradient(left), v - tf.stop_gradient(top)

    def pixels(below: float, right: float) -> tf.Tensor:
        return _nearest_pixel(images, left + right, top + below)

    upper = pixels(0.0, 0.0) * (1.0 - x) + pixels(0.0, 1.0) * x
    return upper * (1.0 - y) + (pixels(1.0, 0.0) * (1.0 - x) + pixels(1.0, 1.0) * x) * y


def _nearest_pixel(images: tf.Tensor, u: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    column, row = (tf.cast(tf.clip_by_value(tf.round(value), 0.0, SIZE - 1.0), tf.int32) for value in (u, v))
    return tf.gather_nd(images, tf.stack([row, column], axis=-1), batch_dims=1)
