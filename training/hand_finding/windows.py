"""Examples for the hand finder's judge: windows of the simulator with and without hands, and centres to look at.

A window is a rendered crop that is larger than the judge's, so that several centres in it can be judged: near the hand,
on its arm, on a body, a wall or other things.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.hand_finding import search
from lsps_tf.simulation import kinematics, pose_prior, renderer, scenes, sensor, shape, surface, view_prior

WINDOW_SIZE = 96
WINDOW_MM = 520.0
CENTERS = 10
_KINDS = 5
# A centre within this distance of the hand's middle shows the hand; what is between the two is left out of training.
HAND_MM, NO_HAND_MM = 45.0, 80.0
_ITERATIONS = 4
_THINNING = 2
_THINGS = 7
_FAR_AWAY = tf.constant([1e5, 1e5, 1e5])


class Windows(NamedTuple):
    """B windows, float32.

    Attributes:
        depth_mm: [B, S, S], 0 = no reading.
        center_mm: [B, 3] camera space, the window's centre.
        joints_mm: [B, 36, 3]; NaN where there is no hand.
        looks_mm: [B, CENTERS, 3] centres to judge.
    """

    depth_mm: tf.Tensor
    center_mm: tf.Tensor
    joints_mm: tf.Tensor
    looks_mm: tf.Tensor


def make_windows(sensor_name: str, subjects: shape.HandShape, count: int, seed: tf.Tensor) -> Windows:
    """Random windows, three in four with a hand.

    Args:
        sensor_name: of `sensor.SENSORS`.
        subjects: shapes that the hands are drawn from.
        count: B.
        seed: int32 [2].
    """
    seeds = tf.unstack(tf.random.split(seed, 10))
    near_mm, far_mm = sensor.get_sensor(sensor_name).distance_mm
    number = tf.random.stateless_uniform([count], seeds[0], 0, subjects.radii_mm.shape[0], tf.int32)
    hand = kinematics.pose_hand(
        pose_prior.sample_angles(seeds[1], count),
        view_prior.sample_rotation(seeds[2], count, spread=1.3),
        view_prior.sample_translation(seeds[3], count, 0.9 * near_mm, 1.2 * far_mm),
        tf.nest.map_structure(lambda part: tf.gather(part, number), subjects),
    )
    shown = tf.random.stateless_uniform([count], seeds[4]) < 0.75
    centers_mm, radii_mm, cones, wedges = _surface(hand, shown, seeds[5])
    place = tf.random.stateless_normal([count, 3], seeds[6])
    center_mm = tf.where(shown[:, None], tf.reduce_mean(hand.joints_mm, 1), hand.joints_mm[:, 34])
    center_mm += place * tf.constant([60.0, 60.0, 30.0])
    depth_mm = renderer.render_crop(centers_mm, radii_mm, cones, wedges, center_mm, WINDOW_MM, WINDOW_SIZE)
    depth_mm = _with_plane(depth_mm, center_mm, seeds[7])
    pixel_size = sensor.pixel_size_of_crop(sensor_name, center_mm, WINDOW_MM, WINDOW_SIZE)
    depth_mm = sensor.apply_sensor(sensor_name, depth_mm, pixel_size, seeds[8])
    nowhere = tf.constant(np.nan, tf.float32)
    joints_mm = tf.where(shown[:, None, None], hand.joints_mm, nowhere)
    middle_mm = tf.reduce_mean(joints_mm, axis=1)
    looks = [
        _draw_looks(depth_mm, center_mm, middle_mm, tf.random.fold_in(seeds[9], i)) for i in range(CENTERS // _KINDS)
    ]
    return Windows(depth_mm, center_mm, joints_mm, tf.concat(looks, axis=1))


def _draw_looks(depth_mm: tf.Tensor, center_mm: tf.Tensor, middle_mm: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Centres to judge in each window, [B, _KINDS, 3] mm.

    Two are near the hand (in a window without one: near its middle), refined as the finder does; two start anywhere on
    a surface, one of them refined; one has been moved off the hand by up to its size.
    """
    count = depth_mm.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 3))
    thinned_mm = depth_mm[:, ::_THINNING, ::_THINNING]
    intrinsics = crop.crop_intrinsics(center_mm, WINDOW_MM, WINDOW_SIZE) / _THINNING
    points_mm = tf.reshape(crop.depth_to_points(thinned_mm, intrinsics), [count, -1, 3])
    chance = tf.random.stateless_uniform([count, points_mm.shape[1], 2], seeds[0])
    chance = tf.where(points_mm[..., 2:] > 0.0, chance, -1.0)
    anywhere_mm = tf.gather(points_mm, tf.argmax(chance, axis=1), batch_dims=1)
    hand_mm = tf.where(tf.math.is_finite(middle_mm), middle_mm, center_mm)
    starts_mm = tf.stack([hand_mm, hand_mm, *tf.unstack(anywhere_mm, axis=1), hand_mm], axis=1)
    noise = tf.random.stateless_normal(tf.shape(starts_mm), seeds[1])
    starts_mm += noise * tf.constant([15.0, 30.0, 20.0, 20.0, 70.0])[:, None]
    starts_mm = tf.concat([starts_mm[..., :2], tf.maximum(starts_mm[..., 2:], 50.0)], axis=-1)
    refined_mm = [
        search.refine_center(thinned_mm, intrinsics, start_mm, _ITERATIONS)
        for start_mm in tf.unstack(starts_mm[:, :3], axis=1)
    ]
    refined_mm = tf.stack(refined_mm, axis=1)
    refined_mm += tf.random.stateless_normal(tf.shape(refined_mm), seeds[2]) * 6.0
    return tf.concat([refined_mm, starts_mm[:, 3:]], axis=1)


def _surface(hand: kinematics.HandState, shown: tf.Tensor, seed: tf.Tensor):
    """Spheres, radii, cones and wedges of hand and arm, and at random of a body or of a few things besides."""
    count = hand.radii_mm.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 6))
    body_mm, body_radii_mm = scenes.body_of(hand, seeds[0])
    with_body = tf.random.stateless_uniform([count], seeds[1]) < 0.4
    # Without a hand the body takes its place, so that heads, chests and shoulders are looked at.
    part = tf.random.stateless_uniform([count], seeds[2], 0, body_mm.shape[1], tf.int32)
    moved_mm = body_mm - tf.gather(body_mm, part, batch_dims=1)[:, None] + hand.joints_mm[:, 34][:, None]
    body_mm = tf.where(shown[:, None, None], body_mm, moved_mm)
    body_mm = tf.where(with_body[:, None, None], body_mm, _FAR_AWAY)
    things_mm = hand.joints_mm[:, 34][:, None] + tf.random.stateless_normal([count, _THINGS, 3], seeds[3]) * 90.0
    things_radii_mm = tf.exp(tf.random.stateless_uniform([count, _THINGS], seeds[4], np.log(8.0), np.log(110.0)))
    with_things = ~shown & ~with_body
    things_mm = tf.where(with_things[:, None, None], things_mm, _FAR_AWAY)
    # An arm without its hand is no hand either.
    arms = np.array([sphere.name.startswith(("forearm", "elbow")) for sphere in surface.SPHERES])
    arm_shown = tf.random.stateless_uniform([count], seeds[5]) < 0.5
    keep = shown[:, None] | (arms & arm_shown[:, None])
    hand_mm = tf.where(keep[..., None], hand.centers_mm, _FAR_AWAY)
    cones, wedges = surface.primitives(forearm=True)
    first = hand_mm.shape[1]
    body_cones, body_wedges = scenes.body_primitives(first)
    things = first + body_mm.shape[1] + np.arange(_THINGS)
    cones = np.concatenate([cones, body_cones, np.stack([things[:-1:2], things[1::2]], axis=1)])
    return (
        tf.concat([hand_mm, body_mm, things_mm], axis=1),
        tf.concat([hand.radii_mm, body_radii_mm, things_radii_mm], axis=1),
        cones,
        np.concatenate([wedges, body_wedges]),
    )


def _with_plane(depth_mm: tf.Tensor, center_mm: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Behind two windows in three a plane, tilted anyhow, that does not come before what the window shows."""
    count = depth_mm.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 3))
    slope = tf.random.stateless_normal([count, 2], seeds[0]) * 0.4
    steps = tf.linspace(-0.5, 0.5, WINDOW_SIZE) * WINDOW_MM
    plane_mm = slope[:, 0, tf.newaxis, tf.newaxis] * steps + slope[:, 1, tf.newaxis, tf.newaxis] * steps[:, None]
    before_mm = tf.reduce_max(tf.where(depth_mm > 0.0, depth_mm - plane_mm, -1e6), axis=[1, 2])
    before_mm = tf.where(before_mm > -1e6, before_mm, center_mm[:, 2])
    gap_mm = tf.exp(tf.random.stateless_uniform([count], seeds[1], np.log(15.0), np.log(600.0)))
    plane_mm += (before_mm + gap_mm)[:, tf.newaxis, tf.newaxis]
    chosen = tf.random.stateless_uniform([count], seeds[2]) < 0.67
    return tf.where((depth_mm > 0.0) | ~chosen[:, tf.newaxis, tf.newaxis], depth_mm, plane_mm)
