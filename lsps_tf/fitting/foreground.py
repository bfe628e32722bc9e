"""What in a crop can be the hand: what is near to where a prediction has it, and on no table or wall. NumPy.

Planes are looked for one after another with random samples (Fischler & Bolles, 1981). Palms and backs of hands are
flat, too. A hand lies on its table and never beneath it, so a plane that the predicted hand reaches through is no
table, unless it is larger than hands are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Farther than this from the predicted hand nothing is the hand's. Predictions are 15 to 25 mm off, joint by joint.
NEAR_MM = 25.0
# Readings on a plane are this near to it; what is flat on a table still rises above it by more.
_ON_PLANE_MM = 6.0
_MOST_PLANES = 3
_SAMPLES = 150
# A sample's three points lie within so many pixels.
_REACH = 9
# Parts of the image: planes are looked for in no fewer readings, and none has fewer.
_FEWEST_LEFT, _FEWEST_ON_PLANE = 0.04, 0.06
# No hand is as large beside where the prediction has it.
_LARGE = 0.25
# A hand's joints lie above a plane by this in the mean. At most this part of them is so far beneath it, by mistake.
_MEAN_ABOVE_MM, _BENEATH_MM, _BENEATH = 6.0, 8.0, 0.1


class Plane(NamedTuple):
    """Unit normal [3], towards the camera, and its product with the plane's points, mm."""

    normal: np.ndarray
    offset_mm: float


def can_be_hand(
    points_mm: np.ndarray, shown: np.ndarray, distance_mm: np.ndarray, joints_mm: np.ndarray, seed: int
) -> np.ndarray:
    """Where in B crops the hand can be, bool [B, S, S].

    Args:
        points_mm: [B, S, S, 3] measured, from the crop's centre.
        shown: [B, S, S], where something was measured.
        distance_mm: [B, S, S], of the points from the predicted hand's surface.
        joints_mm: [B, J, 3] predicted, from the crop's centre.
        seed: of the random samples.
    """
    rng = np.random.default_rng(seed)
    near = shown & (distance_mm < NEAR_MM)
    flat = [flat_surroundings(*each, rng) for each in zip(points_mm, shown, near, joints_mm)]
    return near & ~np.stack(flat)


def flat_surroundings(
    points_mm: np.ndarray, shown: np.ndarray, near: np.ndarray, joints_mm: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Where one crop shows a table or a wall, or what lies beneath it, bool [S, S]; arguments as of `can_be_hand`."""
    flat, left = np.zeros(shown.shape, bool), shown
    for _ in range(_MOST_PLANES):
        plane = _find_plane(points_mm, left, left & ~near, joints_mm, rng)
        if plane is None:
            break
        height_mm = points_mm @ plane.normal - plane.offset_mm
        if np.sum(left & (np.abs(height_mm) < _ON_PLANE_MM)) < _FEWEST_ON_PLANE * shown.size:
            break
        flat = flat | (left & (height_mm < _ON_PLANE_MM))
        left = shown & ~flat
    return flat


def _find_plane(
    points_mm: np.ndarray, left: np.ndarray, far: np.ndarray, joints_mm: np.ndarray, rng: np.random.Generator
) -> Plane | None:
    """The plane that most of the readings `far` from the hand lie on; None without one beneath the hand."""
    rows, columns = np.nonzero(far)
    if len(rows) < _FEWEST_LEFT * far.size:
        return None
    normals, offsets_mm = _sample_planes(points_mm, left, rows, columns, rng)
    if not len(normals):
        return None
    far_mm = points_mm[far]
    on_planes = np.mean(np.abs(far_mm[::2] @ normals.T - offsets_mm) < _ON_PLANE_MM, axis=0) * len(far_mm) / far.size
    possible = (on_planes > _LARGE) | _is_beneath(joints_mm @ normals.T - offsets_mm)
    best = np.where(possible, on_planes, -1.0).argmax()
    if not possible[best]:
        return None
    plane = Plane(normals[best], offsets_mm[best])
    for _ in range(2):
        on_plane = far_mm[np.abs(far_mm @ plane.normal - plane.offset_mm) < _ON_PLANE_MM]
        if len(on_plane) < 10:
            return None
        plane = _least_squares(on_plane)
    large = len(on_plane) > _LARGE * far.size
    return plane if large or _is_beneath((joints_mm @ plane.normal - plane.offset_mm)[:, None])[0] else None


def _sample_planes(
    points_mm: np.ndarray, left: np.ndarray, rows: np.ndarray, columns: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Normals [K, 3] and offsets [K] of planes through three neighbouring readings."""
    first = rng.integers(len(rows), size=_SAMPLES)
    corners, usable = [points_mm[rows[first], columns[first]]], np.ones(_SAMPLES, bool)
    for step in rng.integers(-_REACH, _REACH + 1, (2, 2, _SAMPLES)):
        row, column = (np.clip(place[first] + move, 0, len(left) - 1) for place, move in zip((rows, columns), step))
        usable &= left[row, column]
        corners.append(points_mm[row, column])
    normals = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    doubled_area = np.linalg.norm(normals, axis=1)
    usable &= doubled_area > 100.0
    normals = normals[usable] / doubled_area[usable, None]
    normals *= np.where(normals[:, 2:] > 0.0, -1.0, 1.0)
    return normals, np.sum(normals * corners[0][usable], axis=1)


def _least_squares(points_mm: np.ndarray) -> Plane:
    middle = points_mm.mean(axis=0)
    normal = np.linalg.eigh((points_mm - middle).T @ (points_mm - middle))[1][:, 0]
    normal = -normal if normal[2] > 0.0 else normal
    return Plane(normal, normal @ middle)


def _is_beneath(heights_mm: np.ndarray) -> np.ndarray:
    """Whether planes can be beneath the joints, whose heights above them are [J, K]."""
    return (heights_mm.mean(axis=0) > _MEAN_ABOVE_MM) & ((heights_mm < -_BENEATH_MM).mean(axis=0) < _BENEATH)
