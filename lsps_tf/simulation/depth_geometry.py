"""What the sensor effects need to know of a depth image: neighbors, slopes, edges, thin parts."""

from __future__ import annotations

import tensorflow as tf

from lsps_tf.simulation.random_fields import gaussian_blur

EDGE_MM = 20.0  # a jump of depth between neighbors that counts as an edge


def shift(images: tf.Tensor, rows: int, columns: int, fill: float = 0.0) -> tf.Tensor:
    """Images [B, H, W] moved down by `rows` and right by `columns` pixels, `fill` where nothing moves in."""
    pad = [[0, 0], [max(rows, 0), max(-rows, 0)], [max(columns, 0), max(-columns, 0)]]
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    padded = tf.pad(images, pad, constant_values=fill)
    return padded[:, max(-rows, 0) :, max(-columns, 0) :][:, :height, :width]


def neighbors(images: tf.Tensor, fill: float = 0.0) -> list[tf.Tensor]:
    """The four neighbors' values, [B, H, W] each: left, right, above, below."""
    return [shift(images, *offset, fill) for offset in ((0, 1), (0, -1), (1, 0), (-1, 0))]


def incidence_cosine(depth_mm: tf.Tensor, pixel_size: tf.Tensor, focal_px: float) -> tf.Tensor:
    """Cosine of the angle between the surface's normal and the view, from the depth's gradient.

    Per axis the smaller of the two one-sided differences is taken, so that a jump of depth beside a pixel does not
    count as a slope. A pixel spans z pixel_size / focal_px mm, and cos = 1 / sqrt(1 + slope_x^2 + slope_y^2), which
    takes the ray as parallel to the optical axis.

    Args:
        depth_mm: [B, H, W], 0 = no reading.
        pixel_size: [B] sensor pixels per image pixel.
        focal_px: the sensor's focal length.

    Returns:
        [B, H, W] in (0, 1]; 1 where no neighbor has a reading.
    """
    far = 1e6
    left, right, above, below = (tf.where(value > 0.0, tf.abs(value - depth_mm), far) for value in neighbors(depth_mm))
    span_mm = tf.maximum(depth_mm, 1.0) * (pixel_size / focal_px)[:, None, None]
    squared = 0.0
    for rise in (tf.minimum(left, right), tf.minimum(above, below)):
        squared += tf.square(tf.where(rise < far, rise, 0.0) / span_mm)
    return tf.where(depth_mm > 0.0, tf.math.rsqrt(1.0 + squared), 1.0)


def beside_edge(depth_mm: tf.Tensor) -> tf.Tensor:
    """Mask [B, H, W] of readings with a neighbor that has none or lies EDGE_MM nearer or farther."""
    # No reading counts as depth 0, which is a jump away from any hand.
    left, right, above, below = (tf.abs(value - depth_mm) > EDGE_MM for value in neighbors(depth_mm))
    return (depth_mm > 0.0) & (left | right | above | below)


def surroundings(depth_mm: tf.Tensor, pixel_size: tf.Tensor, sigma_px: float) -> tf.Tensor:
    """Fraction [B, H, W] of a Gaussian window that has readings: 1 inside, 1/2 at a straight edge, less at tips."""
    return gaussian_blur(tf.cast(depth_mm > 0.0, tf.float32), pixel_size, sigma_px)
