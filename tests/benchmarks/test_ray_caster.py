"""The meshes for the general ray caster are the renderer's surface."""

import numpy as np
import pytest

from benchmarks import ray_caster
from lsps_tf.simulation import renderer

CENTERS_MM = np.array([[-20.0, 5.0, 500.0], [25.0, -10.0, 520.0], [0.0, 30.0, 510.0]], np.float32)
RADII_MM = np.array([12.0, 8.0, 9.0], np.float32)
CROP_MM, SIZE = np.array([0.0, 5.0, 510.0], np.float32), 32


def closest_hits(vertices, triangles, rays):
    """Depth of the nearest triangle per ray, by Möller and Trumbore's test of every pair; 0 where none is hit."""
    a, b, c = (vertices[triangles[:, i]].astype(np.float64) for i in range(3))
    nearest = []
    for direction in rays.reshape(-1, 6)[:, 3:].astype(np.float64):
        across = np.cross(direction, c - a)
        determinant = np.sum((b - a) * across, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.sum(-a * across, axis=1) / determinant
            along = np.cross(-a, b - a)
            v = along @ direction / determinant
            depth = np.sum((c - a) * along, axis=1) / determinant
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (depth > 0)
        nearest.append(depth[hit].min() if hit.any() else 0.0)
    return np.array(nearest).reshape(rays.shape[:2])


def rendered(cones, wedges):
    return renderer.render_crop(CENTERS_MM[None], RADII_MM[None], cones, wedges, CROP_MM[None], 120.0, SIZE)[0].numpy()


@pytest.mark.parametrize(
    ("cones", "wedges"), [(np.array([[0, 1]]), np.zeros((0, 3), int)), (np.zeros((0, 2), int), np.array([[0, 1, 2]]))]
)
def test_rays_hit_the_mesh_where_the_renderer_sees_the_surface(cones, wedges):
    mesh = ray_caster.hand_mesh(CENTERS_MM, RADII_MM, cones, wedges)
    hits, seen = closest_hits(*mesh, ray_caster.crop_rays(CROP_MM, 120.0, SIZE)), rendered(cones, wedges)
    both = (hits > 0) & (seen > 0)
    assert both.sum() > 80 and np.mean((hits > 0) == (seen > 0)) > 0.97
    # Triangles lie inside of what is round, by 1.5 % of a radius and more where the surface turns away.
    assert np.median(np.abs(hits - seen)[both]) < 0.15


def test_a_sphere_in_another_has_no_flank():
    radii_mm = np.array([60.0, 8.0, 9.0], np.float32)
    vertices, triangles = ray_caster.hand_mesh(CENTERS_MM, radii_mm, np.array([[0, 1]]), np.zeros((0, 3), int))
    assert len(triangles) == 2 * 20 * 4**ray_caster.SUBDIVISIONS


def test_open3d_finds_the_same_hits():
    pytest.importorskip("open3d", reason="Open3D is not installed", exc_type=ImportError)
    mesh = ray_caster.hand_mesh(CENTERS_MM, RADII_MM, np.array([[0, 1]]), np.array([[0, 1, 2]]))
    rays = ray_caster.crop_rays(CROP_MM, 120.0, SIZE)
    np.testing.assert_allclose(ray_caster.cast_crop(mesh, rays), closest_hits(*mesh, rays), atol=0.01)


def test_the_unit_sphere_is_closed_and_round():
    vertices, triangles = ray_caster.unit_sphere(1)
    corners = vertices[triangles]
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 1.0)
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum()
    assert len(triangles) == 80 and 0.9 * 4 * np.pi < area < 4 * np.pi
    # Every edge has two sides.
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]).round(6)
    _, counts = np.unique(
        np.sort(edges.view([("x", float), ("y", float), ("z", float)])[..., 0], 1), axis=0, return_counts=True
    )
    assert set(counts) == {2}
