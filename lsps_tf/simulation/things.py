"""Things that hands hold, or that lie beside them: boxes with rounded edges, as distances and as depth.

A box of no thickness in two axes is a bar or a can with round ends, one of no thickness at all is a ball. Distances are
those of Quilez, "Distance functions", 2008. Depth is found by sphere tracing (Hart, "Sphere tracing", 1996).
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

# Where a thing is that an image does not show; nothing is rendered so far away.
NOWHERE_MM = 1e6
FARTHEST_MM = 4000.0
_STEPS = 12
_HIT_MM = 1.0


class Things(NamedTuple):
    """B things in any frame, one per image.

    Attributes:
        center_mm: [B, 3]; NOWHERE_MM in every axis where an image has none.
        rotation: [B, 3, 3], the box's axes as columns.
        half_mm: [B, 3], half its sides without the rounding.
        round_mm: [B], radius of its edges.
    """

    center_mm: tf.Tensor
    rotation: tf.Tensor
    half_mm: tf.Tensor
    round_mm: tf.Tensor


def distance_mm(things: Things, points_mm: tf.Tensor) -> tf.Tensor:
    """Signed distances [B, P] of points [B, P, 3] to the surfaces, below 0 inside."""
    local = tf.einsum("bpi,bij->bpj", points_mm - things.center_mm[:, None], things.rotation)
    return _box_distance(local, things.half_mm[:, None]) - things.round_mm[:, None]


def moved(things: Things, rotation: tf.Tensor, translation_mm: tf.Tensor) -> Things:
    """Things turned by rotations [B, 3, 3] and moved by translations [B, 3]."""
    center_mm = tf.linalg.matvec(rotation, things.center_mm) + translation_mm
    return things._replace(center_mm=center_mm, rotation=rotation @ things.rotation)


def only(things: Things, chosen: tf.Tensor) -> Things:
    """The things of the images that the mask [B] chooses; nowhere in the others."""
    return things._replace(center_mm=tf.where(chosen[:, None], things.center_mm, NOWHERE_MM))


def is_there(things: Things) -> tf.Tensor:
    """Mask [B] of the images that have one."""
    return things.center_mm[:, 2] < 0.5 * NOWHERE_MM


def depth_mm(things: Things, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Depth images of things in camera space.

    Args:
        things: B of them; images without one cost nothing.
        x: [B, W] of the rays (x, y, 1) through each column.
        y: [B, H] of those through each row.

    Returns:
        [B, H, W] mm along z, 0 where nothing is hit.
    """
    present = tf.where(is_there(things))[:, 0]
    shown = _trace(*(tf.nest.map_structure(lambda part: tf.gather(part, present), (things, x, y))))
    shape = tf.stack([tf.shape(x)[0], tf.shape(y)[1], tf.shape(x)[1]])
    return tf.scatter_nd(present[:, None], shown, tf.cast(shape, tf.int64))


def _trace(things: Things, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    shape = tf.stack([tf.shape(x)[0], tf.shape(y)[1], tf.shape(x)[1]])
    columns, rows = tf.broadcast_to(x[:, None, :], shape), tf.broadcast_to(y[:, :, None], shape)
    length = tf.sqrt(1.0 + columns**2 + rows**2)
    reach_mm, far_mm = tf.norm(things.half_mm, axis=1) + things.round_mm, tf.norm(things.center_mm, axis=1)
    cx, cy, cz = (part[:, None, None] for part in tf.unstack(things.center_mm, axis=1))
    along_mm = (columns * cx + rows * cy + cz) / length
    # The rays that pass the sphere around a thing; most rays pass far from it.
    close = far_mm[:, None, None] ** 2 - along_mm**2 < reach_mm[:, None, None] ** 2
    close = tf.where(close & (along_mm > -reach_mm[:, None, None]))
    number = close[:, 0]
    ray_length = tf.gather_nd(length, close)
    rays = tf.stack([tf.gather_nd(columns, close), tf.gather_nd(rows, close), tf.ones_like(ray_length)], axis=-1)
    # In the box's own frame: a point of the ray is origin + t direction.
    direction = tf.einsum("ni,nij->nj", rays / ray_length[:, None], tf.gather(things.rotation, number))
    origin = tf.gather(-tf.einsum("bi,bij->bj", things.center_mm, things.rotation), number)
    half_mm, round_mm = tf.gather(things.half_mm, number), tf.gather(things.round_mm, number)
    t = tf.gather(tf.maximum(far_mm - reach_mm, 0.0), number)

    def gap_mm() -> tf.Tensor:
        return _box_distance(origin + t[:, None] * direction, half_mm) - round_mm

    for _ in range(_STEPS):
        t += gap_mm()
    along_z = tf.where(gap_mm() < _HIT_MM, t, 0.0) / ray_length
    return tf.scatter_nd(close, tf.where(along_z < FARTHEST_MM, along_z, 0.0), tf.cast(shape, tf.int64))


def _box_distance(local_mm: tf.Tensor, half_mm: tf.Tensor) -> tf.Tensor:
    beyond_mm = tf.abs(local_mm) - half_mm
    outside_mm = tf.norm(tf.maximum(beyond_mm, 0.0), axis=-1)
    return outside_mm + tf.minimum(tf.reduce_max(beyond_mm, axis=-1), 0.0)
