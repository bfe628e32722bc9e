"""Finding the hand on an edge device: `lsps_tf/hand_finding.py` in NumPy, for one frame, with the same numbers.

What differs is the work: only measured points near a centre are looked at, and a centre that stands still is done.
"""

from __future__ import annotations

import math

import numpy as np

# As in lsps_tf/hand_finding.py, where each is explained; a test compares them.
NEAREST_MM, FARTHEST_MM = 100.0, 3000.0
SMALLEST_HAND_MM2 = 1200.0
REACH_MM, WRIST_MM, ARM_MM = 140.0, 60.0, 350.0
ITERATIONS = 8
SLAB_MM, BLOB_SLABS = 20.0, 5
SLABS = int((FARTHEST_MM - NEAREST_MM) / SLAB_MM)
CELL_MM, CELLS = 40.0, 64
SEARCH_WIDTH = 160
_SHELL_MM = (0.85 * REACH_MM, 1.15 * REACH_MM)
# A centre rarely moves farther than this while it is refined; where it does, all points are looked at.
_MARGIN_MM = 60.0
_DIRECTIONS = np.array([[math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)] for k in range(8)], np.float32)


class Points:
    """The measured points of a frame, or of the part around a centre.

    Attributes:
        xyz_mm: float32 [3, N] camera space.
        on_border: bool [N], whether a point lies along the frame's border.
        pixel_area: 1 / (fx fy), which times z² is the surface that a pixel shows.
    """

    def __init__(self, depth_mm: np.ndarray, intrinsics: np.ndarray, around_mm: np.ndarray | None = None):
        stride = max(1, depth_mm.shape[1] // SEARCH_WIDTH)
        thinned = depth_mm[::stride, ::stride]
        fx, fy, cx, cy = (np.float32(value) / np.float32(stride) for value in intrinsics)
        top, left, bottom, right = 0, 0, *thinned.shape
        if around_mm is not None:
            left, right = _window(fx, cx, around_mm[0], around_mm[2], right)
            top, bottom = _window(fy, cy, around_mm[1], around_mm[2], bottom)
        part = thinned[top:bottom, left:right].astype(np.float32)
        rows, columns = np.nonzero(part)
        z = part[rows, columns]
        rows, columns = rows + top, columns + left
        x = z * ((columns.astype(np.float32) - cx) / fx)
        y = z * ((rows.astype(np.float32) - cy) / fy)
        height, width = thinned.shape
        self.xyz_mm = np.stack([x, y, z])
        self.on_border = (rows < 2) | (rows >= height - 2) | (columns < 2) | (columns >= width - 2)
        self.pixel_area = np.float32(1.0) / (fx * fy)

    def area_mm2(self) -> np.ndarray:
        """Surface that each point stands for, [N]; 0 out of range."""
        z = self.xyz_mm[2]
        return np.where((z >= NEAREST_MM) & (z < FARTHEST_MM), z * z * self.pixel_area, np.float32(0.0))


def find_hand(depth_mm: np.ndarray, intrinsics: np.ndarray) -> np.ndarray | None:
    """Finds the hand that is nearest to the camera.

    Args:
        depth_mm: [H, W] of any type of number, 0 = no reading.
        intrinsics: [4] fx, fy, cx, cy in pixels.

    Returns:
        center_mm [3], camera space; None where nothing of a hand's size is in range.
    """
    points = Points(depth_mm, intrinsics)
    area_mm2 = points.area_mm2()
    slab = _nearest_slab(points.xyz_mm[2], area_mm2)
    if slab is None:
        return None
    behind_mm = points.xyz_mm[2] - np.float32(NEAREST_MM + SLAB_MM * slab)
    in_blob = (behind_mm >= 0.0) & (behind_mm < BLOB_SLABS * SLAB_MM)
    weight = np.where(in_blob, area_mm2 * np.exp(-behind_mm / np.float32(SLAB_MM)), np.float32(0.0))
    starts_mm = _with_extremes(points.xyz_mm, _densest_cell(points.xyz_mm, weight))
    centers_mm = np.unique([_refine(points.xyz_mm, start_mm) for start_mm in starts_mm], axis=0)
    scores = [_end_of_arm(points, area_mm2, center_mm) for center_mm in centers_mm]
    best = int(np.argmax(scores))
    return centers_mm[best] if scores[best] > -math.inf else None


def follow_hand(depth_mm: np.ndarray, intrinsics: np.ndarray, last_mm: np.ndarray) -> np.ndarray | None:
    """The centre of the hand that was around `last_mm` [3] a frame ago; None where it is there no more.

    Only the part of the frame around that centre is read.
    """
    points = Points(depth_mm, intrinsics, last_mm)
    center_mm = _refine(points.xyz_mm, np.asarray(last_mm, np.float32))
    near = _squared(points.xyz_mm, center_mm) < REACH_MM**2
    return center_mm if points.area_mm2()[near].sum() >= SMALLEST_HAND_MM2 else None


def refine_center(depth_mm: np.ndarray, intrinsics: np.ndarray, start_mm: np.ndarray) -> np.ndarray:
    """Moves a rough centre [3] of a hand to its centre of mass without the forearm; [3] mm, camera space."""
    return _refine(Points(depth_mm, intrinsics).xyz_mm, np.asarray(start_mm, np.float32))


def _window(focal: float, principal: float, middle_mm: float, depth_mm: float, count: int) -> tuple[int, int]:
    """The pixels, of `count`, that may show what lies around a place: first and last plus one."""
    reach_mm = _SHELL_MM[1] + _MARGIN_MM
    depths_mm = max(depth_mm - reach_mm, 1.0), depth_mm + reach_mm
    ends = [focal * (middle_mm + side) / d + principal for side in (-reach_mm, reach_mm) for d in depths_mm]
    first = int(np.clip(math.floor(min(ends)), 0, count))
    return first, int(np.clip(math.ceil(max(ends)) + 1, first, count))


def _nearest_slab(depth_mm: np.ndarray, area_mm2: np.ndarray) -> int | None:
    """The first depth slab from which on a blob's thickness holds a hand's surface."""
    index = np.clip(((depth_mm - np.float32(NEAREST_MM)) / np.float32(SLAB_MM)).astype(np.int32), 0, SLABS - 1)
    area = np.bincount(index, area_mm2, SLABS)
    upto = np.concatenate([[0.0], np.cumsum(area)])
    blob = upto[np.minimum(np.arange(SLABS) + BLOB_SLABS, SLABS)] - upto[:-1]
    enough = (blob >= SMALLEST_HAND_MM2) & (area >= 0.1 * SMALLEST_HAND_MM2)
    return int(np.argmax(enough)) if enough.any() else None


def _densest_cell(xyz_mm: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Centre of mass of the most filled cell of a grid over x and y; [3] mm."""
    column, row = np.clip(np.floor(xyz_mm[:2] / np.float32(CELL_MM)).astype(np.int32) + CELLS // 2, 0, CELLS - 1)
    index = row * CELLS + column
    inside = index == np.argmax(np.bincount(index, weight, CELLS * CELLS))
    return (xyz_mm[:, inside] @ weight[inside] / max(weight[inside].sum(), 1e-6)).astype(np.float32)


def _with_extremes(xyz_mm: np.ndarray, start_mm: np.ndarray) -> np.ndarray:
    """The start, and points a wrist's length inside the ends of what belongs to it, in eight directions; [9, 3]."""
    belongs = (_squared(xyz_mm, start_mm) < ARM_MM**2) & (np.abs(xyz_mm[2] - start_mm[2]) < REACH_MM)
    offset_mm = xyz_mm[:, belongs] - start_mm[:, None]
    ends_mm = offset_mm[:, np.argmax(_DIRECTIONS @ offset_mm[:2], axis=1)].T
    length_mm = np.maximum(np.linalg.norm(ends_mm, axis=1, keepdims=True), 1e-3)
    return np.concatenate([start_mm[None], start_mm + ends_mm * np.maximum(1.0 - WRIST_MM / length_mm, 0.0)])


def _end_of_arm(points: Points, area_mm2: np.ndarray, center_mm: np.ndarray) -> float:
    """How much the surface around a centre looks like a hand at the end of an arm; -inf where too little is there."""
    squared = _squared(points.xyz_mm, center_mm)
    near = squared < REACH_MM**2
    surface_mm2 = area_mm2[near].sum()
    if surface_mm2 < SMALLEST_HAND_MM2:
        return -math.inf
    leaving_mm2 = area_mm2[_in_shell(squared)].sum()
    cut_mm2 = area_mm2[near & points.on_border].sum()
    return float(-(leaving_mm2 + 10.0 * cut_mm2) / surface_mm2 - 0.001 * center_mm[2])


def _refine(xyz_mm: np.ndarray, start_mm: np.ndarray) -> np.ndarray:
    reach_mm = np.float32(_SHELL_MM[1] + _MARGIN_MM)
    nearby = xyz_mm[:, (np.abs(xyz_mm - start_mm[:, None]) < reach_mm).all(axis=0)]
    center_mm, moved_mm = _refine_among(nearby, start_mm)
    return center_mm if moved_mm < _MARGIN_MM else _refine_among(xyz_mm, start_mm)[0]


def _refine_among(xyz_mm: np.ndarray, start_mm: np.ndarray) -> tuple[np.ndarray, float]:
    """The refined centre, and how far from the start it has been."""
    center_mm, farthest_mm = start_mm, 0.0
    for _ in range(ITERATIONS):
        offset_mm = xyz_mm - center_mm[:, None]
        squared = np.einsum("cn,cn->n", offset_mm, offset_mm)
        counts, leaving = squared < REACH_MM**2, _in_shell(squared)
        if np.count_nonzero(leaving) > 0.08 * np.count_nonzero(counts):
            away = offset_mm[:, leaving].sum(axis=1)
            away /= max(float(np.linalg.norm(away)), 1e-3)
            counts &= away @ offset_mm <= WRIST_MM
        if not counts.any():
            break
        moved_mm = xyz_mm[:, counts].mean(axis=1)
        if np.array_equal(moved_mm, center_mm):
            break
        center_mm = moved_mm
        farthest_mm = max(farthest_mm, float(np.abs(center_mm - start_mm).max()))
    return center_mm, farthest_mm


def _squared(xyz_mm: np.ndarray, center_mm: np.ndarray) -> np.ndarray:
    offset_mm = xyz_mm - center_mm[:, None]
    return np.einsum("cn,cn->n", offset_mm, offset_mm)


def _in_shell(squared: np.ndarray) -> np.ndarray:
    return (squared >= _SHELL_MM[0] ** 2) & (squared < _SHELL_MM[1] ** 2)
