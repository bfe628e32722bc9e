"""The simulator's hands as triangle meshes, and crops of them by a general ray caster, Open3D's RaycastingScene.

It is the peer of benchmarks/simulator.py. Open3D is not among the project's requirements (pip install open3d).
"""

from __future__ import annotations

import numpy as np

from lsps_tf.simulation import primitives, renderer

# Icosahedra whose triangles are cut in four so often; 2 leave a sphere within 1.5 % of its radius.
SUBDIVISIONS = 2
# Corners around a cone's flank.
SIDES = 24


def hand_mesh(
    centers_mm: np.ndarray, radii_mm: np.ndarray, cones: np.ndarray, wedges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A mesh of the surface that the renderer sees: spheres, flanks of cones, and the faces of wedges, unmerged.

    Args:
        centers_mm: [S, 3] spheres' centers, camera space.
        radii_mm: [S].
        cones, wedges: as of `renderer.render_crop`.

    Returns:
        vertices [V, 3] float32 in mm and triangles [T, 3] uint32.
    """
    pairs = renderer.all_cones(cones, wedges)
    used = np.unique(np.concatenate([pairs.ravel(), np.ravel(wedges)])).astype(int)
    ball, faces = unit_sphere(SUBDIVISIONS)
    parts = [(centers_mm[s] + radii_mm[s] * ball, faces) for s in used]
    parts += [_flank(centers_mm[pair], radii_mm[pair]) for pair in pairs]
    corners, _, exists = primitives.tangent_triangles(centers_mm[wedges], radii_mm[wedges])
    flat = corners.numpy()[exists.numpy()]
    parts.append((flat.reshape(-1, 3), np.arange(3 * len(flat)).reshape(-1, 3)))
    offsets = np.cumsum([0, *(len(vertices) for vertices, _ in parts[:-1])])
    vertices = np.concatenate([vertices for vertices, _ in parts])
    triangles = np.concatenate([triangles + offset for (_, triangles), offset in zip(parts, offsets)])
    return vertices.astype(np.float32), triangles.astype(np.uint32)


def unit_sphere(subdivisions: int) -> tuple[np.ndarray, np.ndarray]:
    """An icosahedron whose triangles are cut in four so often: vertices [V, 3] on the unit sphere, triangles [T, 3]."""
    golden = (1.0 + 5.0**0.5) / 2.0
    pairs = np.array([(a, b * golden) for a in (-1.0, 1.0) for b in (-1.0, 1.0)])
    zeros = np.zeros((4, 1))
    vertices = np.concatenate([np.roll(np.hstack([zeros, pairs]), shift, axis=1) for shift in range(3)])
    distances = np.linalg.norm(vertices[:, None] - vertices[None], axis=-1)
    near = np.isclose(distances, 2.0)
    triangles = np.array(
        [(i, j, k) for i in range(12) for j in range(i) for k in range(j) if near[i, j] and near[j, k] and near[i, k]]
    )
    vertices /= np.linalg.norm(vertices[0])
    for _ in range(subdivisions):
        corners = vertices[triangles]
        middles = corners + np.roll(corners, -1, axis=1)
        middles /= np.linalg.norm(middles, axis=-1, keepdims=True)
        vertices = np.concatenate([corners, middles], axis=1).reshape(-1, 3)
        first = 6 * np.arange(len(corners))[:, None, None]
        triangles = (first + np.array([[0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]])).reshape(-1, 3)
    return vertices, triangles


def crop_rays(center_mm: np.ndarray, extent_mm: float, size: int) -> np.ndarray:
    """The rays [size, size, 6] of a crop, origin and direction (x, y, 1), so that a hit's distance is its depth."""
    offsets = ((np.arange(size) + 0.5) / size - 0.5) * extent_mm / center_mm[2]
    x, y = np.meshgrid(center_mm[0] / center_mm[2] + offsets, center_mm[1] / center_mm[2] + offsets)
    return np.stack([*[np.zeros_like(x)] * 3, x, y, np.ones_like(x)], axis=-1).astype(np.float32)


def cast_crop(mesh: tuple[np.ndarray, np.ndarray], rays: np.ndarray) -> np.ndarray:
    """Depth [size, size] in mm of a mesh, 0 where nothing is hit; a posed hand needs a scene of its own."""
    import open3d

    scene = open3d.t.geometry.RaycastingScene()
    scene.add_triangles(*(open3d.core.Tensor(part) for part in mesh))
    depth_mm = scene.cast_rays(open3d.core.Tensor(rays))["t_hit"].numpy()
    return np.where(np.isfinite(depth_mm), depth_mm, 0.0)


def _flank(centers_mm: np.ndarray, radii_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The strip of triangles that touches both spheres of a cone; none where one sphere holds the other."""
    axis = centers_mm[1] - centers_mm[0]
    length = np.linalg.norm(axis)
    slope = (radii_mm[0] - radii_mm[1]) / max(length, 1e-6)
    if abs(slope) >= 1.0:
        return np.zeros((0, 3)), np.zeros((0, 3), int)
    axis = axis / length
    side = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    side /= np.linalg.norm(side)
    angles = 2.0 * np.pi * np.arange(SIDES)[:, None] / SIDES
    around = np.cos(angles) * side + np.sin(angles) * np.cross(axis, side)
    normals = slope * axis + np.sqrt(1.0 - slope**2) * around
    vertices = np.concatenate([center + radius * normals for center, radius in zip(centers_mm, radii_mm)])
    near, following = np.arange(SIDES), (np.arange(SIDES) + 1) % SIDES
    lower = np.stack([near, following, near + SIDES], axis=1)
    upper = np.stack([following, following + SIDES, near + SIDES], axis=1)
    return vertices, np.concatenate([lower, upper])
