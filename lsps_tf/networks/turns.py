"""P of turned images: the same crop turned three times, and what most turns agree on. Not in the paper.

P knows turns from the augmentation, and errs otherwise in each. Where one turn of three is far off, the median is not.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

# How many turns there may be; one is the image alone.
TURNS = (1, 3)


def turn_images(images: tf.Tensor, turns: int) -> tf.Tensor:
    """Images [B, S, S, 1] turned by full circles' parts, [turns * B, S, S, 1], the first of them as they are.

    Each pixel is the nearest of the image; +1, background, where there is none.
    """
    size = images.shape[1]
    flat = tf.reshape(images, (-1, size * size))
    turned = [images]
    for number in range(1, turns):
        source, inside = _sources(size, 2.0 * np.pi * number / turns)
        shown = tf.gather(flat, tf.constant(source), axis=1)
        outside = tf.constant(1.0 - inside)
        turned.append(tf.reshape(shown * tf.constant(inside) + outside, (-1, size, size, 1)))
    return tf.concat(turned, axis=0)


def median_of_turns(joints: tf.Tensor, turns: int) -> tf.Tensor:
    """The median [B, J, 3], by coordinate, of joints [turns * B, J, 3] of `turn_images`, turned back."""
    back = []
    for number, part in enumerate(tf.split(joints, turns)):
        angle = 2.0 * np.pi * number / turns
        matrix = np.eye(3, dtype=np.float32)
        # Rows times this: a turn by the angle is undone.
        matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        back.append(tf.tensordot(part, tf.constant(matrix), 1))
    if turns == 1:
        return back[0]
    first, second, third = back
    low, high = tf.minimum(first, second), tf.maximum(first, second)
    return tf.maximum(low, tf.minimum(high, third))


def _sources(size: int, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Which pixel, int32 [S * S], stands where once an image is turned by an angle, and float32 whether there is one.

    From x (right) towards y (down), as `augment.view_crops` turns.
    """
    place = np.arange(size) - 0.5 * (size - 1)
    x, y = place[None, :], place[:, None]
    column = np.rint(np.cos(angle) * x + np.sin(angle) * y + 0.5 * (size - 1)).astype(np.int32)
    row = np.rint(np.cos(angle) * y - np.sin(angle) * x + 0.5 * (size - 1)).astype(np.int32)
    inside = (row >= 0) & (row < size) & (column >= 0) & (column < size)
    source = np.clip(row, 0, size - 1) * size + np.clip(column, 0, size - 1)
    return source.reshape(-1), inside.reshape(1, -1).astype(np.float32)
