"""What a fit has to explain of a depth image: what was measured, where, and what of it can be the hand. NumPy."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SIZE = 64
NOTHING_MM = 1e5
# Where points lie that no hand explains, from the centre: those of an image that shows nothing of a hand.
_NOWHERE_MM = 1e4
# Pixels of a gap between a near and a far surface that a sensor may have left without readings.
_SHADOW_PIXELS = 5


def measure(images: np.ndarray, center_mm: np.ndarray, cube_mm: np.ndarray) -> dict[str, np.ndarray]:
    """What was measured in images [B, SIZE, SIZE] in [-1, 1], 1 = nothing.

    Returns:
        depth_mm [B, SIZE, SIZE], NOTHING_MM where nothing is; intrinsics [B, 4] of the crops; and origin_mm [B, 1, 3],
        their centre.
    """
    depth_mm = center_mm[:, 2, None, None] + 0.5 * cube_mm[:, None, None] * images
    focal = SIZE * center_mm[:, 2:] / cube_mm[:, None]
    principal = 0.5 * (SIZE - 1) - focal * center_mm[:, :2] / center_mm[:, 2:]
    return {
        "depth_mm": np.where(images < 1.0, depth_mm, NOTHING_MM).astype(np.float32),
        "intrinsics": np.concatenate([focal, focal, principal], axis=1).astype(np.float32),
        "origin_mm": center_mm[:, None],
    }


def measured_points(seen: dict[str, np.ndarray]) -> np.ndarray:
    """Points [B, SIZE, SIZE, 3] of what `measure` gives, from the centre; without meaning where nothing is."""
    depth_mm, (fx, fy, cx, cy) = seen["depth_mm"], seen["intrinsics"].T[..., None, None]
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    points_mm = np.stack([(columns - cx) * depth_mm / fx, (rows - cy) * depth_mm / fy, depth_mm], axis=-1)
    return points_mm - seen["origin_mm"][:, None]


def attend(
    points_mm: np.ndarray, shown: np.ndarray, hand: np.ndarray, cube_mm: np.ndarray, count: int, seed: int
) -> dict[str, np.ndarray]:
    """What of an image a hand has to explain.

    Args:
        points_mm: [B, SIZE, SIZE, 3] of `measured_points`.
        shown: [B, SIZE, SIZE], where something was measured.
        hand: [B, SIZE, SIZE], where this can be the hand.
        cube_mm: [B].
        count: of the points.
        seed: of their choice.

    Returns:
        points_mm [B, count, 3] of the hand, from the centre; and outside_mm [B, SIZE, SIZE], how far a pixel is from
        where the hand can be, at the centre's distance.
    """
    rng = np.random.default_rng(seed)
    outside = np.stack([_pixels_outside(*each) for each in zip(hand, shown)])
    return {
        "points_mm": np.stack([_draw(*each, count, rng) for each in zip(points_mm, hand)]),
        "outside_mm": outside * (cube_mm / SIZE)[:, None, None],
    }


def _draw(points_mm: np.ndarray, hand: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    of_hand = points_mm[hand]
    if not len(of_hand):
        return np.full([count, 3], _NOWHERE_MM)
    return of_hand[rng.choice(len(of_hand), count, replace=len(of_hand) < count)]


def _pixels_outside(hand: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Distance of each pixel [SIZE, SIZE] to the silhouette, whose one-pixel holes are closed."""
    if not hand.any():
        return np.zeros(hand.shape)
    closed = ndimage.binary_closing(np.pad(hand, 2))[2:-2, 2:-2]
    return ndimage.distance_transform_edt(~(closed | hand | _shadows(hand, shown)))


def _shadows(hand: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Narrow gaps without readings between the hand and what is around it: sensors see nothing beside a step."""
    around = shown & ~hand
    if not around.any():
        return around
    square = np.ones([_SHADOW_PIXELS, _SHADOW_PIXELS], bool)
    narrow = ~shown & ~ndimage.binary_opening(~shown, square)
    labels, count = ndimage.label(narrow)
    beside = [np.unique(labels[ndimage.binary_dilation(part)]) for part in (hand, around)]
    return narrow & np.isin(labels, np.intersect1d(*beside))
