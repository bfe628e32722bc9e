import numpy as np
import tensorflow as tf

from lsps_tf.simulation import view_prior

SEED = tf.constant([1, 2])


def test_rotations_are_rotations_and_show_palm_and_back():
    matrices = view_prior.sample_rotation(SEED, 2000).numpy()
    np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), np.tile(np.eye(3), (2000, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(matrices), 1.0, atol=1e-5)
    fingers, palm = -matrices[:, :, 1], -matrices[:, :, 2]
    assert 0.6 < np.mean(palm[:, 2] < 0) < 0.8  # towards the camera
    assert np.mean(fingers[:, 1] < 0) > 0.85  # up in the image
    roll = np.degrees(np.arctan2(fingers[:, 0], -fingers[:, 1]))
    assert 30 < roll.std() < 60
    tilt = np.degrees(np.arcsin(fingers[:, 2]))
    assert tilt.min() < -55 and tilt.max() > 25 and np.abs(tilt).max() <= 78.1


def test_spread_zero_is_one_view_and_seeds_are_kept():
    still = view_prior.sample_rotation(SEED, 10, spread=0.0, palm_fraction=1.0).numpy()
    np.testing.assert_allclose(still, np.tile(still[:1], (10, 1, 1)), atol=1e-6)
    np.testing.assert_array_equal(view_prior.sample_rotation(SEED, 10), view_prior.sample_rotation(SEED, 10))


def test_translations_stay_in_the_view():
    places = view_prior.sample_translation(SEED, 3000, 600.0, 900.0, (0.2, 0.1)).numpy()
    assert 600 <= places[:, 2].min() < 605 and 895 < places[:, 2].max() <= 900
    for axis, limit in ((0, 0.2), (1, 0.1)):
        ratio = np.abs(places[:, axis] / places[:, 2])
        assert 0.98 * limit < ratio.max() <= limit + 1e-6
