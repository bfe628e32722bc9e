"""Depth images of the scenes of `surroundings`: hands with all that is around them, and as a sensor reports them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from lsps_tf.simulation import cloth, renderer, scenes, sensor, surface, surroundings, things
from lsps_tf.simulation.shape import HandShape
from lsps_tf.simulation.surroundings import Scene
from lsps_tf.simulation.things import FARTHEST_MM, NOWHERE_MM


def render_scene(
    scene: Scene, center_mm: tf.Tensor, extent_mm: tf.Tensor | float, size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Renders crops of scenes; arguments as of `renderer.render_crop`.

    Returns:
        depth_mm [B, size, size] along z, 0 = nothing within FARTHEST_MM; and hand [B, size, size], bool: where what is
        seen is the hand without its forearm.
    """
    view = center_mm, extent_mm, size
    hand = scene.hand
    hand_mm = renderer.render_crop(hand.centers_mm, hand.radii_mm, *surface.primitives(forearm=False), *view)
    x, y = _rays(*view)
    around = [renderer.render_crop(*_spheres_around(scene), *view)]
    for arm, folds in zip((hand, scene.other), scene.folds):
        around[0] = cloth.fold(around[0], x[:, None, :], y[:, :, None], arm, folds)
    around += [_plane_depth(plane, x, y) for plane in scene.planes]
    around += [things.depth_mm(thing, x, y) for thing in (scene.held, *scene.beside)]
    around_mm = _nearest(around)
    shown = (hand_mm > 0.0) & ((around_mm == 0.0) | (hand_mm < around_mm))
    return _nearest([hand_mm, around_mm]), shown


def sense_frames(
    settings: sensor.Sensor, subjects: HandShape, count: int, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Whole frames of random scenes as a sensor reports them.

    Args:
        settings: the sensor, whose camera is wider than high.
        subjects: shapes that the hands are drawn from.
        count: B.
        seed: int32 [2].

    Returns:
        depth_mm [B, height, width] and the hands' joints_mm [B, 36, 3] in camera space.
    """
    scene_seed, noise_seed = tf.unstack(tf.random.split(seed, 2))
    scene = surroundings.draw_scene(subjects, count, *settings.distance_mm, scene_seed)
    return sense_scene(settings, scene, noise_seed), scene.hand.joints_mm


def sense_scene(settings: sensor.Sensor, scene: Scene, seed: tf.Tensor) -> tf.Tensor:
    """Whole frames, depth_mm [B, height, width], of scenes as a sensor reports them; `seed`, int32 [2], is its own."""
    view, count = settings.camera, scene.hand.joints_mm.shape[0]
    # A square about the camera's axis, as wide as the frame, of which the rows in the middle are the frame.
    axis_mm = tf.constant([[0.0, 0.0, 1000.0]] * count)
    depth_mm, _ = render_scene(scene, axis_mm, 1000.0 * view.width / view.fx, view.width)
    above = (view.width - view.height) // 2
    frames_mm = depth_mm[:, above : above + view.height]
    return sensor.apply_sensor(settings, frames_mm, 1.0, seed)


def _spheres_around(scene: Scene) -> tuple[tf.Tensor, tf.Tensor, np.ndarray, np.ndarray]:
    """Spheres, cones and wedges of the forearm, the body and the other hand."""
    body_first = scene.hand.centers_mm.shape[1]
    other_first = body_first + scene.body[0].shape[1]
    hands = [(hand.centers_mm, hand.radii_mm) for hand in (scene.hand, scene.other)]
    centers_mm, radii_mm = (tf.concat(parts, axis=1) for parts in zip(hands[0], scene.body, hands[1]))
    body_cones, body_wedges = scenes.body_primitives(body_first)
    other_cones, other_wedges = (part + other_first for part in surface.primitives(forearm=True))
    arm_wedges = np.array(surface.FOREARM_WEDGES, np.int32)
    cones = np.concatenate([body_cones, other_cones])
    return centers_mm, radii_mm, cones, np.concatenate([arm_wedges, body_wedges, other_wedges])


def _rays(center_mm: tf.Tensor, extent_mm: tf.Tensor | float, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """x of every column and y of every row, [B, size] both, of a crop's rays (x, y, 1)."""
    step = tf.reshape(tf.cast(extent_mm, tf.float32), [-1, 1]) / (size * center_mm[:, 2:])
    place = tf.range(size, dtype=tf.float32) - 0.5 * (size - 1)
    return tuple(center_mm[:, axis, None] / center_mm[:, 2:] + place * step for axis in (0, 1))


def _plane_depth(plane: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Depth [B, H, W] of planes [B, 4] seen from the side that their normals point to."""
    nx, ny, nz, offset = (value[:, None, None] for value in tf.unstack(plane, axis=-1))
    toward = nx * x[:, None, :] + ny * y[:, :, None] + nz
    faces = toward < -1e-4
    depth_mm = offset / tf.where(faces, toward, -1.0)
    return tf.where(faces & (depth_mm > 0.0) & (depth_mm < FARTHEST_MM), depth_mm, 0.0)


def _nearest(depths_mm: list[tf.Tensor]) -> tf.Tensor:
    nearest_mm = tf.reduce_min([tf.where(depth > 0.0, depth, NOWHERE_MM) for depth in depths_mm], axis=0)
    return tf.where(nearest_mm < FARTHEST_MM, nearest_mm, 0.0)
