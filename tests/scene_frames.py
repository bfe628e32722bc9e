"""Whole frames of a small simulated camera, for tests of what finds hands in them."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from lsps_tf.camera import Camera
from lsps_tf.simulation import scenes, shape
from lsps_tf.simulation.time_of_flight import TimeOfFlight

SENSOR = dataclasses.replace(TimeOfFlight(), camera=Camera(180.0, 180.0, 121.0, 88.0, 240, 180))
CAMERA = SENSOR.camera


@functools.lru_cache(maxsize=8)
def hand_frames(kind: str = "bare", count: int = 8, number: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """depth_mm [count, H, W] and joints_mm [count, 36, 3]; do not change them."""
    seeds = tf.unstack(tf.random.split([number, 91], 3))
    hands = scenes.draw_hands(SENSOR, shape.sample_shape(seeds[2], 4), count, seeds[0])
    depth_mm, joints_mm = scenes.sense_scene(SENSOR, kind, hands, seeds[1], seeds[2])
    return depth_mm.numpy(), joints_mm.numpy()


@functools.lru_cache(maxsize=4)
def empty_frames(kind: str, count: int = 8) -> np.ndarray:
    """depth_mm [count, H, W] without a hand; do not change it."""
    return scenes.sense_empty(SENSOR, kind, count, tf.constant([17, 3])).numpy()
