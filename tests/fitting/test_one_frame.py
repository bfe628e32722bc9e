import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.fitting import observation, one_frame
from lsps_tf.simulation import scene_renderer, shape, surroundings
from lsps_tf.skeleton import HAND21_FROM_NYU

N, CUBE_MM = 24, 250.0


@pytest.fixture(scope="module")
def seen():
    """Hands among tables and things: images, centres and joints."""
    scene = surroundings.draw_scene(shape.subject_shape(np.arange(17, 21)), N, 400.0, 800.0, tf.constant([3, 1]))
    center_mm = tf.reduce_mean(scene.hand.joints_mm, axis=1)
    depth_mm, _ = scene_renderer.render_scene(scene, center_mm, CUBE_MM, observation.SIZE)
    return (
        crop.normalize_depth(depth_mm, center_mm, CUBE_MM)[..., 0].numpy(),
        center_mm.numpy(),
        scene.hand.joints_mm.numpy(),
    )


def off_by(true_mm, sigma_mm):
    rng = np.random.default_rng(0)
    finger = rng.normal(0, sigma_mm, (N, 6, 1, 3)).repeat(6, axis=2).reshape(N, 36, 3)
    return (true_mm + finger + rng.normal(0, 0.5 * sigma_mm, (N, 1, 3))).astype(np.float32)


def errors_mm(joints_mm, true_mm):
    return np.linalg.norm(joints_mm - true_mm, axis=-1).mean(axis=1)


@pytest.mark.parametrize("joints", [tuple(range(36)), HAND21_FROM_NYU])
def test_a_fit_comes_nearer_and_seldom_goes_away(seen, joints):
    images, center_mm, true_mm = seen
    fitter, start_mm = one_frame.OneFrameFitter(joints), off_by(true_mm, 10.0)[:, list(joints)]
    fits = [fitter.fit(*each[:2], CUBE_MM, each[2]) for each in zip(images, center_mm, start_mm)]
    before, after = (
        errors_mm(joints_mm, true_mm[:, list(joints)])
        for joints_mm in (start_mm, np.stack([f.joints_mm for f in fits]))
    )
    assert after.mean() < 0.85 * before.mean()
    assert np.quantile(after - before, 0.9) < 6.0
    # What is left unexplained tells the worse half from the better one.
    residual = np.array([fit.residual_mm for fit in fits])
    worse = residual > np.median(residual)
    assert after[worse].mean() > after[~worse].mean()


def test_the_same_frame_gives_the_same_hand(seen):
    images, center_mm, true_mm = seen
    fitter = one_frame.OneFrameFitter(range(36))
    first, again = (fitter.fit(images[0], center_mm[0], CUBE_MM, true_mm[0], seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.joints_mm, again.joints_mm)


def test_a_frame_that_shows_nothing_is_not_believed(seen):
    _, center_mm, true_mm = seen
    fitter = one_frame.OneFrameFitter(range(36))
    for image in (np.ones([observation.SIZE] * 2), np.full([observation.SIZE] * 2, 0.8)):
        fit = fitter.fit(image, center_mm[0], CUBE_MM, true_mm[0])
        assert np.isfinite(fit.joints_mm).all() and fit.residual_mm > 14.0


def test_the_normal_equations_are_those_of_finite_differences():
    """The slope of the costs themselves, robust or not, taken number by number."""
    rng = np.random.default_rng(0)
    matrix, target = rng.normal(size=(9, one_frame._NUMBERS)), rng.normal(size=9)

    def parts(hands):
        distances = hands @ matrix.T - target
        return [
            one_frame._Part(distances[:, :3], 2.0, None),
            one_frame._Part(distances[:, 3:6], 0.7, 1.5),
            one_frame._Part(distances[:, 6:], 1.3, 1.5, True),
        ]

    at = rng.normal(size=one_frame._NUMBERS) * 0.1
    steps = np.concatenate([np.zeros([1, len(at)]), np.diag(one_frame._DIFFERENCE)])
    _, slope = one_frame._normal_equations(parts(at + steps))
    small = 1e-5 * np.eye(len(at))
    costs = [sum(part.costs() for part in parts(at + side * small)) for side in (1.0, -1.0)]
    np.testing.assert_allclose(2.0 * slope, (costs[0] - costs[1]) / 2e-5, rtol=1e-4, atol=1e-6)
