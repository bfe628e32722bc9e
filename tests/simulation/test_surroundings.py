import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.simulation import renderer, scene_renderer, shape, surface, surroundings, things
from lsps_tf.simulation.things import NOWHERE_MM

COUNT, SIZE, EXTENT_MM = 24, 40, 375.0


@pytest.fixture(scope="module")
def scene():
    subjects = shape.subject_shape(np.arange(1, 4))
    drawn = surroundings.draw_scene(subjects, COUNT, 350.0, 800.0, tf.constant([5, 6]))
    # Sleeves have a test of their own.
    return drawn._replace(folds=tuple(folds._replace(height_mm=0.0 * folds.height_mm) for folds in drawn.folds))


@pytest.fixture(scope="module")
def rendered(scene):
    center_mm = tf.reduce_mean(scene.hand.joints_mm, axis=1)
    return center_mm, *scene_renderer.render_scene(scene, center_mm, EXTENT_MM, SIZE)


def without_body(scene):
    elbow_mm = scene.hand.centers_mm[:, surface.SPHERE_INDEX["elbow_ulnar"]]
    return np.linalg.norm(scene.body[0][:, 0] - elbow_mm, axis=1) < 1.0


def test_scenes_have_what_they_should(scene):
    def share(values):
        return np.mean(np.asarray(values) < 0.5 * NOWHERE_MM)

    assert 0.1 < share(scene.held.center_mm[:, 0]) < 0.7
    assert share(scene.other.centers_mm[:, 0, 0]) < 0.5 and 0.0 < np.mean(~without_body(scene)) < 0.5
    planes = np.stack([plane[:, 3] > -0.5 * NOWHERE_MM for plane in scene.planes])
    assert planes[0].mean() > 0.5 > planes[1].mean()
    for plane in scene.planes:
        np.testing.assert_allclose(np.linalg.norm(plane[:, :3], axis=1), 1.0, atol=1e-5)


def test_no_hand_is_under_its_table(scene):
    own = [not sphere.name.startswith("elbow") for sphere in surface.SPHERES]
    plane = scene.planes[0].numpy()
    height_mm = np.einsum("bsi,bi->bs", scene.hand.centers_mm, plane[:, :3]) - scene.hand.radii_mm.numpy()
    assert (height_mm[:, own].min(axis=1) - plane[:, 3]).min() > -5.1


def plane_depth(plane, x, y):
    """Slow: per pixel the crossing of its ray, where the plane faces it."""
    image = np.zeros((SIZE, SIZE))
    for i in range(SIZE):
        for j in range(SIZE):
            toward = plane[:3] @ [x[j], y[i], 1.0]
            depth_mm = plane[3] / toward if toward < -1e-4 else 0.0
            image[i, j] = depth_mm if 0.0 < depth_mm < things.FARTHEST_MM else 0.0
    return image


def test_the_nearest_surface_is_seen_and_the_mask_is_the_hand_s(scene, rendered):
    center_mm, depth_mm, hand = (np.asarray(part) for part in rendered)
    bare = [renderer.render_crop(scene.hand.centers_mm, scene.hand.radii_mm, *surface.primitives(forearm=forearm),
                                 center_mm, EXTENT_MM, SIZE).numpy() for forearm in (False, True)]  # fmt: skip
    x, y = (np.asarray(part) for part in scene_renderer._rays(tf.constant(center_mm), EXTENT_MM, SIZE))
    seen = 0
    for n in range(COUNT):
        layers = [bare[1][n], *(plane_depth(plane[n].numpy(), x[n], y[n]) for plane in scene.planes)]
        layers += [things.depth_mm(thing, tf.constant(x), tf.constant(y))[n].numpy() for thing in (scene.held, *scene.beside)]  # fmt: skip # noqa: E501
        nearest = np.min([np.where(layer > 0.0, layer, np.inf) for layer in layers], axis=0)
        nearest = np.where(np.isfinite(nearest), nearest, 0.0)
        alone = scene.other.centers_mm[n, 0, 0] > 0.5 * NOWHERE_MM and without_body(scene)[n]
        if alone:
            np.testing.assert_allclose(depth_mm[n], nearest, rtol=1e-4, atol=0.5)
            seen += 1
        np.testing.assert_allclose(depth_mm[n][hand[n]], bare[0][n][hand[n]], rtol=1e-5)
        hidden = (bare[0][n] > 0.0) & ~hand[n]
        assert (depth_mm[n][hidden] <= bare[0][n][hidden] + 1e-3).all()
    assert seen > COUNT // 3 and hand.any(axis=(1, 2)).mean() > 0.8


def test_the_seed_decides(scene):
    subjects = shape.subject_shape(np.arange(1, 4))
    again = surroundings.draw_scene(subjects, COUNT, 350.0, 800.0, tf.constant([5, 6]))
    other = surroundings.draw_scene(subjects, COUNT, 350.0, 800.0, tf.constant([5, 7]))
    np.testing.assert_array_equal(again.hand.joints_mm, scene.hand.joints_mm)
    assert not np.allclose(other.hand.joints_mm, scene.hand.joints_mm)
