"""Cone-spheres and wedges of any proportion, nearly degenerate ones and steep views included, in float64 and loops."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.simulation import primitives, renderer, tiles

SIZE = 24
EXTENT_MM = 160.0


def _reference(centers, radii, weights, crop_center):
    """Depth of a dense family of spheres along a crop's rays, 0 where nothing is hit."""
    offsets = ((np.arange(SIZE) + 0.5) / SIZE - 0.5) * EXTENT_MM / crop_center[2]
    x, y = np.meshgrid(crop_center[0] / crop_center[2] + offsets, crop_center[1] / crop_center[2] + offsets)
    rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)
    centers, radii = weights @ centers, weights @ radii
    a, b = np.sum(rays**2, 1)[:, None], rays @ centers.T
    discriminant = b**2 - a * (np.sum(centers**2, 1) - radii**2)
    depth = np.where(discriminant > 0, (b - np.sqrt(np.maximum(discriminant, 0))) / a, np.inf).min(1)
    return np.where(np.isfinite(depth), depth, 0).reshape(SIZE, SIZE)


def _random_hulls(count, spheres, seed):
    """Random spheres of very different sizes and distances around places in front of the camera."""
    rng = np.random.default_rng(seed)
    radii = rng.uniform(3, 30, (count, spheres))
    centers = rng.normal(size=(count, spheres, 3)) * rng.uniform(2, 50, (count, 1, 1))
    places = np.stack([rng.uniform(-200, 200, count), rng.uniform(-150, 150, count), rng.uniform(350, 900, count)], -1)
    return centers - centers.mean(1, keepdims=True) + places[:, None], radii, places


def _touching(centers, radii, rng, count):
    """Moves the second sphere of the first hulls to where it touches the first from inside, or nearly so."""
    for i in range(count):
        direction = rng.normal(size=3)
        distance = abs(radii[i, 1] - radii[i, 0]) * (1 + 10 ** rng.uniform(-6, -1))
        centers[i, 1] = centers[i, 0] + direction / np.linalg.norm(direction) * distance


def _check(centers, radii, places, cones, wedges, weights):
    inputs = [tf.constant(a, tf.float32) for a in (centers, radii, places)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        depth = renderer.render_crop(inputs[0], inputs[1], cones, wedges, inputs[2], EXTENT_MM, SIZE)
        total = tf.reduce_sum(depth)
    assert all(np.all(np.isfinite(g)) for g in tape.gradient(total, inputs[:2]))
    rounded = [a.numpy().astype(np.float64) for a in inputs]
    for i, image in enumerate(depth.numpy()):
        expected = _reference(rounded[0][i], rounded[1][i], weights, places[i])
        both = (image > 0) & (expected > 0)
        assert np.sum((image > 0) != (expected > 0)) <= 1
        # The densest reference misses up to this much where a large facet is seen edge-on.
        assert np.abs(image - expected)[both].max(initial=0) < 0.05, i


def test_cone_spheres_of_any_proportion():
    centers, radii, places = _random_hulls(48, 2, seed=0)
    _touching(centers, radii, np.random.default_rng(1), 16)
    line = np.linspace(0, 1, 1501)
    _check(centers, radii, places, [(0, 1)], [], np.stack([1 - line, line], 1))


def test_widening_cone_seen_along_its_axis():
    # A small sphere right in front of a large one: rays beside the small one meet the flank from its open side.
    centers = np.array([[(0.0, 0.0, 460.0), (3.0, 2.0, 520.0)], [(100.0, 0.0, 460.0), (118.0, -4.0, 520.0)]])
    radii = np.array([[6.0, 40.0], [6.0, 30.0]])
    line = np.linspace(0, 1, 3001)
    _check(centers, radii, centers.mean(1), [(0, 1)], [], np.stack([1 - line, line], 1))


def test_wedges_of_any_proportion():
    centers, radii, places = _random_hulls(32, 3, seed=2)
    centers = places[:, None] + 0.6 * (centers - places[:, None])
    rng = np.random.default_rng(3)
    _touching(centers, radii, rng, 8)
    for i in range(8, 16):  # nearly on a line
        between = rng.uniform(-1, 2)
        centers[i, 2] = centers[i, 0] * (1 - between) + centers[i, 1] * between + rng.normal(size=3) * 0.01
    a, b = np.meshgrid(np.linspace(0, 1, 121), np.linspace(0, 1, 121))
    weights = np.stack([1 - a - b, a, b], -1)[a + b <= 1 + 1e-9]
    line = np.linspace(0, 1, 600)
    edges = [np.insert(np.stack([1 - line, line], 1), i, 0.0, axis=1) for i in range(3)]
    _check(centers, radii, places, [], [(0, 1, 2)], np.concatenate([weights, *edges]))


def test_tangent_planes_touch_the_three_spheres_from_outside():
    centers, radii, _ = _random_hulls(64, 3, seed=4)
    corners, normals, exists = (
        a.numpy()
        for a in primitives.tangent_triangles(tf.constant(centers, tf.float64), tf.constant(radii, tf.float64))
    )
    assert 0.3 < exists.mean() < 1.0
    for i, side in zip(*np.nonzero(exists)):
        normal = normals[i, side]
        assert abs(np.linalg.norm(normal) - 1) < 1e-9
        heights = centers[i] @ normal + radii[i]
        np.testing.assert_allclose(heights, heights[0], atol=1e-6)
        order = [0, 2, 1] if side == 0 else [0, 1, 2]
        np.testing.assert_allclose(corners[i, side], (centers[i] + radii[i][:, None] * normal)[order], atol=1e-9)


@pytest.mark.parametrize("radius", [5.0, 60.0])
def test_sphere_bounds_are_the_extremes_of_its_outline(radius):
    center = np.array([150.0, -80.0, 400.0])
    low_x, high_x, low_y, high_y = tiles.sphere_bounds(np.float32(center)[None, None], np.float32([[radius]]))[
        0, 0
    ].numpy()
    points = np.random.default_rng(0).normal(size=(400000, 3))
    points = center + radius * points / np.linalg.norm(points, axis=1, keepdims=True)
    x, y = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
    for bound, extreme in ((low_x, x.min()), (low_y, y.min()), (-high_x, -x.max()), (-high_y, -y.max())):
        assert extreme - 1e-3 * radius / 60 < bound <= extreme


def test_pixels_of_a_tile_are_in_row_order():
    basis = primitives.monomials(4)
    np.testing.assert_array_equal(basis[1].reshape(4, 4)[0], [-1.5, -0.5, 0.5, 1.5])
    np.testing.assert_array_equal(basis[2].reshape(4, 4)[:, 0], [-1.5, -0.5, 0.5, 1.5])
    np.testing.assert_allclose(basis[3:], np.stack([basis[1] ** 2, basis[1] * basis[2], basis[2] ** 2]))
