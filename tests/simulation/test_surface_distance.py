import numpy as np
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.simulation import kinematics, pose_prior, renderer, shape, surface, view_prior
from lsps_tf.simulation.surface_distance import surface_distance_mm

CONES, WEDGES = surface.primitives(forearm=True)
ALL_CONES = renderer.all_cones(CONES, WEDGES)


def slow_distance_mm(point, centers, radii, cones, wedges):
    """The least distance to a sphere of any of many that roll along the cones and over the wedges."""
    best = np.inf
    t = np.linspace(0.0, 1.0, 2001)[:, None]
    for i, j in cones:
        axis, radius = centers[i] + t * (centers[j] - centers[i]), radii[i] + t[:, 0] * (radii[j] - radii[i])
        nearest = np.linalg.norm(point - axis, axis=1).argmin()
        best = min(best, np.linalg.norm(point - axis[nearest]) - radius[nearest])
    a, b = (grid.ravel() for grid in np.meshgrid(np.linspace(0, 1, 301), np.linspace(0, 1, 301)))
    weights = np.stack([1 - a - b, a, b], axis=1)[a + b <= 1.0]
    for wedge in wedges:
        face = weights @ centers[wedge]
        nearest = np.linalg.norm(point - face, axis=1).argmin()
        best = min(best, np.linalg.norm(point - face[nearest]) - weights[nearest] @ radii[wedge])
    return best


def test_distances_equal_a_slow_search():
    rng = np.random.default_rng(0)
    centers, radii = rng.normal(0, 40, (2, 7, 3)), rng.uniform(5, 12, (2, 7))
    wedges = np.array([(3, 4, 5), (2, 5, 6)])
    cones = renderer.all_cones(np.array([(0, 1), (1, 2)]), wedges)
    points = rng.normal(0, 50, (2, 20, 3))
    found = surface_distance_mm(*(tf.constant(v, tf.float32) for v in (points, centers, radii)), cones, wedges).numpy()
    for b in range(2):
        slow = [slow_distance_mm(point, centers[b], radii[b], cones, wedges) for point in points[b]]
        np.testing.assert_allclose(found[b], slow, atol=0.3)
    assert (found < 0).any() and (found > 20).any()


def test_rendered_points_lie_on_the_surface_and_the_gradient_pulls_them_there():
    seed, size, cube_mm = tf.constant([1, 2]), 64, 250.0
    hand = kinematics.pose_hand(
        pose_prior.sample_angles(seed, 4),
        view_prior.sample_rotation(seed, 4),
        view_prior.sample_translation(seed, 4),
        shape.canonical_shape(),
    )
    center_mm = tf.reduce_mean(hand.joints_mm, axis=1)
    depth_mm = renderer.render_crop(hand.centers_mm, hand.radii_mm, CONES, WEDGES, center_mm, cube_mm, size)
    points_mm = crop.depth_to_points(depth_mm, crop.crop_intrinsics(center_mm, cube_mm, size)).numpy()
    shown = depth_mm.numpy() > 0
    for b in range(4):
        points = tf.constant(points_mm[b][shown[b]] - center_mm[b].numpy())[None]
        centers = hand.centers_mm[b : b + 1] - center_mm[b]
        distance = surface_distance_mm(points, centers, hand.radii_mm[b : b + 1], ALL_CONES, WEDGES).numpy()
        # Where radii differ the distance is taken a little beside the nearest point.
        assert np.abs(distance).max() < 2.5 and np.abs(distance).mean() < 0.3
        # As the hand moves away, some points change the primitive that is nearest.
        moved = tf.Variable(centers)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(surface_distance_mm(points, moved, hand.radii_mm[b : b + 1], ALL_CONES, WEDGES))
        slope = tape.gradient(total, moved).numpy()[..., 2].sum()
        step = tf.constant([0.0, 0.0, 0.05])
        sums = [
            float(
                tf.reduce_sum(
                    surface_distance_mm(points, centers + s * step, hand.radii_mm[b : b + 1], ALL_CONES, WEDGES)
                )
            )
            for s in (-1.0, 1.0)
        ]
        np.testing.assert_allclose(slope, (sums[1] - sums[0]) / 0.1, rtol=0.06)
