"""Depth images of a hand made of cone-spheres and wedges: rays against the surface, analytically.

Images are cut into tiles; only pairs of a primitive and a tile that it may touch are evaluated. Everything is batched
TensorFlow in float32 and works inside `tf.function`, on CPU and GPU; memory follows the batch. Depth is differentiable
in centers and radii through the primitive that each pixel hits (not across silhouettes, where it jumps).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from lsps_tf.camera import Camera
from lsps_tf.simulation import primitives, tiles

_BASIS = primitives.monomials(tiles.TILE)


def render_crop(
    centers_mm: tf.Tensor,
    radii_mm: tf.Tensor,
    cones: np.ndarray,
    wedges: np.ndarray,
    crop_center_mm: tf.Tensor,
    extent_mm: tf.Tensor | float,
    size: int,
) -> tf.Tensor:
    """Renders crops at their own resolution.

    Pixel (row i, column j) looks along (x, y, 1), x = cx/cz + ((j + 0.5)/size - 0.5) extent_mm/cz, y alike with i.

    Args:
        centers_mm: [B, S, 3] spheres' centers, camera space.
        radii_mm: [B, S].
        cones: int [Kc, 2] indices of the spheres of each cone-sphere; a constant.
        wedges: int [Kw, 3] indices of the spheres of each wedge; a constant. Their edges are cone-spheres too.
        crop_center_mm: [B, 3] camera space, z > 0.
        extent_mm: scalar or [B]: side of the square that the crop shows at its center's depth.
        size: pixels of the crop's side.

    Returns:
        depth_mm [B, size, size] along z, 0 where nothing is hit.
    """
    centers_mm, radii_mm = tf.convert_to_tensor(centers_mm), tf.convert_to_tensor(radii_mm)
    crop_center_mm = tf.convert_to_tensor(crop_center_mm, tf.float32)
    step = tf.cast(extent_mm, tf.float32) / (size * crop_center_mm[:, 2])
    middle = crop_center_mm[:, :2] / crop_center_mm[:, 2:]
    first = middle - 0.5 * (size - 1) * step[:, None]
    grid = tiles.RayGrid(first[:, 0], step, first[:, 1], step)
    return _render(centers_mm, radii_mm, cones, wedges, grid, size, size)


def render_frame(
    centers_mm: tf.Tensor, radii_mm: tf.Tensor, cones: np.ndarray, wedges: np.ndarray, camera: Camera
) -> tf.Tensor:
    """Renders whole frames of a camera: depth_mm [B, height, width]; arguments as in `render_crop`."""
    centers_mm, radii_mm = tf.convert_to_tensor(centers_mm), tf.convert_to_tensor(radii_mm)
    per_image = tf.ones_like(radii_mm[:, 0])
    grid = tiles.RayGrid(
        -camera.cx / camera.fx * per_image,
        per_image / camera.fx,
        -camera.cy / camera.fy * per_image,
        per_image / camera.fy,
    )
    return _render(centers_mm, radii_mm, cones, wedges, grid, camera.height, camera.width)


def _render(centers_mm, radii_mm, cones, wedges, grid: tiles.RayGrid, height: int, width: int) -> tf.Tensor:
    cones, wedges = all_cones(cones, wedges), np.asarray(wedges, np.int32).reshape(-1, 3)
    used = np.unique(np.concatenate([cones.ravel(), wedges.ravel()]))
    bounds = tiles.sphere_bounds(centers_mm, radii_mm)
    parts = [_spheres(centers_mm, radii_mm, used, bounds, grid, height, width)]
    parts.append(_flanks(centers_mm, radii_mm, cones, bounds, grid, height, width))
    if len(wedges):
        parts.append(_triangles(centers_mm, radii_mm, wedges, bounds, grid, height, width))
    depths, pair_tiles = zip(*parts)
    nearest = tiles.nearest_image(list(depths), list(pair_tiles), tf.shape(centers_mm)[0], height, width)
    return tf.where(nearest < primitives.MISS_MM, nearest, 0.0)


def all_cones(cones: np.ndarray, wedges: np.ndarray) -> np.ndarray:
    """Cones and the wedges' edges, each once, [K, 2]."""
    cones, wedges = np.asarray(cones, np.int32).reshape(-1, 2), np.asarray(wedges, np.int32).reshape(-1, 3)
    edges = np.concatenate([cones, wedges[:, [0, 1]], wedges[:, [1, 2]], wedges[:, [2, 0]]])
    return np.unique(np.sort(edges, axis=1), axis=0)


def _rows(values: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Per pair the values [B, P, F] of its primitive, as [F, N]."""
    flat = tf.reshape(values, [-1, values.shape[-1]])
    return tf.transpose(tf.gather(flat, index))


def _spheres(centers_mm, radii_mm, used: np.ndarray, bounds: tf.Tensor, grid: tiles.RayGrid, height: int, width: int):
    """Depths [N, pixels] and tiles [N] of the spheres' pairs."""
    pairs = tiles.overlapping_pairs(tf.gather(bounds, used, axis=1), grid, height, width)
    values = tf.gather(tf.concat([centers_mm, radii_mm[..., None]], -1), used, axis=1)
    values = _rows(values, pairs.primitive)
    return primitives.sphere_depth(pairs.rays, values[:3], values[3], _BASIS), pairs.tile


def _flanks(centers_mm, radii_mm, cones: np.ndarray, bounds: tf.Tensor, grid: tiles.RayGrid, height: int, width: int):
    """Depths [N, pixels] and tiles [N] of the cone flanks' pairs."""
    pairs = tiles.overlapping_pairs(tiles.hull_bounds(bounds, cones), grid, height, width)
    a, b = (tf.gather(centers_mm, cones[:, i], axis=1) for i in range(2))
    ra, rb = (tf.gather(radii_mm, cones[:, i], axis=1)[..., None] for i in range(2))
    ahead = (a[..., 2:] - ra > primitives.NEAR_MM) & (b[..., 2:] - rb > primitives.NEAR_MM)
    za, zb = tf.where(ahead, a[..., 2:], 1.0), tf.where(ahead, b[..., 2:], 1.0)
    reach = tf.where(ahead, tf.maximum(ra / za, rb / zb), 1e6)
    outline = tf.stop_gradient(tf.concat([a[..., :2] / za, b[..., :2] / zb, reach], -1))
    outline = _rows(outline, pairs.primitive)
    pairs = pairs.where(tiles.near_segment(pairs, tf.reshape(outline[:4], [2, 2, -1]), outline[4]))
    values = _rows(tf.concat([a, b - a, ra, rb - ra], -1), pairs.primitive)
    return primitives.flank_depth(pairs.rays, values[:3], values[3:6], values[6], values[7], _BASIS), pairs.tile


def _triangles(centers_mm, radii_mm, wedges: np.ndarray, bounds: tf.Tensor, grid: tiles.RayGrid, height, width):
    """Depths [N, pixels] and tiles [N] of the wedges' flat faces' pairs."""
    corners, normals, exists = primitives.tangent_triangles(
        tf.gather(centers_mm, wedges, axis=1), tf.gather(radii_mm, wedges, axis=1)
    )
    batch, faces = tf.shape(centers_mm)[0], 2 * len(wedges)
    facing = exists & (tf.reduce_sum(corners[..., 0, :] * normals, axis=-1) < 0.0)
    # Nothing lies within reversed bounds, so hidden faces form no pairs.
    box = tf.repeat(tiles.hull_bounds(bounds, wedges), 2, axis=1)
    box = tf.where(tf.reshape(facing, [batch, faces, 1]), box, [1e9, -1e9, 1e9, -1e9])
    pairs = tiles.overlapping_pairs(box, grid, height, width)
    values = tf.concat([tf.reshape(corners, [batch, faces, 9]), tf.reshape(normals, [batch, faces, 3])], -1)
    edges = primitives.triangle_edges(pairs.rays, tf.reshape(_rows(values, pairs.primitive)[:9], [3, 3, -1]))
    largest = edges[:, 0] + 0.5 * (tiles.TILE - 1) * (tf.abs(edges[:, 1]) + tf.abs(edges[:, 2]))
    keep = tf.reduce_all(largest >= 0.0, axis=0)
    pairs, edges = pairs.where(keep), tf.gather(edges, tf.where(keep)[:, 0], axis=2)
    values = _rows(values, pairs.primitive)
    corners = tf.reshape(values[:9], [3, 3, -1])
    return primitives.triangle_depth(pairs.rays, corners, values[9:], edges, _BASIS), pairs.tile
