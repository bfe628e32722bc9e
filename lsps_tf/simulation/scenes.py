"""Whole frames of a room: a hand at its arm with a person, a wall or a table behind it, or none of them a hand.

Only what finding a hand has to cope with: large surfaces behind the hand or in its place, and an arm that goes on to a
body. Everything is batched, in TensorFlow, camera space in mm, and made before the sensor adds its effects.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.camera import Camera
from lsps_tf.simulation import kinematics, pose_prior, renderer, sensor, surface, view_prior
from lsps_tf.simulation.kinematics import HandState
from lsps_tf.simulation.shape import HandShape

# With a hand: alone with its forearm, before a wall, of a person before a wall, over a table.
HAND_SCENES = ("bare", "wall", "person", "table")
# Without: nothing at all, a wall, a table, a person whose hands are out of view.
EMPTY_SCENES = ("nothing", "wall", "table", "person")

# Right and left shoulder, hips and head of a person who faces the camera, from the right shoulder; their radii.
_BODY_MM = np.array([[0, 0, 0], [360, 0, 0], [60, 430, 0], [300, 430, 0], [180, -120, 0], [180, -230, -20]], np.float32)
_BODY_RADII_MM = np.array([60.0, 60.0, 120.0, 120.0, 60.0, 95.0], np.float32)
_SHOULDERS, _HIPS, _NECK, _HEAD = (0, 1), (2, 3), 4, 5
_BODY_WEDGES = ((0, 1, 2), (1, 2, 3), (0, 1, 4))
_UPPER_ARM_MM = 290.0
_FARTHEST_MM = 6000.0


class Hands(NamedTuple):
    """What fixes B hands in a scene: angles (B, A) in radians, rotation (B, 3, 3), place_mm (B, 3), and shapes of B."""

    angles: tf.Tensor
    rotation: tf.Tensor
    place_mm: tf.Tensor
    shapes: HandShape


def draw_hands(settings: sensor.Sensor, subjects: HandShape, count: int, seed: tf.Tensor) -> Hands:
    """Random hands of random subjects where a sensor is used; `seed` is int32 [2]."""
    seeds = tf.unstack(tf.random.split(seed, 4))
    number = tf.random.stateless_uniform([count], seeds[0], 0, subjects.radii_mm.shape[0], tf.int32)
    shapes = tf.nest.map_structure(lambda part: tf.gather(part, number), subjects)
    near_mm, far_mm = settings.distance_mm
    return Hands(
        pose_prior.sample_angles(seeds[1], count, shapes),
        view_prior.sample_rotation(seeds[2], count),
        view_prior.sample_translation(seeds[3], count, near_mm=near_mm, far_mm=far_mm),
        shapes,
    )


def sense_scene(
    settings: sensor.Sensor, kind: str, hands: Hands, seed: tf.Tensor, noise_seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """What a sensor reports of hands in a scene.

    Args:
        settings: the sensor.
        kind: one of HAND_SCENES.
        hands: B hands.
        seed: int32 [2], of what stands around the hands.
        noise_seed: int32 [2], of the sensor.

    Returns:
        depth_mm [B, height, width] and joints_mm [B, 36, 3] in camera space.
    """
    hand = kinematics.pose_hand(*hands)
    depth_mm = render_scene(kind, hand, settings.camera, seed)
    return sensor.apply_sensor(settings, depth_mm, 1.0, noise_seed), hand.joints_mm


def sense_empty(settings: sensor.Sensor, kind: str, count: int, seed: tf.Tensor) -> tf.Tensor:
    """What a sensor reports of scenes without a hand, depth_mm [count, height, width]; `kind` is in EMPTY_SCENES."""
    scene_seed, noise_seed = tf.unstack(tf.random.split(seed, 2))
    return sensor.apply_sensor(settings, render_empty(kind, count, settings.camera, scene_seed), 1.0, noise_seed)


def render_scene(kind: str, hand: HandState, camera: Camera, seed: tf.Tensor) -> tf.Tensor:
    """Clean frames of hands at their forearms in a scene.

    Args:
        kind: one of HAND_SCENES.
        hand: B posed hands.
        camera: that sees them.
        seed: int32 [2], of what stands around the hands.

    Returns:
        depth_mm [B, height, width], 0 = nothing within 6 m.
    """
    body_seed, plane_seed = tf.unstack(tf.random.split(seed, 2))
    cones, wedges = surface.primitives(forearm=True)
    centers_mm, radii_mm = hand.centers_mm, hand.radii_mm
    if kind == "person":
        body_mm, body_radii_mm = body_of(hand, body_seed)
        body_cones, body_wedges = body_primitives(centers_mm.shape[1])
        centers_mm = tf.concat([centers_mm, body_mm], axis=1)
        radii_mm = tf.concat([radii_mm, body_radii_mm], axis=1)
        cones, wedges = np.concatenate([cones, body_cones]), np.concatenate([wedges, body_wedges])
    depth_mm = renderer.render_frame(centers_mm, radii_mm, cones, wedges, camera)
    if kind == "bare":
        return depth_mm
    behind_mm = tf.reduce_max(centers_mm[..., 2] + radii_mm, axis=1)
    if kind == "table":
        return _nearest(depth_mm, _table(hand, plane_seed, camera))
    gap_mm = tf.random.stateless_uniform(tf.shape(behind_mm), plane_seed, 50.0, 1500.0)
    return _nearest(depth_mm, _wall(behind_mm + gap_mm, plane_seed, camera))


def render_empty(kind: str, count: int, camera: Camera, seed: tf.Tensor) -> tf.Tensor:
    """Clean frames without a hand, [count, height, width]; `kind` is one of EMPTY_SCENES."""
    place_seed, plane_seed = tf.unstack(tf.random.split(seed, 2))
    if kind == "nothing":
        return tf.zeros([count, camera.height, camera.width])
    distance_mm = tf.random.stateless_uniform([count], place_seed, 400.0, 2500.0)
    if kind == "wall":
        return _wall(distance_mm, plane_seed, camera)
    if kind == "table":
        point_mm = distance_mm[:, None] * tf.constant([0.0, 0.0, 1.0])
        return _plane(point_mm, _tilted(count, plane_seed, 25.0, 60.0), camera)
    place = tf.random.stateless_uniform([count, 3], place_seed, [-300.0, 0.0, 500.0], [0.0, 200.0, 1500.0])
    body_mm = place[:, None] + _BODY_MM
    radii_mm = tf.broadcast_to(_BODY_RADII_MM, tf.shape(body_mm)[:2])
    cones = np.array([(_NECK, _HEAD)])
    depth_mm = renderer.render_frame(body_mm, radii_mm, cones, np.array(_BODY_WEDGES), camera)
    return _nearest(depth_mm, _wall(place[:, 2] + 800.0, plane_seed, camera))


def body_of(hand: HandState, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Spheres of a person whose right elbow is the hand's: centres [B, P, 3] and radii [B, P], mm."""
    body_mm = _shoulder_of(hand, seed)[:, None] + _BODY_MM
    return body_mm, tf.broadcast_to(_BODY_RADII_MM, tf.shape(body_mm)[:2])


def body_primitives(first: int) -> tuple[np.ndarray, np.ndarray]:
    """Cones and wedges of a body whose spheres follow the hand's, from index `first` on."""
    elbow = surface.SPHERE_INDEX["elbow_ulnar"]
    return np.array([(elbow, first), (first + _NECK, first + _HEAD)]), np.array(_BODY_WEDGES) + first


def _shoulder_of(hand: HandState, seed: tf.Tensor) -> tf.Tensor:
    """A place for the right shoulder [B, 3]: an upper arm from the elbow, always behind the hand."""
    elbow_mm = hand.centers_mm[:, surface.SPHERE_INDEX["elbow_ulnar"]]
    count = tf.shape(elbow_mm)[0]
    direction = tf.constant([0.0, -0.4, 1.0]) + 0.35 * tf.random.stateless_normal([count, 3], seed)
    shoulder_mm = elbow_mm + _UPPER_ARM_MM * direction / tf.norm(direction, axis=1, keepdims=True)
    nearest_mm = tf.reduce_max(hand.joints_mm[..., 2], axis=1) + 200.0
    return tf.concat([shoulder_mm[:, :2], tf.maximum(shoulder_mm[:, 2], nearest_mm)[:, None]], axis=1)


def _wall(distance_mm: tf.Tensor, seed: tf.Tensor, camera: Camera) -> tf.Tensor:
    """Walls at [B] mm along the optical axis, up to 10 degrees from square on."""
    point_mm = distance_mm[:, None] * tf.constant([0.0, 0.0, 1.0])
    return _plane(point_mm, _tilted(tf.shape(distance_mm)[0], seed, -10.0, 10.0), camera)


def _table(hand: HandState, seed: tf.Tensor, camera: Camera) -> tf.Tensor:
    """A table top 60 to 300 mm behind all of the hand and arm, seen from up to 40 degrees off its normal."""
    count = tf.shape(hand.radii_mm)[0]
    normal = _tilted(count, seed, 0.0, 40.0)
    depth_mm = -tf.reduce_sum(hand.centers_mm * normal[:, None], axis=-1) + hand.radii_mm
    gap_mm = tf.random.stateless_uniform([count], tf.random.fold_in(seed, 1), 60.0, 300.0)
    return _plane(-normal * (tf.reduce_max(depth_mm, axis=1) + gap_mm)[:, None], normal, camera)


def _tilted(count: tf.Tensor | int, seed: tf.Tensor, low_deg: float, high_deg: float) -> tf.Tensor:
    """Unit normals [count, 3] towards the camera, turned about x: above 0 the lower part comes nearer."""
    angle = tf.random.stateless_uniform([count], seed, low_deg, high_deg) * (math.pi / 180.0)
    return tf.stack([tf.zeros_like(angle), -tf.sin(angle), -tf.cos(angle)], axis=-1)


def _plane(point_mm: tf.Tensor, normal: tf.Tensor, camera: Camera) -> tf.Tensor:
    """Depth [B, height, width] of planes through points [B, 3]: z = (p n) / (ray n)."""
    intrinsics = tf.broadcast_to(camera.intrinsics, [tf.shape(point_mm)[0], 4])
    x, y = crop.pixel_rays(intrinsics, camera.height, camera.width)
    offset = tf.reduce_sum(point_mm * normal, axis=-1)
    nx, ny, nz, offset = (value[:, None, None] for value in (*tf.unstack(normal, axis=-1), offset))
    depth_mm = offset / (nx * x[:, None, :] + ny * y[:, :, None] + nz)
    return tf.where((depth_mm > 0.0) & (depth_mm < _FARTHEST_MM), depth_mm, 0.0)


def _nearest(depth_mm: tf.Tensor, other_mm: tf.Tensor) -> tf.Tensor:
    both = (depth_mm > 0.0) & (other_mm > 0.0)
    return tf.where(both, tf.minimum(depth_mm, other_mm), tf.maximum(depth_mm, other_mm))
