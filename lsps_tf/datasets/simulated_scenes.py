"""Frames of sim-v2: hands where people use them, seen by one sensor or by all in turn.

`synthetic` is the clean canonical hand, as in sim-v1. `real` are hands with what stands around them
(`simulation.surroundings`). A crop's centre is the mean of the hand's joints, as well as the hand finder knows it. Some
crops end at the border of the camera's view.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from lsps_tf.datasets.simulator import BATCH, Simulator
from lsps_tf.datasets.store import MARGIN, stored_size
from lsps_tf.simulation import renderer, scene_renderer, sensor, shape, surface, surroundings
from lsps_tf.simulation.kinematics import HandState
from lsps_tf.simulation.shape import HandShape

# The error of a found centre along each axis, standard deviation.
CENTER_SPREAD_MM = 12.0
# Share of the crops that a border of the view cuts, and the farthest such a border is from the centre, of the extent.
CUT, CUT_REACH = 0.25, 0.4
# Hands of random shapes that training has beside its subjects. Their numbers in a store start here.
RANDOM_SHAPES, FIRST_RANDOM = 100, 1000


class SceneSimulator(Simulator):
    """Renders a split's frames of sim-v2."""

    def _draw_shapes(self) -> tuple[np.ndarray, HandShape]:
        subjects, shapes = super()._draw_shapes()
        if self.split != "real/train":
            return subjects, shapes
        random = shape.sample_shape(tf.constant([FIRST_RANDOM, 0]), RANDOM_SHAPES)
        numbers = FIRST_RANDOM + np.arange(RANDOM_SHAPES, dtype=np.int32)
        shapes = tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), shapes, random)
        return np.concatenate([subjects, numbers]), shapes

    def _frames(self, sensor_name: str, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        view = self.simulation.cube_mm * MARGIN, stored_size(self.simulation.image_size)
        if not self._real:
            return self._clean_frames(seed, *view)
        scene_seed, view_seed = tf.unstack(tf.random.split(seed))
        scene = surroundings.draw_scene(self.shapes, BATCH, *sensor.get_sensor(sensor_name).distance_mm, scene_seed)
        subject = surroundings.draw_subjects(self.shapes, BATCH, scene_seed)
        center_mm, depth_mm = sense_crops(sensor_name, scene, *view, self.split == "real/empty", view_seed)
        return self._rows(depth_mm, scene.hand, center_mm, subject)

    def _clean_frames(self, seed: tf.Tensor, extent_mm: float, size: int) -> dict[str, tf.Tensor]:
        pose_seed, center_seed = tf.unstack(tf.random.split(seed))
        subject = tf.zeros([BATCH], tf.int32)
        hand = self._hands(pose_seed, tf.nest.map_structure(lambda part: tf.gather(part, subject), self.shapes), BATCH)
        center_mm = draw_centers(hand, center_seed)
        cones, wedges = surface.primitives(forearm=False)
        depth_mm = renderer.render_crop(hand.centers_mm, hand.radii_mm, cones, wedges, center_mm, extent_mm, size)
        return self._rows(depth_mm, hand, center_mm, subject)


def draw_centers(hand: HandState, seed: tf.Tensor) -> tf.Tensor:
    """Centres [B, 3] mm of crops of hands: the mean of the joints, as well as it is found."""
    middle_mm = tf.reduce_mean(hand.joints_mm, axis=1)
    return middle_mm + CENTER_SPREAD_MM * tf.random.stateless_normal(tf.shape(middle_mm), seed)


def sense_crops(
    sensor_name: str, scene: surroundings.Scene, extent_mm: float, size: int, empty: bool, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Crops of scenes as a sensor reports them.

    Args:
        sensor_name: of `sensor.SENSORS`.
        scene: B hands and what is around them.
        extent_mm: side of the square that a crop shows at its centre's depth.
        size: pixels of its side.
        empty: the same hands and centres with nothing around them but their forearms.
        seed: int32 [2].

    Returns:
        center_mm [B, 3] camera space; and depth_mm [B, size, size], 0 = no reading.
    """
    center_seed, sensor_seed, cut_seed = tf.unstack(tf.random.split(seed, 3))
    hand, center_mm = scene.hand, draw_centers(scene.hand, center_seed)
    view = center_mm, extent_mm, size
    if empty:
        cones, wedges = surface.primitives(forearm=True)
        depth_mm = renderer.render_crop(hand.centers_mm, hand.radii_mm, cones, wedges, *view)
    else:
        depth_mm, _ = scene_renderer.render_scene(scene, *view)
    pixel_size = sensor.pixel_size_of_crop(sensor_name, *view)
    depth_mm = sensor.apply_sensor(sensor_name, depth_mm, pixel_size, sensor_seed)
    return center_mm, (depth_mm if empty else cut_at_border(depth_mm, cut_seed))


def cut_at_border(depth_mm: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Crops [B, S, S] of which some have no readings beyond a line: there the camera's view ends."""
    count, size = tf.shape(depth_mm)[0], depth_mm.shape[1]
    cut, side, far = tf.unstack(tf.random.stateless_uniform([3, count], seed))
    # The square of a uniform number leaves most borders outside of the hand.
    last = 0.5 * size + CUT_REACH * size * (1.0 - 0.75 * far**2)
    place = tf.range(size, dtype=tf.float32)
    seen = (place < last[:, None]) | (cut >= CUT)[:, None]
    seen = tf.where((side < 0.5)[:, None], seen, tf.reverse(seen, [1]))
    across = (tf.math.floormod(4.0 * side, 2.0) < 1.0)[:, None, None]
    return tf.where(tf.where(across, seen[:, None, :], seen[:, :, None]), depth_mm, 0.0)
