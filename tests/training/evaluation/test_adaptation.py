"""Two models compared without labels: by fits that stand for the truth, and by how steady joints are."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.fitting.to_depth import SIZE, DepthFitter
from lsps_tf.simulation import scene_renderer, shape, surroundings
from training.evaluation import adaptation

N, CUBE_MM = 16, 250.0


@pytest.fixture(scope="module")
def seen():
    """Hands among tables and things: images, centres, cubes and joints."""
    scene = surroundings.draw_scene(shape.subject_shape(np.arange(17, 21)), N, 400.0, 700.0, tf.constant([8, 1]))
    center_mm = tf.reduce_mean(scene.hand.joints_mm, axis=1)
    depth_mm, _ = scene_renderer.render_scene(scene, center_mm, CUBE_MM, SIZE)
    images = crop.normalize_depth(depth_mm, center_mm, CUBE_MM)[..., 0].numpy()
    return images, center_mm.numpy(), np.full(N, CUBE_MM, np.float32), scene.hand.joints_mm.numpy()


@pytest.fixture(scope="module")
def fitter():
    return DepthFitter(N, range(36))


def off_by(true_mm, sigma_mm):
    rng = np.random.default_rng(0)
    return (true_mm + rng.normal(0, sigma_mm, (N, 6, 1, 3)).repeat(6, axis=2).reshape(N, 36, 3)).astype(np.float32)


@pytest.mark.parametrize(("before", "after"), [(6.0, 14.0), (14.0, 6.0)])
def test_the_better_model_is_told_without_labels(seen, fitter, before, after):
    *views, true_mm = seen
    predicted_mm = off_by(true_mm, before), off_by(true_mm, after)
    found = adaptation.compare(fitter, N, *views, predicted_mm, np.zeros([N, 2], int))
    assert found.helped == (after < before)
    better, worse = (found.after, found.before) if found.helped else (found.before, found.after)
    for name in ("from_fit_mm", "unexplained_mm"):
        assert better[name] < worse[name]
    assert better["unsteady_mm"] is None
    assert found.to_dict()["helped"] == found.helped and found.frames == N


def test_the_mean_pose_is_steady_and_no_better(seen, fitter):
    *views, true_mm = seen
    center_mm = views[1][:, None]
    mean_mm = np.broadcast_to((true_mm - center_mm).mean(axis=0), true_mm.shape) + center_mm
    order = np.stack([np.zeros(N, int), np.arange(N)], axis=1)
    assert not adaptation.compare(fitter, N, *views, (off_by(true_mm, 8.0), mean_mm.astype(np.float32)), order).helped


def test_unsteadiness_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    joints_mm = rng.normal(size=(60, 4, 3))
    # Two sequences, the second with a gap, given in no order.
    order = np.stack([np.repeat([0, 1], 30), np.r_[:30, :15, 16:31]], axis=1)
    bent = []
    for a, b, c in zip(range(58), range(1, 59), range(2, 60)):
        if order[a, 0] == order[c, 0] and order[c, 1] - order[a, 1] == 2:
            bent += [np.linalg.norm(joints_mm[b, j] - (joints_mm[a, j] + joints_mm[c, j]) / 2) for j in range(4)]
    mixed = rng.permutation(60)
    assert adaptation.unsteady_mm(joints_mm[mixed], order[mixed]) == pytest.approx(np.median(bent))
    assert adaptation.unsteady_mm(joints_mm, order * [1, 2]) is None
