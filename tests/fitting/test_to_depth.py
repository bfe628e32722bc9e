import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.fitting import to_depth
from lsps_tf.simulation import (
    kinematics,
    pose_prior,
    renderer,
    scene_renderer,
    shape,
    surface,
    surroundings,
    view_prior,
)
from lsps_tf.skeleton import ICVL_FROM_NYU

N, CUBE_MM = 8, 250.0
CONES, WEDGES = surface.primitives(forearm=True)


@pytest.fixture(scope="module")
def seen():
    """Clean images of hands of one subject, their crops' centres and their joints."""
    seed = tf.constant([5, 6])
    hand = kinematics.pose_hand(
        pose_prior.sample_angles(seed, N),
        view_prior.sample_rotation(seed, N),
        view_prior.sample_translation(seed, N),
        shape.shape_from_parameters(shape.sample_shape_parameters(tf.constant([8, 9]), 1)),
    )
    center_mm = tf.reduce_mean(hand.joints_mm, axis=1) + tf.constant([5.0, -5.0, 5.0])
    size = to_depth.SIZE
    depth_mm = renderer.render_crop(hand.centers_mm, hand.radii_mm, CONES, WEDGES, center_mm, CUBE_MM, size)
    images = crop.normalize_depth(depth_mm, center_mm, CUBE_MM)[..., 0]
    return images.numpy(), center_mm.numpy(), np.full(N, CUBE_MM, np.float32), hand.joints_mm.numpy()


@pytest.fixture(scope="module")
def fitter():
    return to_depth.DepthFitter(N, range(36))


def errors_mm(joints_mm, true_mm):
    return np.linalg.norm(joints_mm - true_mm, axis=-1).mean(axis=1)


def off_by(true_mm, sigma_mm, seed=0):
    """Predictions whose fingers and place are wrong, each frame in its own way."""
    rng = np.random.default_rng(seed)
    finger = rng.normal(0, sigma_mm, (N, 6, 1, 3)).repeat(6, axis=2).reshape(N, 36, 3)
    return (true_mm + finger + rng.normal(0, 0.5 * sigma_mm, (N, 1, 3))).astype(np.float32)


def test_a_fit_comes_nearer_to_the_truth_than_where_it_started(seen, fitter):
    images, center_mm, cube_mm, true_mm = seen
    start_mm = off_by(true_mm, 10.0)
    fit = fitter.fit(images, center_mm, cube_mm, start_mm)
    before, after = errors_mm(start_mm, true_mm), errors_mm(fit.joints_mm, true_mm)
    assert before.mean() > 14.0 and np.median(after) < 0.6 * np.median(before) and after.mean() < 0.7 * before.mean()
    assert (fit.residual_mm < 4.0).mean() > 0.7


def test_what_is_not_explained_tells_wrong_fits_from_right_ones(seen, fitter):
    images, center_mm, cube_mm, true_mm = seen
    right = fitter.fit(images, center_mm, cube_mm, true_mm)
    assert errors_mm(right.joints_mm, true_mm).mean() < 6.0
    # The images of other hands at the places of these.
    wrong = fitter.fit(np.roll(images, 1, axis=0), center_mm, cube_mm, true_mm)
    assert np.median(wrong.residual_mm) > 1.5 * np.median(right.residual_mm)


def test_fewer_frames_other_joints_and_the_same_seed(seen, fitter):
    images, center_mm, cube_mm, true_mm = seen
    start_mm = off_by(true_mm, 5.0)
    whole = fitter.fit(images, center_mm, cube_mm, start_mm, seed=3)
    again = fitter.fit(images, center_mm, cube_mm, start_mm, seed=3)
    for first, second in zip(whole, again):
        np.testing.assert_array_equal(first, second)
    part = fitter.fit(images[:3], center_mm[:3], cube_mm[:3], start_mm[:3], seed=3)
    np.testing.assert_allclose(part.joints_mm, whole.joints_mm[:3], atol=0.5)
    assert part.residual_mm.shape == (3,) and part.shape_parameters.shape == (3, shape.NUM_SHAPE_PARAMETERS)


@pytest.mark.slow
def test_icvls_joints_are_enough_to_start_from(seen):
    images, center_mm, cube_mm, true_mm = seen
    chosen = list(ICVL_FROM_NYU)
    fit = to_depth.DepthFitter(N, chosen).fit(images, center_mm, cube_mm, off_by(true_mm, 5.0)[:, chosen])
    assert fit.joints_mm.shape == (N, 16, 3)
    assert np.median(errors_mm(fit.joints_mm, true_mm[:, chosen])) < 8.0


def test_an_image_without_a_hand_gives_numbers_and_is_not_believed(fitter, seen):
    images, center_mm, cube_mm, true_mm = seen
    right = fitter.fit(images, center_mm, cube_mm, true_mm)
    nothing = np.ones([N, to_depth.SIZE, to_depth.SIZE])
    # A table alone, square to the view, behind where the prediction has the hand or right through it.
    for empty in (nothing, np.full_like(nothing, 0.6), np.full_like(nothing, 0.0)):
        fit = fitter.fit(empty, center_mm, cube_mm, true_mm)
        assert all(np.isfinite(values).all() for values in fit)
        assert fit.residual_mm.min() > right.residual_mm.max()


@pytest.fixture(scope="module")
def cluttered():
    """Hands among tables, things and other hands: images, centres, joints, and where the hand itself is seen."""
    scene = surroundings.draw_scene(shape.subject_shape(np.arange(17, 21)), 4 * N, 400.0, 800.0, tf.constant([3, 1]))
    center_mm = tf.reduce_mean(scene.hand.joints_mm, axis=1) + tf.constant([5.0, -5.0, 5.0])
    depth_mm, hand = scene_renderer.render_scene(scene, center_mm, CUBE_MM, to_depth.SIZE)
    images = crop.normalize_depth(depth_mm, center_mm, CUBE_MM)[..., 0]
    return images.numpy(), center_mm.numpy(), scene.hand.joints_mm.numpy(), hand.numpy()


def test_what_is_around_a_hand_does_not_draw_it_away(fitter, cluttered):
    images, center_mm, true_mm, hand = cluttered
    cube_mm = np.full(N, CUBE_MM, np.float32)
    clutter = np.mean((images < 1.0) & ~hand)
    assert clutter > 0.4
    start_mm = np.concatenate([off_by(part, 10.0, seed) for seed, part in enumerate(np.split(true_mm, 4))])

    def errors(seen_images):
        parts = [np.split(values, 4) for values in (seen_images, center_mm, start_mm)]
        fits = [fitter.fit(part, center, cube_mm, start) for part, center, start in zip(*parts)]
        return errors_mm(np.concatenate([fit.joints_mm for fit in fits]), true_mm)

    before, after = errors_mm(start_mm, true_mm), errors(images)
    assert np.median(after) < 0.7 * np.median(before) and after.mean() < 0.8 * before.mean()
    # About as good as if someone had cut the hand out.
    assert after.mean() < 1.25 * errors(np.where(hand, images, 1.0)).mean()
