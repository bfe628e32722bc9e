"""Pinhole cameras: camera space in mm (x right, y down, z forward) to pixels and depth (u, v, d) and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from lsps_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion; fx, fy, cx, cy, width and height in pixels."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int = 640
    height: int = 480

    def __post_init__(self):
        # As float32, which is what is computed with.
        with np.errstate(over="ignore"):
            values = self.intrinsics
        if not np.isfinite(values).all() or not (values[:2] > 0).all():
            given = (self.fx, self.fy, self.cx, self.cy)
            raise ValueError(f"a camera needs finite fx, fy, cx, cy with fx, fy > 0, not {given}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a camera needs a positive width and height, not {self.width} x {self.height}")

    @property
    def intrinsics(self) -> np.ndarray:
        """float32 (4,): fx, fy, cx, cy."""
        return np.array([self.fx, self.fy, self.cx, self.cy], np.float32)


# NYU: the dataset's own conversion (588.036865, 587.075073); ICVL and SR305: the makers' calibration.
NYU = Camera(588.036865, 587.075073, 320.0, 240.0, 640, 480)
ICVL = Camera(240.99, 240.96, 160.0, 120.0, 320, 240)
SR305 = Camera(476.007, 476.007, 313.683, 242.755, 640, 480)
CAMERAS = {"nyu": NYU, "icvl": ICVL, "sr305": SR305}


def as_camera(given: Camera | str | Sequence[float], height: int, width: int) -> Camera:
    """The camera of frames of this size.

    Args:
        given: the camera, a name of CAMERAS, or fx, fy, cx, cy in pixels.
        height: of the frames, pixels.
        width: of the frames, pixels.

    Raises:
        InputError: where there is no such camera, its numbers have no meaning, or its frames have another size.
    """
    if isinstance(given, str):
        if given.strip().lower() not in CAMERAS:
            raise InputError(f"camera: there is no '{given}'; give {', '.join(CAMERAS)}, or fx, fy, cx, cy in pixels")
        given = CAMERAS[given.strip().lower()]
    if not isinstance(given, Camera):
        try:
            fx, fy, cx, cy = (float(number) for number in given)
            given = Camera(fx, fy, cx, cy, width, height)
        except (TypeError, ValueError) as error:
            raise InputError(f"camera: fx, fy, cx, cy in pixels are needed, not {given} ({error})") from None
    if (given.height, given.width) != (height, width):
        raise InputError(
            f"camera: the frame is {width}x{height} pixels but the camera makes {given.width}x{given.height}; "
            "give the camera that made it"
        )
    return given


def mm_to_uvd(points_mm, intrinsics):
    """Projects camera-space points.

    Args:
        points_mm: (..., 3) x, y, z in mm, z > 0; NumPy array or tensor.
        intrinsics: (4,) or (..., 4) broadcastable against the points: fx, fy, cx, cy in pixels.

    Returns:
        (..., 3): u, v in pixels (pixel centres at integers) and d = z in mm, of the input's kind.
    """
    stack = _stack_like(points_mm)
    x, y, z = points_mm[..., 0], points_mm[..., 1], points_mm[..., 2]
    fx, fy, cx, cy = (intrinsics[..., i] for i in range(4))
    return stack([fx * x / z + cx, fy * y / z + cy, z])


def uvd_to_mm(points_uvd, intrinsics):
    """Inverse of `mm_to_uvd`, same shapes."""
    stack = _stack_like(points_uvd)
    u, v, d = points_uvd[..., 0], points_uvd[..., 1], points_uvd[..., 2]
    fx, fy, cx, cy = (intrinsics[..., i] for i in range(4))
    return stack([(u - cx) * d / fx, (v - cy) * d / fy, d])


def _stack_like(array):
    if isinstance(array, np.ndarray):
        return lambda parts: np.stack(parts, axis=-1)
    import tensorflow as tf

    return lambda parts: tf.stack(parts, axis=-1)
