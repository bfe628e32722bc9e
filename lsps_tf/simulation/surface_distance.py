"""How far points are from a hand's surface: the cone-spheres and wedges that the renderer draws, as distances."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

_FAR_MM = 1e3


def surface_distance_mm(
    points_mm: tf.Tensor, centers_mm: tf.Tensor, radii_mm: tf.Tensor, cones: np.ndarray, wedges: np.ndarray
) -> tf.Tensor:
    """Signed distances of points to the nearest cone-sphere or wedge, below 0 inside.

    A cone-sphere's distance is taken from the nearest point of its axis, and a wedge's from the nearest point of the
    triangle of its centres. This is exact where the radii are equal, and within a few tenths of a mm on a hand. Only
    the nearest primitive of each point is differentiated.

    Args:
        points_mm: [B, P, 3], near the origin (float32 loses tenths of a mm at a metre's distance).
        centers_mm: [B, S, 3] spheres' centres in the same frame.
        radii_mm: [B, S].
        cones: int [Kc, 2] indices of the spheres of each cone-sphere, the wedges' edges among them.
        wedges: int [Kw, 3] indices of the spheres of each wedge.

    Returns:
        [B, P] mm, differentiable in centres and radii.
    """
    cone_mm = _cone_distance(points_mm, centers_mm, radii_mm, np.asarray(cones, np.int32))
    wedge_mm = _wedge_distance(points_mm, centers_mm, radii_mm, np.asarray(wedges, np.int32))
    return tf.minimum(cone_mm, wedge_mm)


def _cone_distance(points: tf.Tensor, centers: tf.Tensor, radii: tf.Tensor, cones: np.ndarray) -> tf.Tensor:
    start, end = (tf.gather(centers, cones[:, i], axis=1) for i in range(2))
    start_radius, end_radius = (tf.gather(radii, cones[:, i], axis=1) for i in range(2))
    nearest = _nearest_cone(points, *(tf.stop_gradient(v) for v in (start, end, start_radius, end_radius)))
    start, end, start_radius, end_radius = (
        tf.gather(value, nearest, batch_dims=1) for value in (start, end, start_radius, end_radius)
    )
    axis = end - start
    along = tf.reduce_sum((points - start) * axis, axis=-1) / (tf.reduce_sum(axis * axis, axis=-1) + 1e-6)
    along = tf.stop_gradient(tf.clip_by_value(along, 0.0, 1.0))
    offset = points - start - along[..., None] * axis
    return _length(offset) - (start_radius + along * (end_radius - start_radius))


def _nearest_cone(points, start, end, start_radius, end_radius) -> tf.Tensor:
    """Indices [B, P]; sums over the last axis as matrix products, which are many times as fast."""
    axis = end - start
    length2 = tf.reduce_sum(axis * axis, axis=-1)[:, None] + 1e-6
    along = tf.matmul(points, axis, transpose_b=True) - tf.reduce_sum(start * axis, axis=-1)[:, None]
    part = tf.clip_by_value(along / length2, 0.0, 1.0)
    squared = tf.reduce_sum(points**2, axis=-1)[:, :, None] - 2.0 * tf.matmul(points, start, transpose_b=True)
    squared += tf.reduce_sum(start * start, axis=-1)[:, None] + part * (part * length2 - 2.0 * along)
    radius = start_radius[:, None] + part * (end_radius - start_radius)[:, None]
    return tf.argmin(tf.sqrt(tf.maximum(squared, 1e-3)) - radius, axis=-1, output_type=tf.int32)


def _wedge_distance(points: tf.Tensor, centers: tf.Tensor, radii: tf.Tensor, wedges: np.ndarray) -> tf.Tensor:
    corners = [tf.gather(centers, wedges[:, i], axis=1) for i in range(3)]
    corner_radii = [tf.gather(radii, wedges[:, i], axis=1) for i in range(3)]
    nearest, parts, over = _nearest_wedge(
        points, [tf.stop_gradient(c) for c in corners], [tf.stop_gradient(r) for r in corner_radii]
    )
    foot = tf.add_n([w[..., None] * tf.gather(c, nearest, batch_dims=1) for w, c in zip(parts, corners)])
    radius = tf.add_n([w * tf.gather(r, nearest, batch_dims=1) for w, r in zip(parts, corner_radii)])
    return tf.where(over, _length(points - foot) - radius, _FAR_MM)


def _nearest_wedge(points, corners, corner_radii) -> tuple[tf.Tensor, list[tf.Tensor], tf.Tensor]:
    """Indices [B, P] of wedges, barycentric weights of the feet in them, and whether there is a foot in a triangle."""
    first, second = corners[1] - corners[0], corners[2] - corners[0]
    d00, d01, d11 = (
        tf.reduce_sum(a * b, axis=-1)[:, None] for a, b in ((first, first), (first, second), (second, second))
    )
    normal = tf.linalg.cross(first, second)
    normal /= _length(normal)[..., None]

    def along(direction: tf.Tensor) -> tf.Tensor:
        return tf.matmul(points, direction, transpose_b=True) - tf.reduce_sum(corners[0] * direction, -1)[:, None]

    d20, d21, determinant = along(first), along(second), d00 * d11 - d01 * d01 + 1e-3
    v, w = (d11 * d20 - d01 * d21) / determinant, (d00 * d21 - d01 * d20) / determinant
    weights = [1.0 - v - w, v, w]
    inside = (v >= 0.0) & (w >= 0.0) & (v + w <= 1.0)
    radius = tf.add_n([weight * each[:, None] for weight, each in zip(weights, corner_radii)])
    distance = tf.where(inside, tf.abs(along(normal)) - radius, _FAR_MM)
    nearest = tf.argmin(distance, axis=-1, output_type=tf.int32)
    chosen = [tf.gather(weight, nearest, axis=2, batch_dims=2) for weight in weights]
    return nearest, chosen, tf.reduce_any(inside, axis=-1)


def _length(vector: tf.Tensor) -> tf.Tensor:
    # The epsilon keeps the gradient finite.
    return tf.sqrt(tf.reduce_sum(vector * vector, axis=-1) + 1e-3)
