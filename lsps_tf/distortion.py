"""Lens distortion: rays of a lens to rays of a pinhole camera, and frames of a lens to frames of a pinhole camera.

A ray is x / z and y / z in camera space, right and down. A model's coefficients stand in the order of the program that
it comes from:

    brown-conrady             k1 k2 p1 p2 [k3]            OpenCV; "plumb_bob" in ROS (Brown, 1971)
    rational                  k1 k2 p1 p2 k3 k4 k5 k6     OpenCV; "rational_polynomial" in ROS; the Azure Kinect
    kannala-brandt            k1 k2 k3 k4                 OpenCV's fisheye; "equidistant" in ROS (Kannala, Brandt, 2006)
    modified-brown-conrady    k1 k2 p1 p2 k3              RealSense: tangential after radial distortion
    inverse-brown-conrady     k1 k2 p1 p2 k3              RealSense: Brown-Conrady from the lens to the pinhole
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from lsps_tf.camera import Camera
from lsps_tf.errors import InputError

# How many coefficients each model has at most; what is left out is 0.
_COUNTS = {
    "none": 0,
    "brown-conrady": 5,
    "rational": 8,
    "kannala-brandt": 4,
    "modified-brown-conrady": 5,
    "inverse-brown-conrady": 5,
}
# What ROS, OpenCV, RealSense, Orbbec and the Azure Kinect call the models, in lower case with one blank between words.
_NAMES = {
    "none": "none",
    "": "none",
    "plumb bob": "brown-conrady",
    "brown conrady": "brown-conrady",
    "brown conrady k6": "rational",
    "rational polynomial": "rational",
    "equidistant": "kannala-brandt",
    "fisheye": "kannala-brandt",
    "kannala brandt4": "kannala-brandt",
    "modified brown conrady": "modified-brown-conrady",
    "inverse brown conrady": "inverse-brown-conrady",
}
_ITERATIONS, _STEP, _CONVERGED = 30, 1e-6, 1e-9
# Rays whose way to the lens and back ends elsewhere lie where the polynomial folds the image over.
_FOLDED = 1e-4


@dataclasses.dataclass(frozen=True)
class Distortion:
    """A lens' distortion.

    Attributes:
        model: one of the module's models, or "none".
        coefficients: in the model's order.
    """

    model: str = "none"
    coefficients: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        """Whether rays of the lens differ from a pinhole's."""
        return self.model == "kannala-brandt" or any(self.coefficients)


NO_DISTORTION = Distortion()


def named_distortion(name: str, coefficients: tuple[float, ...], source: object) -> Distortion:
    """The distortion that a file of another program names.

    Args:
        name: of the model, as ROS, RealSense or OpenCV write it.
        coefficients: in that program's order; zeros may follow.
        source: what messages name.

    Raises:
        InputError: where the model is unknown, or has other coefficients.
    """
    model = _NAMES.get(" ".join(name.lower().replace("_", " ").replace("-", " ").split()))
    if model is None or (model == "none" and any(coefficients)):
        raise InputError(
            f"{source}: the lens' distortion model '{name}' is not known; undistort the frames with the camera's own "
            "program, or record rectified depth"
        )
    if not np.isfinite(coefficients).all():
        raise InputError(f"{source}: the lens' distortion has coefficients that are no numbers; calibrate again")
    count = _COUNTS[model]
    if model == "brown-conrady" and any(coefficients[count:]):
        # OpenCV's one function takes both, and tells them by the number of coefficients.
        model, count = "rational", _COUNTS["rational"]
    if any(coefficients[count:]):
        raise InputError(
            f"{source}: the lens' distortion '{name}' has {len(coefficients)} coefficients, not {count}; thin prisms "
            "and tilted sensors are not undone: undistort the frames with the camera's own program"
        )
    kept = tuple(float(value) for value in coefficients[:count])
    return Distortion(model, kept + (0.0,) * (count - len(kept)))


def undistort_rays(rays: np.ndarray, distortion: Distortion) -> np.ndarray:
    """Rays that a lens measures [..., 2] to a pinhole's, float64 [..., 2]; NaN where no ray of a pinhole ends there."""
    rays = np.asarray(rays, np.float64)
    if not distortion:
        return rays
    forward = _MODELS[distortion.model]
    if distortion.model == "inverse-brown-conrady":
        return forward(rays, distortion.coefficients)
    if distortion.model == "kannala-brandt":
        return _undistort_fisheye(rays, distortion.coefficients)
    return _invert(lambda found: forward(found, distortion.coefficients), rays)


def distort_rays(rays: np.ndarray, distortion: Distortion) -> np.ndarray:
    """A pinhole's rays [..., 2] to those that the lens measures, float64 [..., 2]; NaN where the lens has none."""
    rays = np.asarray(rays, np.float64)
    if not distortion:
        return rays
    forward = _MODELS[distortion.model]
    if distortion.model == "inverse-brown-conrady":
        return _invert(lambda found: forward(found, distortion.coefficients), rays)
    distorted = forward(rays, distortion.coefficients)
    back = undistort_rays(distorted, distortion)
    apart = np.abs(back - rays).max(axis=-1, keepdims=True)
    return np.where(apart < _FOLDED * (1.0 + np.abs(rays).max(axis=-1, keepdims=True)), distorted, np.nan)


def undistort_pixels(pixels: np.ndarray, intrinsics: np.ndarray, distortion: Distortion) -> np.ndarray:
    """Pixels of the lens' frame [..., 2] (u, v) to those of the pinhole camera with the same intrinsics (4,)."""
    if not distortion:
        return np.asarray(pixels, np.float64)
    focal, middle = np.split(np.asarray(intrinsics, np.float64), 2)
    return undistort_rays((np.asarray(pixels, np.float64) - middle) / focal, distortion) * focal + middle


def undistort_depth(depth: np.ndarray, camera: Camera, distortion: Distortion) -> np.ndarray:
    """A lens' depth frame as the pinhole camera with the same intrinsics has it.

    The nearest reading is taken, since between two readings there is often an edge. Depth is along the optical axis,
    so its value stays.

    Args:
        depth: [H, W], any type of number, 0 = no reading.
        camera: the lens' intrinsics and the frame's size.
        distortion: of the lens.

    Returns:
        [H, W] of the same type, 0 where the lens did not look.
    """
    if not distortion:
        return depth
    source = _source_pixels(camera, distortion)
    flat = depth.reshape(-1)
    return np.where(source < 0, flat.dtype.type(0), flat[source])


@functools.lru_cache(maxsize=8)
def _source_pixels(camera: Camera, distortion: Distortion) -> np.ndarray:
    """Per pixel of the pinhole's frame the place of the lens' pixel in its flattened frame, int32 [H, W]; -1: none."""
    v, u = np.mgrid[: camera.height, : camera.width]
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy], axis=-1)
    lens = distort_rays(rays, distortion)
    with np.errstate(invalid="ignore"):
        column = np.rint(lens[..., 0] * camera.fx + camera.cx)
        row = np.rint(lens[..., 1] * camera.fy + camera.cy)
        inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    return np.where(inside, np.nan_to_num(row * camera.width + column), -1).astype(np.int32)


def _brown_conrady(rays: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    k1, k2, p1, p2, k3, k4, k5, k6 = (*coefficients, 0.0, 0.0, 0.0)[:8]
    x, y = rays[..., 0], rays[..., 1]
    r2 = x * x + y * y
    radial = (1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1.0 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return np.stack(
        [
            x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
            y * radial + 2.0 * p2 * x * y + p1 * (r2 + 2.0 * y * y),
        ],
        axis=-1,
    )


def _modified_brown_conrady(rays: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    k1, k2, p1, p2, k3 = coefficients
    r2 = np.sum(rays * rays, axis=-1, keepdims=True)
    radial = rays * (1.0 + r2 * (k1 + r2 * (k2 + r2 * k3)))
    x, y = radial[..., 0], radial[..., 1]
    r2 = r2[..., 0]
    return np.stack(
        [x + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x), y + 2.0 * p2 * x * y + p1 * (r2 + 2.0 * y * y)], axis=-1
    )


def _kannala_brandt(rays: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    radius = np.linalg.norm(rays, axis=-1, keepdims=True)
    bent = _bend(np.arctan(radius), coefficients)
    return rays * np.where(radius > 0, bent / np.maximum(radius, 1e-300), 1.0)


def _undistort_fisheye(rays: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    """In the angle to the axis, where it is a polynomial of one variable; beyond 90 degrees a pinhole sees nothing."""
    bent = np.linalg.norm(rays, axis=-1, keepdims=True)
    angle = np.minimum(bent, 1.5)
    for _ in range(_ITERATIONS):
        slope = (_bend(angle + _STEP, coefficients) - _bend(angle - _STEP, coefficients)) / (2.0 * _STEP)
        angle = angle - (_bend(angle, coefficients) - bent) / np.where(np.abs(slope) > 1e-6, slope, 1e-6)
    good = (np.abs(_bend(angle, coefficients) - bent) < _CONVERGED) & (angle >= 0) & (angle < 0.5 * np.pi)
    with np.errstate(invalid="ignore"):
        scale = np.where(bent > 0, np.tan(np.where(good, angle, 0.0)) / np.maximum(bent, 1e-300), 1.0)
    return np.where(good, rays * scale, np.nan)


def _bend(angle: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    k1, k2, k3, k4 = coefficients
    square = angle * angle
    return angle * (1.0 + square * (k1 + square * (k2 + square * (k3 + square * k4))))


def _invert(forward: Callable[[np.ndarray], np.ndarray], wanted: np.ndarray) -> np.ndarray:
    """Newton's method from `wanted` on, two equations per ray; NaN where it does not arrive.

    Fixed-point iteration, which is common here, does not converge for strong lenses.
    """
    found = wanted.copy()
    with np.errstate(all="ignore"):
        for _ in range(_ITERATIONS):
            error = forward(found) - wanted
            if np.nanmax(np.abs(error), initial=0.0) < 1e-3 * _CONVERGED:
                break
            columns = [(forward(found + step) - forward(found - step)) / (2.0 * _STEP) for step in np.eye(2) * _STEP]
            (a, c), (b, d) = (np.moveaxis(column, -1, 0) for column in columns)
            determinant = a * d - b * c
            x, y = np.moveaxis(error, -1, 0)
            found = found - np.stack([d * x - b * y, a * y - c * x], axis=-1) / determinant[..., None]
        good = np.abs(forward(found) - wanted).max(axis=-1, keepdims=True) < _CONVERGED
    return np.where(good, found, np.nan)


_MODELS = {
    "brown-conrady": _brown_conrady,
    "rational": _brown_conrady,
    "kannala-brandt": _kannala_brandt,
    "modified-brown-conrady": _modified_brown_conrady,
    "inverse-brown-conrady": _brown_conrady,
}
