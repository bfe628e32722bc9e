"""Examples for the hand finder: wide views of scenes with their hands' places.

The scenes are those of `surroundings`, with more around them, as a whole frame shows more than a crop: things all over
the table, persons close behind their hands, arms that go on to the frame's border. One view in five has no hand.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.simulation import renderer, scene_renderer, scenes, sensor, surface, surroundings, things
from lsps_tf.simulation.kinematics import HandState
from lsps_tf.simulation.rotations import axis_rotation, rotation_from_6d
from lsps_tf.simulation.sensor import Sensor
from lsps_tf.simulation.shape import HandShape
from lsps_tf.simulation.surroundings import Scene
from lsps_tf.simulation.things import NOWHERE_MM, Things

VIEW_SIZE = 160
# Focal lengths, in pixels of the view.
FOCAL_PX = (70.0, 190.0)
# Hands are shown from nearer and from farther away than their sensor is made for.
NEARER, FARTHER, NEAREST_MM = 0.6, 1.5, 200.0
NO_HAND, NO_ARM, PERSON, LONG_ARM, NO_SENSOR = 0.2, 0.4, 0.25, 0.85, 0.07
# The place of a hand in the view, from its middle, in sides of the view.
_PLACE = 0.5
# No pixel spans more of a hand than so many mm.
_COARSEST_MM = 11.0
_CLUTTER, _CLUTTER_SHOWN = 4, 0.3
_ARM = np.array([sphere.name.startswith(("forearm", "elbow")) for sphere in surface.SPHERES])
_ELBOW = np.array([sphere.name.startswith("elbow") for sphere in surface.SPHERES])


class Views(NamedTuple):
    """B views of two hands at most; float32 where nothing else is said.

    Attributes:
        depth_mm: [B, S, S], 0 = no reading; [B, H, W] once they are thinned frames (`view_changes`).
        intrinsics: [B, 4] of the view.
        middle_mm: [B, 2, 3] camera space, the means of the hands' joints; far away where there is no hand.
        right: [B, 2], bool, right hands.
        pixels: [B, 2], how many of the view's pixels show the hand, its forearm apart.
        share: [B, 2], that as a share of the pixels that would show it were nothing before it.
    """

    depth_mm: tf.Tensor
    intrinsics: tf.Tensor
    middle_mm: tf.Tensor
    right: tf.Tensor
    pixels: tf.Tensor
    share: tf.Tensor


def make_views(sensor_name: str, subjects: HandShape, count: int, seed: tf.Tensor, finer: int = 1) -> Views:
    """Random views.

    Args:
        sensor_name: of `sensor.SENSORS`.
        subjects: shapes that the hands are drawn from.
        count: B.
        seed: int32 [2].
        finer: so many times VIEW_SIZE is S. 1 is a thinned frame, 4 what a camera of 640 pixels sees of the same scene.
    """
    settings = sensor.get_sensor(sensor_name)
    seeds = tf.unstack(tf.random.split(seed, 6))
    scene, center_mm, extent_mm = draw_view(settings, subjects, count, *seeds[:3])
    clean_mm, pixels, share = render_view(scene, center_mm, extent_mm, finer * VIEW_SIZE)
    intrinsics = crop.crop_intrinsics(center_mm, extent_mm, finer * VIEW_SIZE)
    noisy = tf.random.stateless_uniform([count], tf.random.fold_in(seeds[4], 2)) >= NO_SENSOR
    depth_mm = sensor.apply_sensor(settings, clean_mm, settings.camera.fx / intrinsics[:, 0], seeds[4])
    return Views(
        tf.where(noisy[:, None, None], depth_mm, clean_mm),
        intrinsics,
        middles(scene),
        tf.stack([tf.ones_like(scene.other_right), scene.other_right], axis=1),
        pixels,
        share,
    )


def draw_view(
    settings: Sensor, subjects: HandShape, count: int, scene_seed, place_seed, focal_seed
) -> tuple[Scene, tf.Tensor, tf.Tensor]:
    """Scenes, and what is seen of them: the middles [B, 3] of views and their sides [B] there, mm."""
    near_mm, far_mm = settings.distance_mm
    near_mm, far_mm = max(NEARER * near_mm, NEAREST_MM), FARTHER * far_mm
    scene = draw_view_scene(subjects, count, near_mm, far_mm, scene_seed)
    place = tf.random.stateless_uniform([count, 2], place_seed, -_PLACE, _PLACE)
    low, high = (math.log(value) for value in FOCAL_PX)
    focal_px = tf.exp(tf.random.stateless_uniform([count], focal_seed, low, high))
    hand_mm = tf.reduce_mean(scene.hand.joints_mm, axis=1)
    focal_px = tf.maximum(focal_px, hand_mm[:, 2] / _COARSEST_MM)
    extent_mm = VIEW_SIZE * hand_mm[:, 2] / focal_px
    return scene, hand_mm + tf.concat([place * extent_mm[:, None], tf.zeros([count, 1])], axis=1), extent_mm


def draw_view_scene(subjects: HandShape, count: int, near_mm: float, far_mm: float, seed: tf.Tensor) -> Scene:
    """Scenes of `surroundings.draw_scene` with more around them, and some without a hand."""
    seeds = tf.unstack(tf.random.split(seed, _CLUTTER + 4))
    scene = surroundings.draw_scene(subjects, count, near_mm, far_mm, seeds[0])
    scene = _with_persons(scene, seeds[1])
    hand = _with_long_arms(scene.hand, seeds[2])
    empty, armless = tf.unstack(tf.random.stateless_uniform([2, count], seeds[3]))
    hidden = (empty < NO_HAND)[:, None] & (~_ARM | ((armless < NO_ARM)[:, None] & ~_ELBOW))
    clutter = tuple(_clutter(scene, each) for each in seeds[4:])
    return scene._replace(hand=_without(hand, hidden), beside=(*scene.beside, *clutter))


def _without(hand: HandState, hidden: tf.Tensor) -> HandState:
    """Hands without the spheres of the mask [B, S]: those are hidden in the elbow. The joints are then far away."""
    elbow = surface.SPHERE_INDEX["elbow_ulnar"]
    centers_mm = tf.where(hidden[..., None], hand.centers_mm[:, elbow, None], hand.centers_mm)
    radii_mm = tf.where(hidden, 0.5 * hand.radii_mm[:, elbow, None], hand.radii_mm)
    return HandState(hand.joints_mm, centers_mm, radii_mm)


def _is_there(scene: Scene) -> tf.Tensor:
    """Which of the two hands a scene has, [B, 2]."""
    elbow, palm = surface.SPHERE_INDEX["elbow_ulnar"], int(np.flatnonzero(~_ARM)[0])
    has_hand = tf.reduce_any(scene.hand.centers_mm[:, palm] != scene.hand.centers_mm[:, elbow], axis=-1)
    return tf.stack([has_hand, scene.other.joints_mm[:, 0, 2] < 0.5 * NOWHERE_MM], axis=1)


def middles(scene: Scene) -> tf.Tensor:
    middles_mm = tf.stack([tf.reduce_mean(hand.joints_mm, axis=1) for hand in (scene.hand, scene.other)], axis=1)
    return tf.where(_is_there(scene)[..., None], middles_mm, NOWHERE_MM)


def render_view(
    scene: Scene, center_mm: tf.Tensor, extent_mm: tf.Tensor, size: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Clean views [B, S, S], and of both hands the pixels that show them and their share of the hands' own, [B, 2]."""
    depth_mm, _ = scene_renderer.render_scene(scene, center_mm, extent_mm, size)
    pixels, share = [], []
    for hand, there in zip((scene.hand, scene.other), tf.unstack(_is_there(scene), axis=1)):
        primitives = surface.primitives(forearm=False)
        alone_mm = renderer.render_crop(hand.centers_mm, hand.radii_mm, *primitives, center_mm, extent_mm, size)
        own = tf.cast((alone_mm > 0.0) & there[:, None, None], tf.float32)
        seen = own * tf.cast(alone_mm <= depth_mm + 0.5, tf.float32)
        pixels.append(tf.reduce_sum(seen, axis=(1, 2)))
        share.append(pixels[-1] / tf.maximum(tf.reduce_sum(own, axis=(1, 2)), 1.0))
    return depth_mm, tf.stack(pixels, axis=1), tf.stack(share, axis=1)


def _with_persons(scene: Scene, seed: tf.Tensor) -> Scene:
    """In some scenes a person close behind the hand, and no table: chest, neck, head or shoulder are behind it."""
    count = scene.other_right.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 4))
    chosen, size, gap = tf.unstack(tf.random.stateless_uniform([3, count], seeds[0]))
    body_mm, radii_mm = scenes.body_of(scene.hand, seeds[1])
    scale = (0.8 + 0.35 * size)[:, None]
    part = tf.random.stateless_uniform([count], seeds[2], 0, body_mm.shape[1], tf.int32)
    part_mm, part_radius_mm = (tf.gather(value, part, batch_dims=1) for value in (body_mm, radii_mm))
    farthest_mm = tf.reduce_max(scene.hand.joints_mm[..., 2], axis=1) + 10.0 + 400.0 * gap**2
    hand_mm = tf.reduce_mean(scene.hand.joints_mm, axis=1)
    noise = tf.random.stateless_normal([count, 2], seeds[3]) * 110.0
    front_mm = farthest_mm + part_radius_mm * scale[:, 0]
    place_mm = tf.concat([hand_mm[:, :2] + noise, front_mm[:, None]], axis=1)
    moved_mm = (body_mm - part_mm[:, None]) * scale[..., None] + place_mm[:, None]
    # No part of the body comes before the hand.
    before_mm = tf.reduce_min(moved_mm[..., 2] - radii_mm * scale, axis=1)
    moved_mm += tf.nn.relu(farthest_mm - before_mm)[:, None, None] * tf.constant([0.0, 0.0, 1.0])
    chosen = chosen < PERSON
    behind_mm = tf.reduce_max(moved_mm[..., 2], axis=1) + 150.0 + 1500.0 * size
    wall = tf.stack([0.2 * (gap - 0.5), 0.4 * (size - 0.5), -tf.ones_like(gap)], axis=-1)
    wall = tf.concat([tf.math.l2_normalize(wall, axis=-1), -behind_mm[:, None]], axis=-1)
    nowhere = tf.constant([0.0, 0.0, -1.0, -NOWHERE_MM])
    return scene._replace(
        body=(
            tf.where(chosen[:, None, None], moved_mm, scene.body[0]),
            tf.where(chosen[:, None], radii_mm * scale, scene.body[1]),
        ),
        planes=tuple(tf.where(chosen[:, None], other, plane) for plane, other in zip(scene.planes, (nowhere, wall))),
    )


def _with_long_arms(hand: HandState, seed: tf.Tensor) -> HandState:
    """Arms that go on beyond the elbow, so that they leave most views."""
    count = hand.radii_mm.shape[0]
    long, length = tf.unstack(tf.random.stateless_uniform([2, count], seed))
    wrist_mm = hand.centers_mm[:, surface.SPHERE_INDEX["forearm_ulnar"]]
    elbow_mm = hand.centers_mm[:, surface.SPHERE_INDEX["elbow_ulnar"]]
    more_mm = tf.where(long < LONG_ARM, 1.6 * length, 0.0)[:, None] * (elbow_mm - wrist_mm)
    # Not through the camera.
    more_mm *= tf.cast(elbow_mm[:, 2:] + more_mm[:, 2:] > 150.0, tf.float32)
    return hand._replace(centers_mm=hand.centers_mm + tf.where(_ELBOW[:, None], more_mm[:, None], 0.0))


def _clutter(scene: Scene, seed: tf.Tensor) -> Things:
    """In some scenes a box, a bar or a ball far from the hand: on the first plane, or loose behind it."""
    count = scene.other_right.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 3))
    a, b, c, turn, angle, away, lift, shown = tf.unstack(tf.random.stateless_uniform([8, count], seeds[0]))
    kind = tf.random.stateless_uniform([count], seeds[1], 0, 3, tf.int32)
    zero = tf.zeros_like(a)
    box = tf.stack([15.0 + 150.0 * a**2, 15.0 + 150.0 * b**2, 4.0 + 90.0 * c**2], axis=-1)
    bar = tf.stack([30.0 + 160.0 * a, zero, zero], axis=-1)
    half_mm = tf.gather(tf.stack([box, bar, tf.zeros_like(box)], axis=1), kind, batch_dims=1)
    round_mm = tf.gather(tf.stack([zero + 2.0, 6.0 + 40.0 * b, 15.0 + 85.0 * b], axis=1), kind, batch_dims=1)
    plane = scene.planes[0]
    normal, on_plane = plane[:, :3], plane[:, 3] > -0.5 * NOWHERE_MM
    frame = surroundings.frame_of(normal)
    rotation = frame @ axis_rotation((0.0, 0.0, 1.0), 2.0 * math.pi * turn)
    # Some stand upright.
    upright = rotation @ axis_rotation((0.0, 1.0, 0.0), zero + 0.5 * math.pi)
    rotation = tf.where((c < 0.4)[:, None, None], upright, rotation)
    loose = rotation_from_6d(tf.random.stateless_normal([count, 6], seeds[2]))
    rotation = tf.where(on_plane[:, None, None], rotation, loose)
    hand_mm = tf.reduce_mean(scene.hand.joints_mm, axis=1)
    away_mm, angle = 130.0 + 600.0 * away, 2.0 * math.pi * angle
    along_mm = tf.stack([away_mm * tf.cos(angle), away_mm * tf.sin(angle), zero], axis=-1)
    across_mm = tf.reduce_sum(tf.abs(tf.einsum("bij,bi->bj", rotation, normal)) * half_mm, axis=-1) + round_mm
    height_mm = plane[:, 3] - tf.reduce_sum(hand_mm * normal, axis=-1) + across_mm
    lying_mm = hand_mm + tf.linalg.matvec(frame, along_mm) + height_mm[:, None] * normal
    loose_mm = hand_mm + along_mm + tf.stack([zero, zero, 800.0 * lift - 100.0], axis=-1)
    center_mm = tf.where(on_plane[:, None], lying_mm, loose_mm)
    clear = center_mm[:, 2] - tf.norm(half_mm, axis=-1) - round_mm > 120.0
    return things.only(Things(center_mm, rotation, half_mm, round_mm), (shown < _CLUTTER_SHOWN) & clear)
