"""Depth sensors by name: a clean depth image in, what the sensor would have reported out."""

from __future__ import annotations

from typing import Protocol

import tensorflow as tf

from lsps_tf.camera import Camera
from lsps_tf.errors import InputError
from lsps_tf.simulation.active_stereo import ActiveStereo
from lsps_tf.simulation.stereo import Stereo
from lsps_tf.simulation.structured_light import StructuredLight
from lsps_tf.simulation.time_of_flight import TimeOfFlight


class Sensor(Protocol):
    """What a sensor is: a frozen dataclass of settings in a module of its own, and a row of SENSORS.

    Attributes:
        camera: resolution and intrinsics.
        distance_mm: nearest and farthest hand that the sensor is used for.
    """

    camera: Camera
    distance_mm: tuple[float, float]

    def simulate(self, depth_mm: tf.Tensor, pixel_size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """All effects in the order in which they arise; arguments as of `apply_sensor`, but pixel_size is [B]."""


SENSORS: dict[str, Sensor] = {
    "structured-light": StructuredLight(),
    "time-of-flight": TimeOfFlight(),
    "stereo": Stereo(),
}
# A name for each of them in turn.
ALL_SENSORS = "all"
# Kept out of SENSORS, and so out of training: a camera that the simulator is not to know.
HELD_OUT_SENSOR = ActiveStereo()


def get_sensor(name: str) -> Sensor:
    """The settings of a sensor by its name; InputError for another name."""
    if name not in SENSORS:
        raise InputError(f"unknown sensor '{name}': choose one of {', '.join(SENSORS)}")
    return SENSORS[name]


def names_of(sensor: str) -> tuple[str, ...]:
    """The names that a name stands for: itself, or, of ALL_SENSORS, all; InputError for another one."""
    if sensor == ALL_SENSORS:
        return tuple(SENSORS)
    get_sensor(sensor)
    return (sensor,)


def pixel_size_of_crop(
    sensor: str | Sensor, center_mm: tf.Tensor, extent_mm: tf.Tensor | float, size: int
) -> tf.Tensor:
    """Sensor pixels that one pixel of a crop spans, [B]: extent_mm fx / (center_z size).

    Args:
        sensor: name or settings.
        center_mm: [B, 3] camera space.
        extent_mm: scalar or [B]: side of the square that the crop shows at its center's depth.
        size: pixels of the crop's side.
    """
    settings = get_sensor(sensor) if isinstance(sensor, str) else sensor
    return tf.cast(extent_mm, tf.float32) * settings.camera.fx / (center_mm[:, 2] * size)


def apply_sensor(
    sensor: str | Sensor, depth_mm: tf.Tensor, pixel_size: tf.Tensor | float, seed: tf.Tensor
) -> tf.Tensor:
    """What a sensor reports of a clean depth image; the same seed gives the same image.

    Args:
        sensor: a name of SENSORS, or settings (`dataclasses.replace` of them to switch effects off).
        depth_mm: float32 [B, H, W] along z, 0 = nothing there.
        pixel_size: scalar or [B], sensor pixels that one image pixel spans: 1 for whole frames of the sensor's
            resolution, `pixel_size_of_crop` for rendered crops.
        seed: (2,) int32.

    Returns:
        depth_mm float32 [B, H, W], 0 = no reading.

    Raises:
        InputError: unknown name.
    """
    settings = get_sensor(sensor) if isinstance(sensor, str) else sensor
    depth_mm = tf.convert_to_tensor(depth_mm, tf.float32)
    pixel_size = tf.broadcast_to(tf.cast(pixel_size, tf.float32), tf.shape(depth_mm)[:1])
    return settings.simulate(depth_mm, pixel_size, tf.cast(seed, tf.int32))
