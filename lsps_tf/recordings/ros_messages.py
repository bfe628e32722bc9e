"""Messages of ROS to depth and cameras: sensor_msgs' Image, CompressedImage and CameraInfo, of ROS 1 and ROS 2."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from lsps_tf import png
from lsps_tf.camera import Camera
from lsps_tf.distortion import NO_DISTORTION, Distortion, named_distortion
from lsps_tf.errors import InputError
from lsps_tf.recordings.recording import MAX_PIXELS, PacketError

try:
    from PIL import Image
except ImportError:
    # Edge devices have NumPy alone.
    Image = None

IMAGE, COMPRESSED, CAMERA_INFO = (f"sensor_msgs/msg/{name}" for name in ("Image", "CompressedImage", "CameraInfo"))
# REP 118: whole numbers are mm, floats are metres. What mono16 counts is said elsewhere.
UNITS_MM = {"16UC1": 1.0, "32FC1": 1000.0, "mono16": None}
_TYPES = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
# Of compressed_depth_image_transport: which codec, and the two numbers that floats are quantised with.
_CONFIG = np.dtype([("format", "<i4"), ("depth", "<f4", 2)])
_PNG_HEADER_BYTES = 26


def encoding_of(message: Any) -> str:
    """What an image's pixels are: "16UC1", "32FC1", "mono16", or another name, for a picture."""
    if hasattr(message, "encoding"):
        return {"mono16": "mono16"}.get(message.encoding, message.encoding.upper())
    encoding, _, codec = (part.strip() for part in message.format.partition(";"))
    encoding = encoding.upper()
    return encoding if encoding in UNITS_MM and "jpeg" not in codec else message.format


def counts_of(message: Any) -> np.ndarray:
    """The counts of a depth image, [H, W] of the type that its encoding says; float depth is metres.

    Raises:
        PacketError: where it is no depth, its codec is not read, or it is damaged.
    """
    encoding = encoding_of(message)
    if encoding not in UNITS_MM:
        raise PacketError(f"its pixels are '{encoding}', which is no depth; choose another topic with --topic")
    if not hasattr(message, "encoding"):
        return _decompress(message, encoding)
    width, height = message.width, message.height
    kind = np.dtype((">" if message.is_bigendian else "<") + _TYPES[encoding])
    if not 0 < width * height <= MAX_PIXELS or message.step < width * kind.itemsize:
        raise PacketError(f"its {width} x {height} pixels do not fit its rows of {message.step} bytes; record it again")
    content = np.asarray(message.data, np.uint8)
    if content.size < height * message.step:
        raise PacketError(f"it holds {content.size} bytes of {height * message.step}; record it again")
    rows = content[: height * message.step].reshape(height, message.step)[:, : width * kind.itemsize]
    return np.ascontiguousarray(rows).view(kind).astype(kind.newbyteorder("="), copy=False)


def time_ns_of(message: Any, recorded_ns: int) -> int:
    """When an image was taken, by the camera's clock; where that was not set, when it was recorded."""
    stamp = message.header.stamp
    return stamp.sec * 10**9 + stamp.nanosec or recorded_ns


def camera_of(message: Any, rectified: bool, source: str) -> tuple[Camera, Distortion]:
    """The camera of a CameraInfo, and its distortion.

    Args:
        message: of either ROS.
        rectified: whether the images have their distortion undone, as topics called "rect" have.
        source: what messages name.

    Raises:
        InputError: where its numbers have no meaning, or the distortion's model is unknown.
    """
    matrix = np.asarray(_field(message, "k"), np.float64)
    distortion = named_distortion(message.distortion_model, tuple(_field(message, "d")), source)
    if rectified:
        projection = np.asarray(_field(message, "p"), np.float64)
        # Some drivers leave P empty; K is the same where there is nothing to undo.
        if projection[0] > 0:
            matrix = projection.reshape(3, 4)[:, :3].reshape(-1)
        distortion = NO_DISTORTION
    across, down = max(message.binning_x, 1), max(message.binning_y, 1)
    left, top = message.roi.x_offset, message.roi.y_offset
    width = (message.roi.width or message.width) // across
    height = (message.roi.height or message.height) // down
    fx, _, cx, _, fy, cy = matrix[:6]
    # A pixel that holds several has its centre between theirs.
    cx, cy = (cx - left + 0.5) / across - 0.5, (cy - top + 0.5) / down - 0.5
    try:
        return Camera(float(fx / across), float(fy / down), float(cx), float(cy), width, height), distortion
    except ValueError as error:
        raise InputError(f"{source}: the camera's numbers have no meaning ({error}); calibrate it") from error


def camera_of_text(text: str, source: str) -> tuple[Camera, Distortion]:
    """The camera of a newer RealSense recording: "width=640;height=480;fx=...;ppx=...;model=...;coeffs=..."."""
    values = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
    try:
        fx, fy, cx, cy = (float(values[name]) for name in ("fx", "fy", "ppx", "ppy"))
        camera = Camera(fx, fy, cx, cy, int(values["width"]), int(values["height"]))
        coefficients = tuple(float(number) for number in values.get("coeffs", "0").split(","))
    except (KeyError, ValueError) as error:
        raise InputError(f"{source}: the camera's numbers cannot be read ({error}); record it again") from error
    return camera, named_distortion(values.get("model", "none"), coefficients, source)


def _field(message: Any, name: str) -> np.ndarray:
    """A field whose name is upper case in ROS 1."""
    return getattr(message, name.upper()) if hasattr(message, name.upper()) else getattr(message, name)


def _decompress(message: Any, encoding: str) -> np.ndarray:
    content = bytes(np.asarray(message.data, np.uint8))
    start = content.find(png.SIGNATURE, 0, _CONFIG.itemsize + len(png.SIGNATURE))
    if start < 0:
        raise PacketError(
            f"its depth is compressed as '{message.format}', which is not read; record it as PNG, or not compressed"
        )
    counts = _png_counts(content[start:])
    if encoding != "32FC1":
        return counts
    if start < _CONFIG.itemsize:
        raise PacketError("its floats are compressed without the numbers to undo it; record it again")
    # Floats are kept as a / depth + b, so that near ones are finer.
    slope, offset = np.frombuffer(content, _CONFIG, 1)["depth"][0]
    with np.errstate(divide="ignore"):
        return np.where(counts > 0, slope / (counts.astype(np.float32) - offset), 0.0).astype(np.float32)


def _png_counts(content: bytes) -> np.ndarray:
    """The counts of a 16-bit grayscale PNG, uint16 [H, W]."""
    width, height = (int.from_bytes(content[place : place + 4], "big") for place in (16, 20))
    if len(content) < _PNG_HEADER_BYTES or content[24] != 16 or content[25] != 0:
        raise PacketError("its PNG is not 16-bit grayscale, so it is no depth; choose another topic with --topic")
    if not 0 < width * height <= MAX_PIXELS:
        raise PacketError(f"its PNG has {width} x {height} pixels, more than a depth camera has")
    if Image is None:
        return png.decode_png(content)[1]
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image, np.uint16)
