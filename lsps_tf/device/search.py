"""Finding the hand on an edge device: `lsps_tf/hand_finding/search.py` in NumPy, for one frame, with the same numbers.

What differs is the work: only measured points near a centre are looked at, and a centre that stands still is done.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lsps_tf.device.presence import judge_presence
from lsps_tf.hand_finding.constants import (
    ARM_MM,
    ARM_SHARE,
    BLOB_SLABS,
    CELL_MM,
    CELLS,
    DIRECTIONS,
    FARTHEST_MM,
    ITERATIONS,
    NEARER_MM,
    NEAREST_MM,
    REACH_MM,
    SEARCH_WIDTH,
    SHELL_MM,
    SLAB_MM,
    SLABS,
    SMALLEST_HAND_MM2,
    SURE,
    TRACKING_ITERATIONS,
    WRIST_MM,
)

# A centre rarely moves farther than this from where its refinement starts; where it does, all points are looked at.
_MARGIN_MM = 60.0
# Nor does a hand, with its refinements, from one frame of a sequence to the next.
_STEP_MM = 150.0
_DIRECTIONS = np.array(DIRECTIONS, np.float32)


class Thinned(NamedTuple):
    """Every n-th pixel of a frame: depth_mm [H, W] and the intrinsics [4] that go with it."""

    depth_mm: np.ndarray
    intrinsics: np.ndarray


class FoundHand(NamedTuple):
    """A hand: center_mm [3], camera space, and a logit, above 0 where it looks like a right hand."""

    center_mm: np.ndarray
    right: float


def find_hands(depth_mm: np.ndarray, intrinsics: np.ndarray, count: int) -> list[FoundHand]:
    """Finds the hands that are nearest to the camera, at most `count`, the nearest first; arguments as `find_hand`."""
    center_mm = find_hand(depth_mm, intrinsics)
    return [] if center_mm is None or count < 1 else [FoundHand(center_mm, 0.0)]


def find_hand(depth_mm: np.ndarray, intrinsics: np.ndarray) -> np.ndarray | None:
    """Finds the hand that is nearest to the camera.

    Args:
        depth_mm: [H, W] of any type of number, 0 = no reading.
        intrinsics: [4] fx, fy, cx, cy in pixels.

    Returns:
        center_mm [3], camera space; None where there is no hand in range.
    """
    return _find(_thinned(depth_mm, intrinsics))


def track_hand(depth_mm: np.ndarray, intrinsics: np.ndarray, previous_mm: np.ndarray) -> tuple[np.ndarray | None, bool]:
    """Finds the hand of a sequence's next frame from where it was, `previous_mm` [3]: cheaper, and the same hand.

    Returns:
        center_mm [3], or None where there is no hand, and whether the centre came from the previous one.
    """
    frame, previous_mm = _thinned(depth_mm, intrinsics), np.asarray(previous_mm, np.float32)
    center_mm = _follow(frame, _points(frame, previous_mm), previous_mm)
    if center_mm is None or np.abs(center_mm - previous_mm).max() > _STEP_MM:
        # The part of the frame that was looked at may have been too small.
        center_mm = _follow(frame, _points(frame), previous_mm)
    return (_find(frame), False) if center_mm is None else (center_mm, True)


def refine_center(
    depth_mm: np.ndarray, intrinsics: np.ndarray, start_mm: np.ndarray, iterations: int = ITERATIONS
) -> np.ndarray:
    """Moves a rough centre [3] of a hand to its centre of mass without the forearm; [3] mm, camera space."""
    frame = Thinned(depth_mm, np.asarray(intrinsics, np.float32))
    return _refine(_points(frame), np.asarray(start_mm, np.float32), iterations)


def _find(frame: Thinned) -> np.ndarray | None:
    points_mm = _points(frame)
    start_mm = _nearest_blob(points_mm, frame.intrinsics)
    if start_mm is None:
        return None
    starts_mm = _with_extremes(points_mm, start_mm)
    # Many starts end in the same centre, which is looked at once.
    centers_mm = np.unique([_refine(points_mm, start_mm, ITERATIONS) for start_mm in starts_mm], axis=0)
    presence, middles_mm = judge_presence(*frame, centers_mm)
    best = np.argmax(np.minimum(presence, SURE) - centers_mm[:, 2] / NEARER_MM)
    center_mm = _refine(points_mm, middles_mm[best], ITERATIONS)
    return center_mm if _is_hand(frame, center_mm) else None


def _follow(frame: Thinned, points_mm: np.ndarray, previous_mm: np.ndarray) -> np.ndarray | None:
    start_mm = _refine(points_mm, previous_mm, TRACKING_ITERATIONS)
    _, middles_mm = judge_presence(*frame, start_mm[None])
    center_mm = _refine(points_mm, middles_mm[0], ITERATIONS)
    return center_mm if _is_hand(frame, center_mm) else None


def _is_hand(frame: Thinned, center_mm: np.ndarray) -> bool:
    return bool(judge_presence(*frame, center_mm[None])[0][0] > 0.0)


def _thinned(depth_mm: np.ndarray, intrinsics: np.ndarray) -> Thinned:
    stride = max(1, depth_mm.shape[1] // SEARCH_WIDTH)
    return Thinned(depth_mm[::stride, ::stride], np.asarray(intrinsics, np.float32) / np.float32(stride))


def _points(frame: Thinned, around_mm: np.ndarray | None = None) -> np.ndarray:
    """Measured points, float32 [3, N] camera space; of the part of the frame around a place, where one is given."""
    fx, fy, cx, cy = frame.intrinsics
    (bottom, right), top, left = frame.depth_mm.shape, 0, 0
    if around_mm is not None:
        left, right = _window(fx, cx, around_mm[0], around_mm[2], right)
        top, bottom = _window(fy, cy, around_mm[1], around_mm[2], bottom)
    part = frame.depth_mm[top:bottom, left:right].astype(np.float32)
    rows, columns = np.nonzero(part)
    z = part[rows, columns]
    x = ((columns + left).astype(np.float32) - cx) / fx
    y = ((rows + top).astype(np.float32) - cy) / fy
    return np.stack([z * x, z * y, z])


def _window(focal: float, principal: float, middle_mm: float, depth_mm: float, count: int) -> tuple[int, int]:
    """The pixels, of `count`, that may show what lies around a place: first and last plus one."""
    reach_mm = SHELL_MM[1] + _STEP_MM
    depths_mm = max(depth_mm - reach_mm, 1.0), depth_mm + reach_mm
    ends = [focal * (middle_mm + side) / d + principal for side in (-reach_mm, reach_mm) for d in depths_mm]
    first = int(np.clip(math.floor(min(ends)), 0, count))
    return first, int(np.clip(math.ceil(max(ends)) + 1, first, count))


def _nearest_blob(points_mm: np.ndarray, intrinsics: np.ndarray) -> np.ndarray | None:
    """A point [3] on what is nearest; None where nothing has a hand's surface."""
    z = points_mm[2]
    in_range = (z >= NEAREST_MM) & (z < FARTHEST_MM)
    area_mm2 = np.where(in_range, z * z / (intrinsics[0] * intrinsics[1]), np.float32(0.0))
    slab = _nearest_slab(z, area_mm2)
    if slab is None:
        return None
    behind_mm = z - np.float32(NEAREST_MM + SLAB_MM * slab)
    in_blob = (behind_mm >= 0.0) & (behind_mm < BLOB_SLABS * SLAB_MM)
    return _densest_cell(points_mm[:, in_blob], (area_mm2 * np.exp(-behind_mm / np.float32(SLAB_MM)))[in_blob])


def _nearest_slab(depth_mm: np.ndarray, area_mm2: np.ndarray) -> int | None:
    """The first depth slab from which on a blob's thickness holds a hand's surface."""
    index = np.clip(((depth_mm - np.float32(NEAREST_MM)) / np.float32(SLAB_MM)).astype(np.int32), 0, SLABS - 1)
    area = np.bincount(index, area_mm2, SLABS)
    upto = np.concatenate([[0.0], np.cumsum(area)])
    blob = upto[np.minimum(np.arange(SLABS) + BLOB_SLABS, SLABS)] - upto[:-1]
    enough = (blob >= SMALLEST_HAND_MM2) & (area >= 0.1 * SMALLEST_HAND_MM2)
    return int(np.argmax(enough)) if enough.any() else None


def _densest_cell(points_mm: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Centre of mass of the most filled cell of a grid over x and y; [3] mm."""
    cells = np.floor(points_mm[:2] / np.float32(CELL_MM)).astype(np.int32) + CELLS // 2
    column, row = np.clip(cells, 0, CELLS - 1)
    index = row * CELLS + column
    inside = index == np.argmax(np.bincount(index, weight, CELLS * CELLS))
    return (points_mm[:, inside] @ weight[inside] / max(weight[inside].sum(), 1e-6)).astype(np.float32)


def _with_extremes(points_mm: np.ndarray, start_mm: np.ndarray) -> np.ndarray:
    """The start, and points a wrist's length inside the ends of what belongs to it, in eight directions; [9, 3]."""
    offset_mm = points_mm - start_mm[:, None]
    belongs = (_squares(offset_mm) < ARM_MM**2) & (np.abs(offset_mm[2]) < REACH_MM)
    offset_mm = offset_mm[:, belongs]
    ends_mm = offset_mm[:, np.argmax(_DIRECTIONS @ offset_mm[:2], axis=1)].T
    length_mm = np.maximum(np.linalg.norm(ends_mm, axis=1, keepdims=True), 1e-3)
    return np.concatenate([start_mm[None], start_mm + ends_mm * np.maximum(1.0 - WRIST_MM / length_mm, 0.0)])


def _refine(points_mm: np.ndarray, start_mm: np.ndarray, iterations: int) -> np.ndarray:
    reach_mm = np.float32(SHELL_MM[1] + _MARGIN_MM)
    nearby = points_mm[:, (np.abs(points_mm - start_mm[:, None]) < reach_mm).all(axis=0)]
    center_mm, moved_mm = _refine_among(nearby, start_mm, iterations)
    return center_mm if moved_mm < _MARGIN_MM else _refine_among(points_mm, start_mm, iterations)[0]


def _refine_among(points_mm: np.ndarray, start_mm: np.ndarray, iterations: int) -> tuple[np.ndarray, float]:
    """The refined centre, and how far from the start it has been."""
    center_mm, farthest_mm = start_mm, 0.0
    for _ in range(iterations):
        offset_mm = points_mm - center_mm[:, None]
        squares = _squares(offset_mm)
        counts = squares < REACH_MM**2
        leaving = (squares >= SHELL_MM[0] ** 2) & (squares < SHELL_MM[1] ** 2)
        if np.count_nonzero(leaving) > ARM_SHARE * np.count_nonzero(counts):
            away = offset_mm[:, leaving].sum(axis=1)
            away /= max(float(np.linalg.norm(away)), 1e-3)
            counts &= away @ offset_mm <= WRIST_MM
        if not counts.any():
            break
        moved_mm = points_mm[:, counts].mean(axis=1)
        if np.array_equal(moved_mm, center_mm):
            break
        center_mm = moved_mm
        farthest_mm = max(farthest_mm, float(np.abs(center_mm - start_mm).max()))
    return center_mm, farthest_mm


def _squares(offset_mm: np.ndarray) -> np.ndarray:
    """Squared lengths [N] of offsets [3, N]."""
    return np.einsum("cn,cn->n", offset_mm, offset_mm)
