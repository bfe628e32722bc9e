"""The renderer against dense float64 samples of the spheres that make up each hull, and finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import camera
from lsps_tf.simulation import kinematics, pose_prior, renderer, shape, surface, view_prior

SIZE = 44  # not a multiple of the tile
EXTENT_MM = 260.0
CONES = np.array([(4, 6), (6, 7), (3, 5), (0, 8), (9, 10), (11, 12)])
WEDGES = np.array([(0, 1, 3), (1, 2, 3), (2, 3, 4), (0, 9, 11)])
# x, y, z, radius in mm. Spheres 9 and 10 lie one inside the other; 0, 9, 11 have no common tangent plane.
SPHERES = np.array(
    [
        (-25, 50, 0, 20),
        (20, 52, 6, 18),
        (30, -25, -8, 11),
        (-28, -20, 4, 13),
        (24, -30, -12, 11),
        (-45, -90, -30, 8),
        (30, -70, -35, 9),
        (16, -66, -62, 7.5),
        (-70, 20, -25, 12),
        (10, 0, 40, 25),
        (12, 2, 38, 10),
        (60, 40, 30, 9),
        (62, 38, -80, 14),
    ],
    np.float64,
)


def _rotation(angle, axis):
    c, s = np.cos(angle), np.sin(angle)
    i, j = [(1, 2), (0, 2), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix


def _hands():
    """Three views of the made-up hand: from the front, off the optical axis and rotated, with fingers to the camera."""
    crop_center = np.array([(5.0, -8.0, 420.0), (210.0, -130.0, 760.0), (-160.0, 60.0, 900.0)])
    rotations = [np.eye(3), _rotation(0.9, 0) @ _rotation(0.7, 2), _rotation(1.4, 0) @ _rotation(2.5, 1)]
    centers = np.stack([SPHERES[:, :3] @ r.T + c for r, c in zip(rotations, crop_center)])
    return centers, np.tile(SPHERES[:, 3], (3, 1)), crop_center


def _crop_rays(center, extent=EXTENT_MM, size=SIZE):
    offsets = ((np.arange(size) + 0.5) / size - 0.5) * extent / center[2]
    x, y = np.meshgrid(center[0] / center[2] + offsets, center[1] / center[2] + offsets)
    return np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)


def _sphere_entry(rays, centers, radii):
    """Depth at which rays [R, 3] first enter any of the spheres [K, 3], inf where none."""
    a = np.sum(rays**2, 1)[:, None]
    b = rays @ centers.T
    discriminant = b**2 - a * (np.sum(centers**2, 1) - radii**2)
    with np.errstate(invalid="ignore"):
        depth = (b - np.sqrt(discriminant)) / a
    depth[~(depth > 1.0)] = np.inf
    return depth.min(1)


def _reference(centers, radii, rays):
    """Depth of the union of all hulls, each sampled as a dense family of spheres; 0 where nothing is hit."""
    line = np.linspace(0.0, 1.0, 801)
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 90), np.linspace(0, 1, 90)), -1).reshape(-1, 2)
    grid = grid[grid.sum(1) <= 1.0 + 1e-9]
    edges = np.concatenate([CONES, WEDGES[:, :2], WEDGES[:, 1:], WEDGES[:, ::2]])
    families = [(np.stack([1 - line, line], 1), pair) for pair in edges]
    families += [(np.concatenate([1 - grid.sum(1, keepdims=True), grid], 1), triple) for triple in WEDGES]
    nearest = np.full(len(rays), np.inf)
    for weights, members in families:
        family_centers, family_radii = weights @ centers[members], weights @ radii[members]
        direction = centers[members].mean(0) / np.linalg.norm(centers[members].mean(0))
        reach = np.linalg.norm(centers[members] - centers[members].mean(0), axis=1).max() + radii[members].max()
        distance = np.linalg.norm(np.cross(rays, centers[members].mean(0)), axis=1) / np.linalg.norm(rays, axis=1)
        near = (distance < reach) & (rays @ direction > 0)
        nearest[near] = np.minimum(nearest[near], _sphere_entry(rays[near], family_centers, family_radii))
    return np.where(np.isfinite(nearest), nearest, 0.0)


def _away_from_edges(depth, jump_mm=30.0):
    """Mask of pixels whose 3 x 3 neighborhood holds no silhouette and no jump of depth."""
    padded = np.pad(depth, 1, mode="edge")
    views = np.stack([padded[i : i + depth.shape[0], j : j + depth.shape[1]] for i in range(3) for j in range(3)])
    return (views.max(0) - views.min(0)) < jump_mm


@pytest.fixture(scope="module")
def crop():
    @tf.function(reduce_retracing=True)
    def function(centers, radii, crop_center):
        return renderer.render_crop(centers, radii, CONES, WEDGES, crop_center, EXTENT_MM, SIZE)

    def call(centers, radii, crop_center):
        return function(*(tf.constant(a, tf.float32) for a in (centers, radii, crop_center)))

    return call


def test_depth_is_that_of_densely_sampled_hulls(crop):
    centers, radii, crop_center = _hands()
    depth = crop(centers, radii, crop_center).numpy()
    for i in range(3):
        expected = _reference(centers[i], radii[i], _crop_rays(crop_center[i])).reshape(SIZE, SIZE)
        assert 200 < np.sum(expected > 0) < SIZE * SIZE
        assert np.mean((depth[i] > 0) != (expected > 0)) < 0.002
        both = (depth[i] > 0) & (expected > 0)
        assert np.abs(depth[i] - expected)[both].max() < 0.05


def test_float32_matches_float64_on_a_far_small_sphere():
    center, radius = np.array([400.0, -300.0, 2000.0]), 9.0
    depth = renderer.render_crop(
        np.float32(center)[None, None].repeat(2, 1),
        np.full((1, 2), radius, np.float32),
        [(0, 1)],
        [],
        center[None],
        40.0,
        64,
    )
    expected = _sphere_entry(_crop_rays(center, 40.0, 64), center[None], np.array([radius])).reshape(64, 64)
    expected[~np.isfinite(expected)] = 0
    same = (depth[0].numpy() > 0) == (expected > 0)
    assert same.mean() > 0.995
    inner = (expected > 0) & (expected < center[2] - 2.0)
    assert inner.sum() > 300
    assert np.abs(depth[0].numpy() - expected)[inner].max() < 0.01


def test_frame_shows_what_the_crop_shows(crop):
    centers, radii, crop_center = _hands()
    pinhole = camera.Camera(300.0, 310.0, 158.3, 121.7, 320, 240)
    frame = renderer.render_frame(np.float32(centers), np.float32(radii), CONES, WEDGES, pinhole).numpy()
    assert frame.shape == (3, 240, 320)
    crops = crop(centers, radii, crop_center).numpy()
    for i in range(3):
        rays = _crop_rays(crop_center[i]).reshape(SIZE, SIZE, 3)
        u = np.rint(rays[..., 0] * pinhole.fx + pinhole.cx).astype(int)
        v = np.rint(rays[..., 1] * pinhole.fy + pinhole.cy).astype(int)
        seen = (u >= 0) & (u < 320) & (v >= 0) & (v < 240)
        sampled = np.where(seen, frame[i][np.clip(v, 0, 239), np.clip(u, 0, 319)], 0)
        inner = _away_from_edges(crops[i]) & (crops[i] > 0) & seen
        assert inner.sum() > 60
        assert np.median(np.abs(sampled - crops[i])[inner]) < 2.0
        # At the rays of the frame's own pixels the reference must be met exactly.
        v, u = np.nonzero((frame[i] > 0) & _away_from_edges(frame[i]))
        rays = np.stack([(u - pinhole.cx) / pinhole.fx, (v - pinhole.cy) / pinhole.fy, np.ones(len(u))], 1)[::7]
        assert np.abs(_reference(centers[i], radii[i], rays) - frame[i][v, u][::7]).max() < 0.05


def test_empty_crop_and_hand_behind_the_camera(crop):
    centers, radii, crop_center = _hands()
    assert not np.any(crop(centers + np.array([900.0, 0.0, 0.0]), radii, crop_center))
    assert not np.any(crop(centers * [1.0, 1.0, -1.0], radii, crop_center))


def test_forearm_that_passes_the_camera_is_seen_in_front_of_it():
    centers = np.array([[(0.0, 0.0, 300.0), (150.0, 0.0, -300.0)]])
    radii = np.array([[20.0, 30.0]])
    depth = renderer.render_crop(np.float32(centers), np.float32(radii), [(0, 1)], [], [(20.0, 0.0, 300.0)], 260.0, 40)
    weights = np.linspace(0, 1, 20001)[:, None]
    family = centers[0, 0] * (1 - weights) + centers[0, 1] * weights
    expected = _sphere_entry(_crop_rays(np.array([20.0, 0.0, 300.0]), 260.0, 40), family, 20.0 + 10.0 * weights[:, 0])
    expected = np.where(np.isfinite(expected), expected, 0).reshape(40, 40)
    inner = _away_from_edges(expected) & (expected > 0)
    assert inner.sum() > 60
    assert np.abs(depth[0].numpy() - expected)[inner].max() < 0.05


def test_gradient_matches_finite_differences(crop):
    centers, radii, crop_center = _hands()
    variables = [tf.constant(a, tf.float32) for a in (centers, radii)]
    depth = crop(centers, radii, crop_center).numpy()
    mask = np.stack([_away_from_edges(d, 10.0) & (d > 0) for d in depth])
    weights = np.random.default_rng(0).normal(size=depth.shape) * mask

    @tf.function
    def gradients(centers_mm, radii_mm):
        with tf.GradientTape() as tape:
            tape.watch([centers_mm, radii_mm])
            image = renderer.render_crop(centers_mm, radii_mm, CONES, WEDGES, np.float32(crop_center), EXTENT_MM, SIZE)
            value = tf.reduce_sum(image * weights.astype(np.float32))
        return tape.gradient(value, [centers_mm, radii_mm])

    centers_gradient, radii_gradient = (g.numpy() for g in gradients(*variables))
    assert np.all(np.isfinite(centers_gradient)) and np.all(np.isfinite(radii_gradient))
    rng = np.random.default_rng(1)
    for _ in range(4):
        move, grow = rng.normal(size=centers.shape), 0.3 * rng.normal(size=radii.shape)
        step = 0.02
        ahead = crop(centers + step * move, radii + step * grow, crop_center).numpy().astype(np.float64)
        behind = crop(centers - step * move, radii - step * grow, crop_center).numpy().astype(np.float64)
        numeric = np.sum(weights * (ahead - behind), axis=(1, 2)) / (2 * step)
        analytic = np.sum(centers_gradient * move, (1, 2)) + np.sum(radii_gradient * grow, 1)
        scale = np.sqrt(np.sum(weights**2, axis=(1, 2)))
        assert np.all(np.abs(numeric - analytic) < 0.05 * scale), (numeric, analytic, scale)


def test_moving_the_hand_along_the_ray_moves_the_depth_by_as_much():
    centers = tf.constant([[[0.0, 0.0, 500.0], [30.0, 0.0, 500.0], [0.0, 40.0, 500.0]]])
    radii = tf.constant([[10.0, 10.0, 10.0]])
    with tf.GradientTape() as tape:
        tape.watch([centers, radii])
        depth = renderer.render_crop(centers, radii, np.zeros((0, 2)), [(0, 1, 2)], [(8.0, 8.0, 490.0)], 2.0, 1)
        value = depth[0, 0, 0]
    by_center, by_radius = tape.gradient(value, [centers, radii])
    np.testing.assert_allclose(value, 490.0, atol=1e-3)
    np.testing.assert_allclose(np.sum(by_center, (0, 1)), [0.0, 0.0, 1.0], atol=1e-4)
    np.testing.assert_allclose(np.sum(by_radius), -1.0, atol=1e-4)


def test_visible_joints_lie_inside_the_surface_within_their_cone_spheres():
    seed = tf.constant([5, 7])
    state = kinematics.pose_hand(
        pose_prior.sample_angles(seed, 12),
        view_prior.sample_rotation(seed, 12),
        view_prior.sample_translation(seed, 12),
        shape.canonical_shape(),
    )
    joints = state.joints_mm.numpy()
    repeats = joints.shape[1]
    # One pixel per joint, whose ray passes the joint exactly.
    surface_mm = renderer.render_crop(
        tf.repeat(state.centers_mm, repeats, 0),
        tf.repeat(state.radii_mm, repeats, 0),
        surface.CONES,
        surface.WEDGES,
        joints.reshape(-1, 3),
        1.0,
        1,
    )
    surface_mm = surface_mm.numpy().reshape(joints.shape[:2])
    line, (a, b) = np.linspace(0, 1, 60), np.meshgrid(np.linspace(0, 1, 40), np.linspace(0, 1, 40))
    pairs = np.stack([1 - line, line], 1)
    triples = np.stack([1 - a - b, a, b], -1)[a + b <= 1 + 1e-9]
    visible = 0
    for i in range(len(joints)):
        centers, radii = state.centers_mm[i].numpy().astype(np.float64), state.radii_mm[i].numpy().astype(np.float64)
        families = [(pairs @ centers[list(c)], pairs @ radii[list(c)]) for c in surface.CONES]
        families += [(triples @ centers[list(w)], triples @ radii[list(w)]) for w in surface.WEDGES]
        for joint, seen_mm in zip(joints[i].astype(np.float64), surface_mm[i]):
            signed = [np.min(np.linalg.norm(c - joint, axis=1) - r) for c, r in families]
            assert min(signed) < 0.1  # within the radius of its cone-sphere
            seen = joint / joint[2] * seen_mm
            outside = min(np.min(np.linalg.norm(c - seen, axis=1) - r) for c, r in families)
            assert abs(outside) < 0.1  # what the camera sees is the surface
            assert 0 < seen_mm <= joint[2] + 0.1  # the joint lies behind it
            own_radius = families[int(np.argmin(signed))][1].max()
            visible += joint[2] - seen_mm < 2 * own_radius
    assert visible > 0.5 * joints.shape[0] * repeats


def test_depth_is_differentiable_in_pose_shape_and_position():
    seed = tf.constant([2, 9])
    start = {
        "angles": pose_prior.sample_angles(seed, 4),
        "translation_mm": tf.constant([[20.0, -30.0, 600.0]] * 4),
        "parameters": shape.sample_shape_parameters(seed, 4),
    }
    rotation = view_prior.sample_rotation(seed, 4)

    @tf.function
    def render(angles, translation_mm, parameters):
        state = kinematics.pose_hand(angles, rotation, translation_mm, shape.shape_from_parameters(parameters))
        center = start["translation_mm"]
        return renderer.render_crop(
            state.centers_mm, state.radii_mm, surface.CONES, surface.WEDGES, center, 200.0, SIZE
        )

    depth = render(**start).numpy()
    interior = np.stack([_away_from_edges(d, 12.0) & (d > 0) for d in depth])
    assert interior.sum() > 400
    weights = (np.random.default_rng(3).normal(size=depth.shape) * interior).astype(np.float32)

    @tf.function
    def gradients(angles, translation_mm, parameters):
        inputs = {"angles": angles, "translation_mm": translation_mm, "parameters": parameters}
        value = tf.reduce_sum(render(**inputs) * weights)
        return tf.gradients(value, list(inputs.values()))

    analytic = dict(zip(start, gradients(**start)))
    rng = np.random.default_rng(4)
    for name, step in (("angles", 1e-3), ("translation_mm", 0.05), ("parameters", 1e-3)):
        move = rng.normal(size=start[name].shape).astype(np.float32)
        ahead, behind = (render(**{**start, name: start[name] + sign * step * move}).numpy() for sign in (1, -1))
        numeric = np.sum(weights.astype(np.float64) * (ahead.astype(np.float64) - behind), axis=(1, 2)) / (2 * step)
        expected = np.sum(analytic[name].numpy() * move, axis=1)
        assert np.all(np.abs(expected) > 0)
        np.testing.assert_allclose(expected, numeric, atol=0.03 * np.abs(numeric).max(), err_msg=name)
