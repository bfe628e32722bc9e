"""Finding hands on an edge device: `lsps_tf/hand_finding/search.py` in NumPy and LiteRT, for one frame.

A test compares the two. What is not looked at there cannot be seen here: only places that look like hands are judged.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lsps_tf.device.crop import crop_frame, normalize_depth
from lsps_tf.device.finder import load_networks
from lsps_tf.hand_finding.constants import (
    ARM_SHARE,
    BESIDE_MM,
    CELL_PX,
    CROP_SIZE,
    CUBE_MM,
    FRAME_HEIGHT,
    FRAME_LOGIT,
    FRAME_SHARE,
    FRAME_WIDTH,
    ITERATIONS,
    LEAST_SCORE,
    LOOKS,
    MIRRORED,
    MORE_PLACES,
    NEAREST_MM,
    OFFSET_MM,
    REACH_MM,
    SAME_HAND_MM,
    SCORE_MARGIN,
    SHELL_MM,
    WHOLE_MM,
    WRIST_MM,
)
from lsps_tf.model_info import JOINTS

# Points are sought this much beyond what may count around a start, so that the centre can move.
_MARGIN_MM = 60.0


class FoundHand(NamedTuple):
    """A hand.

    Attributes:
        center_mm: [3], camera space.
        right: a logit, above 0 where it looks like a right hand.
        score: high where it looks like a hand.
    """

    center_mm: np.ndarray
    right: float
    score: float = 0.0


def find_hands(depth_mm: np.ndarray, intrinsics: np.ndarray, count: int) -> list[FoundHand]:
    """Finds the hands that are nearest to the camera, the nearest first; those that the border cuts come last.

    Args:
        depth_mm: [H, W] of any type of number, 0 = no reading.
        intrinsics: [4] fx, fy, cx, cy in pixels.
        count: how many at most.
    """
    intrinsics = np.asarray(intrinsics, np.float32)
    looked = [
        (likely, *judge_hand(depth_mm, intrinsics, place_mm))
        for place_mm, likely in _places(depth_mm, intrinsics, count + MORE_PLACES)
    ]
    scored = [(hand + FRAME_SHARE * likely, center_mm, right) for likely, center_mm, hand, right in looked]
    least = LEAST_SCORE
    if count == 1:
        # What looks far less like a hand than another is an arm, or what lies about. It may also be the second hand.
        least = max(least, max((score for score, *_ in scored), default=0.0) - SCORE_MARGIN)
    clear = [place for place in scored if place[0] > least]
    if count == 1:
        clear = [place for place in clear if not _better_beside(place, clear)]
    found: list[FoundHand] = []
    for score, center_mm, right in clear:
        doubles = (np.linalg.norm(other.center_mm - center_mm) < SAME_HAND_MM for other in found)
        if not any(doubles):
            found.append(FoundHand(center_mm, float(right), float(score)))
    size = np.array(depth_mm.shape[::-1], np.float32)
    found.sort(key=lambda each: (not _is_whole(each.center_mm, intrinsics, size), float(each.center_mm[2])))
    return found[:count]


def _better_beside(place: tuple, others: list[tuple]) -> bool:
    """Whether one of the (score, center_mm, right) `others` has a higher score, and is within BESIDE_MM."""
    return any(score > place[0] and np.linalg.norm(center_mm - place[1]) < BESIDE_MM for score, center_mm, _ in others)


def sure_hands(found: list[FoundHand]) -> list[FoundHand]:
    """Those that look about as much like a hand as the best does. The others may be hands, or the end of an arm."""
    least = max((each.score for each in found), default=0.0) - SCORE_MARGIN
    return [each for each in found if each.score > least]


def _is_whole(center_mm: np.ndarray, intrinsics: np.ndarray, size: np.ndarray) -> bool:
    """Whether a place [3] is WHOLE_MM or more from the border of a frame of a size [2], width and height."""
    scale = intrinsics[:2] / center_mm[2]
    pixel, reach_px = center_mm[:2] * scale + intrinsics[2:], np.float32(WHOLE_MM) * scale
    return bool(np.all((pixel >= reach_px) & (pixel <= size - 1.0 - reach_px)))


def find_hand(depth_mm: np.ndarray, intrinsics: np.ndarray) -> np.ndarray | None:
    """Finds the hand that is nearest to the camera; arguments as of `find_hands`.

    Returns:
        center_mm [3], camera space; None where there is no hand in range.
    """
    found = find_hands(depth_mm, intrinsics, 1)
    return found[0].center_mm if found else None


def refine_center(
    depth_mm: np.ndarray, intrinsics: np.ndarray, start_mm: np.ndarray, iterations: int = ITERATIONS
) -> np.ndarray:
    """Moves a rough centre [3] of a hand to its centre of mass without the forearm; [3] mm, camera space."""
    points_mm = _points(depth_mm, np.asarray(intrinsics, np.float32))
    return _refine(points_mm, np.asarray(start_mm, np.float32), iterations)


def crop_center(depth_mm: np.ndarray, intrinsics: np.ndarray, center_mm: np.ndarray, centering: str) -> np.ndarray:
    """What the crop of a found hand is centred on, [3]: its centre of mass in the thinned frame, or as it is found."""
    if centering == JOINTS:
        return center_mm
    return refine_center(*thinned(depth_mm, np.asarray(intrinsics, np.float32)), center_mm)


def thinned(depth_mm: np.ndarray, intrinsics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A frame [H, W] that is not higher than wide as the network sees it: float32 [FRAME_HEIGHT, FRAME_WIDTH]."""
    height, width = depth_mm.shape
    by_width = width * FRAME_HEIGHT >= height * FRAME_WIDTH
    pixels, places = (width, FRAME_WIDTH) if by_width else (height, FRAME_HEIGHT)
    places = min(places, pixels)
    rows, columns = (np.arange(side) * pixels // places for side in (FRAME_HEIGHT, FRAME_WIDTH))
    rows, columns = rows[rows < height], columns[columns < width]
    frame_mm = np.zeros((FRAME_HEIGHT, FRAME_WIDTH), np.float32)
    frame_mm[: len(rows), : len(columns)] = depth_mm[rows[:, None], columns]
    return frame_mm, intrinsics * (np.float32(places) / np.float32(pixels))


def _places(depth_mm: np.ndarray, intrinsics: np.ndarray, count: int) -> list[tuple[np.ndarray, np.float32]]:
    """The places [3] in camera space that look like hands, and their logits; at most `count`, the likeliest first."""
    upright = depth_mm.shape[0] > depth_mm.shape[1]
    if upright:
        fx, fy, cx, cy = intrinsics
        intrinsics = np.array([fy, fx, depth_mm.shape[0] - 1 - cy, cx], np.float32)
        depth_mm = np.rot90(depth_mm, -1)
    frame_mm, intrinsics = thinned(depth_mm, intrinsics)
    output, reference_mm = load_networks().look_at_frame(frame_mm, intrinsics[0])
    logit = np.where(reference_mm > 0.0, output[..., 0], np.float32(-1e3))
    # A peak is as high as all around it.
    padded = np.pad(logit, 1, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).max(axis=(2, 3))
    rows, columns = np.nonzero((logit >= around) & (logit > FRAME_LOGIT))
    best = np.argsort(-logit[rows, columns], kind="stable")[:count]
    places = []
    for row, column in zip(rows[best], columns[best]):
        x, y, z = _anchor(row, column, reference_mm, intrinsics) + np.float32(OFFSET_MM) * output[row, column, 2:]
        x, y = (y, -x) if upright else (x, y)
        places.append((np.array([x, y, max(z, NEAREST_MM)], np.float32), logit[row, column]))
    return places


def _anchor(row: int, column: int, reference_mm: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    fx, fy, cx, cy = intrinsics
    z, first = reference_mm[row, column], np.float32(0.5 * (CELL_PX - 1))
    return np.array([(CELL_PX * column + first - cx) / fx * z, (CELL_PX * row + first - cy) / fy * z, z], np.float32)


def judge_hand(
    depth_mm: np.ndarray, intrinsics: np.ndarray, place_mm: np.ndarray
) -> tuple[np.ndarray, np.float32, np.float32]:
    """The centre [3] of what is around a place [3], and the logits of a hand and of a right one."""
    for _ in range(LOOKS):
        image = normalize_depth(crop_frame(depth_mm, intrinsics, place_mm, CUBE_MM, CROP_SIZE), place_mm, CUBE_MM)
        seen, mirrored = (load_networks().look_at_crop(np.ascontiguousarray(each)) for each in (image, image[:, ::-1]))
        hand, right, *offset = np.float32(0.5) * (seen + np.float32(MIRRORED) * mirrored)
        place_mm = place_mm + np.float32(OFFSET_MM) * np.array(offset, np.float32)
        place_mm[2] = max(place_mm[2], NEAREST_MM)
    return place_mm, hand, right


def _points(depth_mm: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Camera-space points [3, N] of the readings of a frame."""
    fx, fy, cx, cy = intrinsics
    rows, columns = np.nonzero(depth_mm)
    z = depth_mm[rows, columns].astype(np.float32)
    return np.stack([(columns.astype(np.float32) - cx) / fx * z, (rows.astype(np.float32) - cy) / fy * z, z])


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
