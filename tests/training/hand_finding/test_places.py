"""Places for the training of the finder's network of crops: their crops show the scenes that their labels are of."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.simulation import shape
from training.hand_finding import places
from training.hand_finding.places import CROP_MM, CROP_SIZE

COUNT = 24


@pytest.fixture(scope="module")
def made():
    subjects = shape.sample_shape(tf.constant([1, 2]), 3)
    return places.make_places("structured-light", subjects, COUNT, tf.constant([5, 6]))


def test_crops_about_hands_show_them(made):
    crops = 1 + places.PROPOSALS
    assert made.crop_mm.shape == (COUNT, crops, CROP_SIZE, CROP_SIZE)
    hits, far = [], []
    for scene, each in np.ndindex(COUNT, crops):
        center_mm = made.crop_center_mm.numpy()[scene, each]
        intrinsics = crop.crop_intrinsics(center_mm[None], np.float32([CROP_MM]), CROP_SIZE)
        points_mm = crop.depth_to_points(made.crop_mm[scene, each][None], intrinsics).numpy()[0]
        points_mm = points_mm[points_mm[..., 2] > 0.0]
        away_mm = np.linalg.norm(made.middle_mm.numpy()[scene] - center_mm, axis=-1)
        hand = away_mm.argmin()
        if away_mm[hand] < 60.0 and made.share.numpy()[scene, hand] > 0.6 and made.in_view.numpy()[scene, hand]:
            near_mm = np.linalg.norm(points_mm - made.middle_mm.numpy()[scene, hand], axis=1)
            hits.append(np.sum(near_mm < 60.0) > 20)
        far.append(away_mm[hand] > 90.0)
    assert len(hits) > 8 and np.mean(hits) > 0.9
    # What is proposed is a hand in part only.
    assert 0.1 < np.mean(far) < 0.9


def test_what_is_beyond_the_frame_is_not_seen():
    center_mm = tf.constant([[120.0, -60.0, 500.0]])
    intrinsics = tf.constant([[150.0, 150.0, 80.0, 64.0]])
    crop_mm = tf.fill([1, CROP_SIZE, CROP_SIZE], 500.0)
    seen = places._within_frame(crop_mm, center_mm, intrinsics).numpy()[0] > 0.0
    ours = crop.crop_intrinsics(center_mm, tf.constant([CROP_MM]), CROP_SIZE).numpy()[0]
    for row, column in np.ndindex(CROP_SIZE, CROP_SIZE):
        u = (column - ours[2]) / ours[0] * 150.0 + 80.0
        v = (row - ours[3]) / ours[1] * 150.0 + 64.0
        assert seen[row, column] == (-0.5 < u < 159.5 and -0.5 < v < 127.5)
    assert 0.2 < seen.mean() < 0.9


def test_middles_are_in_the_frame_or_not():
    point_mm = tf.constant([[[0.0, 0.0, 500.0], [0.0, 0.0, 1e6]], [[300.0, 0.0, 500.0], [0.0, -230.0, 500.0]]])
    intrinsics = tf.constant([[150.0, 150.0, 80.0, 64.0]] * 2)
    expected = [[True, True], [False, False]]
    np.testing.assert_array_equal(places._in_frame(point_mm, intrinsics), expected)
