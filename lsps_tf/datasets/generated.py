"""Labelled frames that look like a sensor's, made by the networks, as a store to train on (section 5).

A generated crop has no margin. In the store it stands in the middle of a stored crop, and around it is no reading.
"""

from __future__ import annotations

import numpy as np

from lsps_tf.datasets.store import stored_size

# What a generator draws beyond this is background, which has no depth; it seldom says exactly 1.
BACKGROUND = 0.9


def image_to_mm(image: np.ndarray, center_mm: np.ndarray, cube_mm: np.ndarray) -> np.ndarray:
    """Generated images [B, S, S] as depth in mm, float32; 0 where they show background.

    Args:
        image: normalised depth; beyond `BACKGROUND` is no reading.
        center_mm: [B, 3] of the crops, camera space.
        cube_mm: [B] sides of the cubes.
    """
    place_mm = center_mm[:, 2, None, None] + 0.5 * cube_mm[:, None, None] * image
    return np.where(image < BACKGROUND, place_mm, 0.0).astype(np.float32)


def stored_rows(image: np.ndarray, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rows of a store whose depth is that of generated images.

    Args:
        image: normalised depth [B, S, S]; beyond `BACKGROUND` is no reading.
        rows: the store's columns of the frames that the images stand for: `center_mm`, `cube_mm`, `joints_mm`,
            `subject`, `frame`.

    Returns:
        All columns of a store, for `Store.append`.
    """
    count, size = image.shape[:2]
    inside = image_to_mm(image, rows["center_mm"], rows["cube_mm"])
    whole = np.zeros((count, stored_size(size), stored_size(size)), np.float32)
    first = (whole.shape[1] - size) // 2
    whole[:, first : first + size, first : first + size] = inside
    kept = {name: rows[name] for name in ("joints_mm", "center_mm", "cube_mm", "subject", "frame")}
    # The pitch of the pixels is the image's.
    return {**kept, "depth_mm": whole, "extent_mm": rows["cube_mm"] * np.float32(whole.shape[1] / size)}
