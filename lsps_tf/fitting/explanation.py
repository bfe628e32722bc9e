"""How far hands are from what depth images show, as distances that a fit brings down. Batched TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from lsps_tf.fitting.observation import NOTHING_MM, SIZE
from lsps_tf.simulation import collision, surface
from lsps_tf.simulation.kinematics import HandState
from lsps_tf.simulation.renderer import all_cones
from lsps_tf.simulation.surface_distance import surface_distance_mm

Seen = dict[str, tf.Tensor]

# Distances beyond this hardly pull (Geman & McClure, 1987): points of things that are not the hand, and holes.
ROBUST_MM = 15.0
# A surface may be this much before the measured depth: pixels are wide and sensors noisy.
_FREE_MM = 4.0
# What was measured this much before the hand hides it.
_HIDDEN_MM = 10.0
_ALONG_CONES = (0.25, 0.75, 1.0)
_CONES, _WEDGES = surface.primitives(forearm=True)
_ALL_CONES = all_cones(_CONES, _WEDGES)


def distance_mm(points_mm: tf.Tensor, hand: HandState, origin_mm: tf.Tensor) -> tf.Tensor:
    """Signed distances [B, P] of points [B, P, 3], from the origin [B, 1, 3], to hands with their forearms."""
    return surface_distance_mm(points_mm, hand.centers_mm - origin_mm, hand.radii_mm, _ALL_CONES, _WEDGES)


def unexplained_mm(hand: HandState, seen: Seen) -> dict[str, tf.Tensor]:
    """What hands leave unexplained, each [B, K] mm.

    Args:
        hand: B hands in camera space.
        seen: of `observation.measure` and `observation.attend`.

    Returns:
        "points", how far measured points of the hand are off the surface; "beside", how far from the silhouette the
        hand shows, unless something before it hides it; and "before", how far it is before what was measured.
    """
    axis_mm, radius_mm = _along_cones(hand)
    x, y, z = tf.unstack(axis_mm, axis=-1)
    fx, fy, cx, cy = (seen["intrinsics"][:, None, i] for i in range(4))
    u, v = x * fx / z + cx, y * fy / z + cy
    within = (u >= 0.0) & (u <= SIZE - 1.0) & (v >= 0.0) & (v <= SIZE - 1.0)
    gap_mm = _nearest_pixel(seen["depth_mm"], u, v) - (z - radius_mm)
    hit = within & (gap_mm < 0.1 * NOTHING_MM)
    beside_mm = _bilinear(seen["outside_mm"], u, v)
    return {
        "points": distance_mm(seen["points_mm"], hand, seen["origin_mm"]),
        "beside": tf.where(within & (gap_mm > -_HIDDEN_MM), beside_mm, 0.0),
        "before": tf.where(hit, tf.nn.relu(gap_mm - _FREE_MM), 0.0),
    }


def robust(distances_mm: tf.Tensor) -> tf.Tensor:
    """Squares that do not grow beyond ROBUST_MM²."""
    squared = distances_mm * distances_mm
    return squared / (1.0 + squared / ROBUST_MM**2)


def inside_mm(hand: HandState) -> tf.Tensor:
    """How deep [B, K] parts of hands are inside one another, beyond what soft tissue allows."""
    return tf.nn.relu(collision.pair_penetrations_mm(hand) - collision.CONTACT_MM)


def _along_cones(hand: HandState) -> tuple[tf.Tensor, tf.Tensor]:
    """Places [B, K, 3] along the axes of all cones, and the radii [B, K] there."""
    start, end = (tf.gather(hand.centers_mm, _ALL_CONES[:, i], axis=1) for i in range(2))
    start_radius, end_radius = (tf.gather(hand.radii_mm, _ALL_CONES[:, i], axis=1) for i in range(2))
    axis_mm = tf.concat([start * (1.0 - t) + end * t for t in _ALONG_CONES], axis=1)
    return axis_mm, tf.concat([start_radius * (1.0 - t) + end_radius * t for t in _ALONG_CONES], axis=1)


def _bilinear(images: tf.Tensor, u: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    """Values [B, N] of images [B, S, S] between pixels, differentiable in u and v."""
    left, top = (tf.clip_by_value(tf.floor(value), 0.0, SIZE - 2.0) for value in (u, v))
    x, y = u - tf.stop_gradient(left), v - tf.stop_gradient(top)

    def pixels(below: float, right: float) -> tf.Tensor:
        return _nearest_pixel(images, left + right, top + below)

    upper = pixels(0.0, 0.0) * (1.0 - x) + pixels(0.0, 1.0) * x
    return upper * (1.0 - y) + (pixels(1.0, 0.0) * (1.0 - x) + pixels(1.0, 1.0) * x) * y


def _nearest_pixel(images: tf.Tensor, u: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    column, row = (tf.cast(tf.clip_by_value(tf.round(value), 0.0, SIZE - 1.0), tf.int32) for value in (u, v))
    return tf.gather_nd(images, tf.stack([row, column], axis=-1), batch_dims=1)
