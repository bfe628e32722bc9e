"""Rays from a pinhole against spheres, cone flanks and tangent triangles, for N pairs (primitive, tile of pixels).

The surface is a union of convex hulls of two spheres (cone-spheres) and of three spheres (wedges). Such a hull's
boundary consists of pieces of its spheres, of the cones that touch two of them and of the planes that touch three.

A ray is t (x, y, 1), so t is the depth z in mm. Within a tile x = x0 + step_x X and y = y0 + step_y Y with X, Y the
pixel's offset from the tile's center. What a hit needs are polynomials of degree one or two in (X, Y), so a pair is a
few coefficients, and one matrix product with `monomials` gives all pixels of all tiles.

A *linear form* is a tensor [3, N]: value at the tile's center, slope along X, slope along Y. A *quadratic form* is a
tensor [6, N], in the order of `monomials`.

For float32, depths are relative to the primitive: with c its first center and d the ray, q = c_z d - c has q_z = 0, and
a point of the ray is c + q + s d with s = z - c_z. All numbers are then of the primitive's size, not of its distance.
Derived for this module; the cone-sphere is the "rounded cone" or "sphere-mesh" element of Tkach, Pauly & Tagliasacchi
(2016), Sphere-meshes for real-time hand modeling and tracking.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

MISS_MM = np.float32(1e9)  # depth of "nothing hit"; finite, so that masked gradients stay finite
NEAR_MM = np.float32(1.0)  # nothing nearer than this is seen
_SMALLEST_ROOT = 1e-4  # mm^2; bounds the square root's derivative at the silhouette
_SMALLEST_SLACK = 1e-3  # (|w|^2 - g^2) / |w|^2; below it the flank is a ring too narrow to matter
_SMALLEST_SPREAD = 1e-4  # squared sine of the angle below which three centers count as lying on a line
_SMALLEST_LEADING = 1e-9  # for rays along the opening angle of a cone
_ONE = np.eye(6, 1, dtype=np.float32)  # the constant 1 as a quadratic form


class Tiles(NamedTuple):
    """Rays per pair: linear forms [3, N] of x and of y."""

    x: tf.Tensor
    y: tf.Tensor


def monomials(tile: int) -> np.ndarray:
    """float32 [6, tile * tile]: 1, X, Y, X^2, XY, Y^2 at a tile's pixels (row-major); X, Y count from its center."""
    offsets = np.arange(tile, dtype=np.float32) - 0.5 * np.float32(tile - 1)
    y, x = (grid.ravel() for grid in np.meshgrid(offsets, offsets, indexing="ij"))
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])


def linear_form(value: tf.Tensor, slope_x: tf.Tensor, slope_y: tf.Tensor) -> tf.Tensor:
    """Linear form [3, N] from its three parts, [N] each."""
    return tf.stack([value, slope_x, slope_y])


def _shifted(form: tf.Tensor, constant: tf.Tensor) -> tf.Tensor:
    """form + constant, with one constant [N] per pair."""
    return form + tf.pad(constant[None], [[0, 2], [0, 0]])


def _sum_of_products(left: list[tf.Tensor], right: list[tf.Tensor]) -> tf.Tensor:
    """Quadratic form of sum_k left_k right_k, linear forms given as lists of [3, N]."""
    a, b = tf.stack(left), tf.stack(right)
    a0, ax, ay = a[:, 0], a[:, 1], a[:, 2]
    b0, bx, by = b[:, 0], b[:, 1], b[:, 2]
    terms = [a0 * b0, a0 * bx + ax * b0, a0 * by + ay * b0, ax * bx, ax * by + ay * bx, ay * by]
    return tf.stack([tf.reduce_sum(term, axis=0) for term in terms])


def _signed_squares(parts: list[tuple[float, tf.Tensor]]) -> tf.Tensor:
    """Quadratic form of sum_k sign_k form_k^2."""
    return _sum_of_products([form for _, form in parts], [sign * form for sign, form in parts])


def _ray_squared(tiles: Tiles) -> tf.Tensor:
    """Quadratic form of |d|^2 = 1 + x^2 + y^2."""
    return _signed_squares([(1.0, tiles.x), (1.0, tiles.y)]) + _ONE


def _at_pixels(form: tf.Tensor, basis: np.ndarray) -> tf.Tensor:
    """Values [N, pixels] of a linear or quadratic form."""
    return tf.matmul(form, basis[: form.shape[0]], transpose_a=True)


def _offsets(tiles: Tiles, center: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Linear forms of q_x, q_y and (q x d)_z, with q = c_z d - c and center [3, N]."""
    cx, cy, cz = tf.unstack(center)
    qx, qy = _shifted(cz * tiles.x, -cx), _shifted(cz * tiles.y, -cy)
    twist = cy * tiles.x - cx * tiles.y
    # The same value as twist's own, without its cancellation of large numbers.
    value = qx[0] * tiles.y[0] - qy[0] * tiles.x[0]
    return qx, qy, tf.concat([value[None], twist[1:]], axis=0)


def _entry(leading: tf.Tensor, half: tf.Tensor, constant: tf.Tensor, discriminant: tf.Tensor) -> tf.Tensor:
    """Root of A s^2 + 2 B s + C = 0 at which the form falls below zero, where D = B^2 - A C is positive.

    That is (-B - sqrt(D)) / A for either sign of A, or C / (sqrt(D) - B) where B < 0, so that neither cancels.
    """
    root = tf.sqrt(tf.maximum(discriminant, _SMALLEST_ROOT))
    from_front = half < 0.0
    leading = tf.where(tf.abs(leading) > _SMALLEST_LEADING, leading, _SMALLEST_LEADING)
    numerator = tf.where(from_front, constant, half + root)
    return numerator / tf.where(from_front, root - half, -leading)


def sphere_depth(tiles: Tiles, center: tf.Tensor, radius: tf.Tensor, basis: np.ndarray) -> tf.Tensor:
    """Depth [N, pixels] in mm at which rays enter spheres, MISS_MM where they do not.

    With q, s of the module's docstring: |q + s d|^2 = r^2, so A = |d|^2, B = q d, and
    B^2 - A C = r^2 |d|^2 - |q x d|^2, in which q x d = (q_y, -q_x, q_x y - q_y x) is linear in (x, y).

    Args:
        tiles: the pairs' rays.
        center: [3, N] mm, camera space.
        radius: [N] mm.
        basis: `monomials`, [6, pixels].
    """
    qx, qy, twist = _offsets(tiles, center)
    ray_squared = _ray_squared(tiles)
    discriminant = radius**2 * ray_squared + _signed_squares([(-1.0, qx), (-1.0, qy), (-1.0, twist)])
    half = _sum_of_products([qx, qy], [tiles.x, tiles.y])
    root = _at_pixels(discriminant, basis)
    # A is at least 1 here, so the plain formula does.
    entered = -(_at_pixels(half, basis) + tf.sqrt(tf.maximum(root, _SMALLEST_ROOT))) / _at_pixels(ray_squared, basis)
    depth = center[2][:, None] + entered
    return tf.where((root > 0.0) & (depth > NEAR_MM), depth, MISS_MM)


def flank_depth(
    tiles: Tiles, center: tf.Tensor, axis: tf.Tensor, radius: tf.Tensor, growth: tf.Tensor, basis: np.ndarray
) -> tf.Tensor:
    """Depth [N, pixels] at which rays enter the cone that touches two spheres, between them; MISS_MM elsewhere.

    The spheres between the two have centers c + h w and radii r + h g, 0 <= h <= 1. A point p = c + v is inside one of
    them where min_h |v - h w|^2 - (r + h g)^2 < 0. The minimum lies at h = (v w + r g) / m with m = |w|^2 - g^2 > 0,
    so with w' = w / sqrt(m) and k = r g / sqrt(m) the cone is |v|^2 - r^2 - (v w' + k)^2 = 0. For v = q + s d and
    e = q w' + k: A = |d|^2 - (d w')^2, B = q d - e (d w'), C = q^2 - r^2 - e^2 and
    B^2 - A C = r^2 A - |n|^2 + |k d + w' x n|^2 with n = d x q. A <= 0 on rays that are steeper than the cone.

    Args:
        tiles: the pairs' rays.
        center: [3, N] mm, the first sphere's.
        axis: [3, N] mm, w.
        radius: [N] mm, the first sphere's.
        growth: [N] mm, g = second radius - first radius. Pairs with |g| >= |w| (one sphere inside the other) miss.
        basis: `monomials`, [6, pixels].
    """
    squared = tf.reduce_sum(axis**2, axis=0)
    slack = squared - growth**2
    exists = slack > _SMALLEST_SLACK * squared
    length = tf.sqrt(tf.where(exists, slack, 1.0))
    wx, wy, wz = tf.unstack(axis / length)
    k = radius * growth / length
    x, y = tiles
    qx, qy, twist = _offsets(tiles, center)
    along = _shifted(wx * x + wy * y, wz)
    e = _shifted(wx * qx + wy * qy, k)
    n = (-qy, qx, -twist)
    f = (k * x + (wy * n[2] - wz * n[1]), k * y + (wz * n[0] - wx * n[2]), _shifted(wx * n[1] - wy * n[0], k))
    leading = _ray_squared(tiles) - _signed_squares([(1.0, along)])
    half = _sum_of_products([qx, qy, -e], [x, y, along])
    constant = _signed_squares([(1.0, qx), (1.0, qy), (-1.0, e)]) - radius**2 * _ONE
    discriminant = radius**2 * leading + _signed_squares([(-1.0, a) for a in n] + [(1.0, a) for a in f])
    root = _at_pixels(discriminant, basis)
    entered = _entry(*(_at_pixels(form, basis) for form in (leading, half, constant)), root)
    height = _at_pixels(e, basis) + entered * _at_pixels(along, basis)
    depth = center[2][:, None] + entered
    hit = exists[:, None] & (root > 0.0) & (depth > NEAR_MM)
    return tf.where(hit & (height > 0.0) & (height < length[:, None]), depth, MISS_MM)


def triangle_edges(tiles: Tiles, corners: tf.Tensor) -> tf.Tensor:
    """Linear forms [3 (edges), 3, N]; a ray passes through a triangle from its front where all three are >= 0.

    With q_i = t_i,z d - t_i the edge from t_i to t_j is det(d, t_i, t_j) = q_i,x q_j,y - q_i,y q_j,x. Its terms of
    degree two cancel, as det(d, t_i, t_j) = d (t_i x t_j) is linear in d.

    Args:
        tiles: the pairs' rays.
        corners: [3 (corner), 3 (x, y, z), N] mm; seen from outside the hull the corners run clockwise in (x, y).
    """
    forms = [_offsets(tiles, corner)[:2] for corner in tf.unstack(corners)]
    edges = []
    for (ax, ay), (bx, by) in zip(forms, forms[1:] + forms[:1]):
        edges.append(
            linear_form(
                ax[0] * by[0] - ay[0] * bx[0],
                ax[1] * by[0] - ay[0] * bx[1],
                ax[0] * by[2] - ay[2] * bx[0],
            )
        )
    return tf.stack(edges)


def triangle_depth(
    tiles: Tiles, corners: tf.Tensor, normal: tf.Tensor, edges: tf.Tensor, basis: np.ndarray
) -> tf.Tensor:
    """Depth [N, pixels] at which rays enter triangles from their front, MISS_MM elsewhere.

    With q, s of the first corner, n (q + s d) = 0 gives s = -(n q) / (n d).

    Args:
        tiles: the pairs' rays.
        corners: [3, 3, N] mm as for `triangle_edges`.
        normal: [3, N] unit vector out of the hull.
        edges: `triangle_edges` of the same pairs.
        basis: `monomials`, [6, pixels].
    """
    nx, ny, nz = tf.unstack(normal)
    qx, qy, _ = _offsets(tiles, corners[0])
    toward = _at_pixels(_shifted(nx * tiles.x + ny * tiles.y, nz), basis)
    facing = toward < -1e-6
    s = -_at_pixels(nx * qx + ny * qy, basis) / tf.where(facing, toward, -1.0)
    depth = corners[0, 2][:, None] + s
    inside = facing & (depth > NEAR_MM)
    for edge in tf.unstack(edges):
        inside &= _at_pixels(edge, basis) >= 0.0
    return tf.where(inside, depth, MISS_MM)


def tangent_triangles(centers: tf.Tensor, radii: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The two flat faces of the convex hull of three spheres.

    A plane n p = a touches sphere i from outside where n c_i + r_i = a. So n u = r_0 - r_1 and n v = r_0 - r_2 for
    u = c_1 - c_0 and v = c_2 - c_0, which fixes n up to its part along u x v, whose size follows from |n| = 1.

    Args:
        centers: [..., 3 (sphere), 3] mm.
        radii: [..., 3] mm.

    Returns:
        corners [..., 2, 3, 3] (c_i + r_i n, ordered as `triangle_edges` wants), normals [..., 2, 3], exists [..., 2]:
        False where no such plane exists (the hull is then that of two cone-spheres) or the centers lie on a line.
    """
    u, v = centers[..., 1, :] - centers[..., 0, :], centers[..., 2, :] - centers[..., 0, :]
    g1, g2 = radii[..., 0] - radii[..., 1], radii[..., 0] - radii[..., 2]
    cross = tf.linalg.cross(u, v)
    uu, uv, vv = (tf.reduce_sum(a * b, axis=-1) for a, b in ((u, u), (u, v), (v, v)))
    area_squared = tf.reduce_sum(cross**2, axis=-1)
    spread = area_squared > _SMALLEST_SPREAD * uu * vv
    area_squared = tf.where(spread, area_squared, 1.0)
    along_u, along_v = (vv * g1 - uv * g2) / area_squared, (uu * g2 - uv * g1) / area_squared
    flat = along_u[..., None] * u + along_v[..., None] * v
    rest = 1.0 - tf.reduce_sum(flat**2, axis=-1)
    exists = spread & (rest > 1e-6)
    upright = tf.sqrt(tf.where(exists, rest, 1.0) / area_squared)[..., None] * cross
    normals = tf.stack([flat + upright, flat - upright], axis=-2)
    corners = centers[..., None, :, :] + radii[..., None, :, None] * normals[..., :, None, :]
    flipped = tf.stack([tf.gather(corners[..., 0, :, :], [0, 2, 1], axis=-2), corners[..., 1, :, :]], axis=-3)
    return flipped, normals, tf.stack([exists, exists], axis=-1)
