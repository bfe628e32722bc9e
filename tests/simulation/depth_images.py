"""Depth images that sensors are tried on, and the sensors with every effect switched off."""

import dataclasses

import numpy as np
import tensorflow as tf

from lsps_tf.simulation import sensor
from tests.simulation.test_stereo import OFF as STEREO_OFF

SEED = tf.constant([3, 4])
ONE = tf.constant([1.0])
OFF = {
    "structured-light": dataclasses.replace(
        sensor.SENSORS["structured-light"],
        lateral_jitter_px=0.0,
        shadow=False,
        axial_noise_px=0.0,
        grazing_noise=0.0,
        grazing_limit_deg=0.0,
        missing_rate=0.0,
        missing_thin_rate=0.0,
        speckle_rate=0.0,
        disparity_step_px=0.0,
    ),
    "time-of-flight": dataclasses.replace(
        sensor.SENSORS["time-of-flight"],
        smoothing_px=0.0,
        flying_rate=0.0,
        noise_mm=0.0,
        wiggling_mm=0.0,
        multipath_mm=0.0,
        lowest_amplitude=0.0,
    ),
    "stereo": STEREO_OFF,
}


def ball_before_plate():
    """Two images of 64 x 96: a ball in front of a tilted plate that ends before the image does."""
    v, u = np.mgrid[0:64, 0:96].astype(np.float32)
    plate = np.where((u > 6) & (u < 88) & (v > 5), 700.0 + 0.8 * u + 0.3 * v, 0.0)
    inside = 20.0**2 - (u - 40) ** 2 - (v - 30) ** 2
    ball = np.where(inside > 0, 640.0 - np.sqrt(np.maximum(inside, 0)), np.inf)
    first = np.minimum(np.where(plate > 0, plate, np.inf), ball)
    first = np.where(np.isfinite(first), first, 0).astype(np.float32)
    return np.stack([first, first[::-1, ::-1]])


def even_depth(depth_mm, height=120, width=160, batch=1):
    """Images of one value, a depth or a rate."""
    return tf.fill([batch, height, width], float(depth_mm))
