"""Which primitives may show in which tiles of an image, and the way back from tiles to images."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from lsps_tf.simulation.primitives import MISS_MM, NEAR_MM, Tiles, linear_form

TILE = 8  # pixels of a tile's side
_EVERYWHERE = 1e6
_MARGIN = 1e-6  # in x / z; far above float32's rounding, far below a pixel


class RayGrid(NamedTuple):
    """Rays (x, y, 1) of images: x of the first column and its step per column, y of the first row alike, [B] each."""

    x: tf.Tensor
    step_x: tf.Tensor
    y: tf.Tensor
    step_y: tf.Tensor


class Pairs(NamedTuple):
    """N pairs of a primitive and a tile.

    Attributes:
        primitive: [N] index into the flattened [B, P] primitives.
        tile: [N] index into the flattened [B, rows, columns] tiles.
        rays: the tiles' rays.
    """

    primitive: tf.Tensor
    tile: tf.Tensor
    rays: Tiles

    def where(self, keep: tf.Tensor) -> Pairs:
        """Only the pairs that the mask [N] keeps."""
        chosen = tf.where(keep)[:, 0]
        rays = Tiles(*(tf.gather(form, chosen, axis=1) for form in self.rays))
        return Pairs(tf.gather(self.primitive, chosen), tf.gather(self.tile, chosen), rays)


def sphere_bounds(centers_mm: tf.Tensor, radii_mm: tf.Tensor) -> tf.Tensor:
    """Bounds [B, S, 4] of the spheres' projections: smallest and largest x / z, smallest and largest y / z.

    The tangents from the origin to the circle of radius r around (c_x, c_z) in the plane of x and z have
    x / z = (c_x c_z -+ r sqrt(c_x^2 + c_z^2 - r^2)) / (c_z^2 - r^2). What reaches behind the camera may show anywhere.

    Args:
        centers_mm: [B, S, 3] camera space.
        radii_mm: [B, S].
    """
    z = centers_mm[..., 2]
    ahead = z - radii_mm > NEAR_MM
    bounds = []
    for axis in range(2):
        a = centers_mm[..., axis]
        below = tf.where(ahead, z**2 - radii_mm**2, 1.0)
        reach = radii_mm * tf.sqrt(tf.maximum(a**2 + z**2 - radii_mm**2, 0.0))
        bounds += [
            tf.where(ahead, (a * z - reach) / below - _MARGIN, -_EVERYWHERE),
            tf.where(ahead, (a * z + reach) / below + _MARGIN, _EVERYWHERE),
        ]
    return tf.stack(bounds, axis=-1)


def hull_bounds(bounds: tf.Tensor, members: tf.Tensor) -> tf.Tensor:
    """Bounds [B, P, 4] of convex hulls of spheres, from `sphere_bounds` [B, S, 4] and their spheres' indices [P, k]."""
    parts = tf.gather(bounds, members, axis=1)
    low, high = tf.reduce_min(parts, axis=2), tf.reduce_max(parts, axis=2)
    return tf.stack([low[..., 0], high[..., 1], low[..., 2], high[..., 3]], axis=-1)


def tiles_along(pixels: int) -> int:
    """Tiles that cover so many pixels."""
    return -(-pixels // TILE)


def overlapping_pairs(bounds: tf.Tensor, grid: RayGrid, height: int, width: int) -> Pairs:
    """All pairs of a primitive and a tile that its bounds [B, P, 4] touch."""
    rows, columns = tiles_along(height), tiles_along(width)
    middles_x = _tile_middles(grid.x, grid.step_x, columns)
    middles_y = _tile_middles(grid.y, grid.step_y, rows)
    touch_x = _touches(bounds[..., 0:2], middles_x, grid.step_x)
    touch_y = _touches(bounds[..., 2:4], middles_y, grid.step_y)
    found = tf.where(touch_y[..., :, None] & touch_x[..., None, :])
    image, primitive, row, column = tf.unstack(tf.cast(found, tf.int32), axis=1)
    x = tf.gather(tf.reshape(middles_x, [-1]), image * columns + column)
    y = tf.gather(tf.reshape(middles_y, [-1]), image * rows + row)
    zero = tf.zeros_like(x)
    rays = Tiles(
        linear_form(x, tf.gather(grid.step_x, image), zero),
        linear_form(y, zero, tf.gather(grid.step_y, image)),
    )
    tile = (image * rows + row) * columns + column
    return Pairs(image * tf.shape(bounds)[1] + primitive, tile, rays)


def near_segment(pairs: Pairs, ends: tf.Tensor, reach: tf.Tensor) -> tf.Tensor:
    """Mask [N]: tiles that a capsule around a segment in the image plane may touch.

    A ray d at distance r of a point c passes c's projection at no more than r |d| / c_z, as q = c_z d - c has length
    |q| <= r |d|. So a cone-sphere shows within max(r_i / z_i) |d| of the segment between its centers' projections.

    Args:
        pairs: N pairs.
        ends: [2 (end), 2 (x, y), N] projections of the two centers.
        reach: [N] max(r_i / z_i), or a large number where the capsule may show anywhere.
    """
    (x, y), (step_x, step_y) = (pairs.rays.x[0], pairs.rays.y[0]), (pairs.rays.x[1], pairs.rays.y[2])
    half_diagonal = 0.5 * TILE * tf.sqrt(step_x**2 + step_y**2)
    longest_ray = tf.sqrt(1.0 + x**2 + y**2) + half_diagonal
    (ax, ay), (bx, by) = tf.unstack(ends[0]), tf.unstack(ends[1])
    ux, uy = bx - ax, by - ay
    along = ((x - ax) * ux + (y - ay) * uy) / tf.maximum(ux**2 + uy**2, 1e-12)
    along = tf.clip_by_value(along, 0.0, 1.0)
    distance_squared = (ax + along * ux - x) ** 2 + (ay + along * uy - y) ** 2
    return distance_squared <= (reach * longest_ray + half_diagonal + _MARGIN) ** 2


def nearest_image(depths: list[tf.Tensor], tiles: list[tf.Tensor], batch: tf.Tensor, height: int, width: int):
    """Nearest depth per pixel, [B, height, width], MISS_MM where nothing is hit.

    Args:
        depths: per kind of primitive [N, TILE * TILE] mm.
        tiles: per kind the pairs' tile indices [N].
        batch: B.
        height: of the image.
        width: of the image.
    """
    rows, columns = tiles_along(height), tiles_along(width)
    flat = tf.math.unsorted_segment_min(tf.concat(depths, 0), tf.concat(tiles, 0), batch * rows * columns)
    image = tf.reshape(tf.minimum(flat, MISS_MM), [batch, rows, columns, TILE, TILE])
    image = tf.transpose(image, [0, 1, 3, 2, 4])
    return tf.reshape(image, [batch, rows * TILE, columns * TILE])[:, :height, :width]


def _tile_middles(first: tf.Tensor, step: tf.Tensor, count: int) -> tf.Tensor:
    """Ray coordinate at the middle of each tile, [B, count]."""
    offsets = TILE * tf.range(count, dtype=tf.float32) + 0.5 * (TILE - 1)
    return first[:, None] + offsets * step[:, None]


def _touches(bounds: tf.Tensor, middles: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """[B, P, tiles]: whether the intervals [B, P, 2] and the tiles' pixels overlap."""
    half = 0.5 * (TILE - 1) * step[:, None, None]
    low, high = bounds[..., 0, None], bounds[..., 1, None]
    return (low <= middles[:, None] + half) & (high >= middles[:, None] - half)
