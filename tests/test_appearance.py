"""The random appearance of sensed crops: each effect against a loop or a count, and what it must leave alone."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import appearance, replicas

SIZE = 32
SEED = tf.constant([3, 5], tf.int32)
# Half cubes of 125 mm.
HALF_MM = tf.fill([4, 1, 1], 125.0)


def crops(count=4):
    """Two surfaces with a step of 25 mm between them, a third one 200 mm nearer, and background around."""
    depth = np.ones((count, SIZE, SIZE), np.float32)
    depth[:, 4:28, 4:16] = 0.4
    depth[:, 4:28, 16:22] = 0.6
    depth[:, 4:28, 22:28] = -0.9
    return tf.constant(depth)


def test_no_strength_changes_nothing():
    image, joints, cube_mm = crops()[..., None], tf.zeros([4, 3, 3]), tf.fill([4], 250.0)
    same = appearance.change_appearance(image, joints, cube_mm, 0.0, SEED)
    assert same[0] is image and same[1] is joints


def test_the_same_seed_gives_the_same_images_in_range():
    joints = tf.constant(np.random.default_rng(0).normal(0, 0.3, (4, 3, 3)), tf.float32)
    given = crops()[..., None], joints, tf.fill([4], 250.0), 1.0
    first, second, other = (appearance.change_appearance(*given, SEED + change) for change in (0, 0, 1))
    for a, b, c in zip(first, second, other):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    assert first[0].shape == (4, SIZE, SIZE, 1) and np.all(np.abs(first[0]) <= 1.0)
    # The joints follow the hand's size, and nothing moves them beside it.
    ratio = (first[1] / joints).numpy()
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-4)


@pytest.mark.parametrize("pixels", [1, 3])
def test_a_mean_is_that_of_the_readings_near_a_pixels_own(pixels):
    rng = np.random.default_rng(1)
    depth = rng.uniform(-1, 1, (2, 9, 9)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = 1.0
    expected = depth.copy()
    for image, row, column in np.ndindex(depth.shape):
        own = depth[image, row, column]
        rows, columns = (range(place % pixels, 9, pixels) for place in (row, column))
        rows, columns = ([p for p in line if abs(p - q) <= pixels] for line, q in ((rows, row), (columns, column)))
        around = depth[image][np.ix_(rows, columns)]
        near = around[(around < 1.0) & (np.abs(around - own) < 0.5)]
        if own < 1.0:
            expected[image, row, column] = near.mean()
    mean = appearance._mean_around(tf.constant(depth), tf.fill([2, 1, 1], 0.5), pixels)
    np.testing.assert_allclose(mean, expected, atol=1e-6)


def test_surfaces_melt_that_are_near_each_other_and_no_others():
    melted = appearance.melt(crops(), HALF_MM, 1.0, SEED).numpy()
    rows = slice(12, 20)
    near, own = melted[:, rows, 14:18], crops().numpy()[:, rows, 14:18]
    steps = np.diff(near, axis=2)[:, :, 1]
    assert np.all(steps < np.diff(own, axis=2)[:, :, 1] * 0.9) and np.all(steps > 0)
    np.testing.assert_allclose(melted[:, rows, 23:28], -0.9, atol=1e-6)
    np.testing.assert_array_equal(melted == 1.0, crops() == 1.0)


def test_blocks_of_a_coarse_image_show_a_reading_of_their_own():
    rng = np.random.default_rng(2)
    depth = rng.permuted(np.tile(np.linspace(-1, 1, SIZE * SIZE, dtype=np.float32), (200, 1)), axis=1)
    depth = depth.reshape(200, SIZE, SIZE)
    coarse = appearance.coarsen(tf.constant(depth), 1.0, SEED).numpy()
    kept = np.array([np.array_equal(*pair) for pair in zip(coarse, depth)])
    assert 0.4 < kept.mean() < 0.6
    # A grain of g pixels leaves one reading of g * g.
    shown = np.array([len(np.unique(image)) for image in coarse[~kept]])
    assert (SIZE / appearance.GRAIN) ** 2 * 0.9 < shown.min() < (SIZE / 2.8) ** 2
    assert all(np.isin(image, own).all() for image, own in zip(coarse, depth))


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_covers_are_bars_of_their_width_in_their_share_of_the_images(strength):
    count = 1500
    depth = tf.fill([count, SIZE, SIZE], 0.9)
    covered = appearance.cover(depth, tf.fill([count, 1, 1], 125.0), strength, SEED).numpy()
    has_one = (covered != np.float32(0.9)).any(axis=(1, 2))
    # All lie across the crop, at least in part; 1,500 draws are off by a tenth at most.
    assert has_one.mean() == pytest.approx(strength / 3, rel=0.1)
    for image in covered[has_one]:
        levels = np.unique(image[image != np.float32(0.9)])
        assert len(levels) == 1 and (levels[0] == 1.0 or -0.8 <= levels[0] <= 0.2)
    empty = (covered[has_one] == 1.0).any(axis=(1, 2)).mean()
    assert 0.4 < empty < 0.6
    # At most 60 mm wide and as long as the diagonal; a pixel is 7.8 mm.
    pixels = (covered[has_one] != np.float32(0.9)).sum(axis=(1, 2))
    assert pixels.max() <= (60 / 7.8 + 1) * SIZE * 1.5


def test_borders_leave_a_half_plane_with_the_middle_in_their_share_of_the_images():
    count = 1500
    depth = tf.fill([count, SIZE, SIZE], 0.5)
    ended = appearance.add_border(depth, tf.fill([count, 1, 1], 125.0), 1.0, SEED).numpy()
    has_one = (ended == 1.0).any(axis=(1, 2))
    # A line may also miss the image, if only just.
    assert has_one.mean() == pytest.approx(1 / 3, rel=0.1)
    angle, chosen, far = np.moveaxis(replicas.uniform([count, 1, 1, 3], SEED).numpy()[:, 0, 0], -1, 0)
    assert 1 / 3 - 0.001 < chosen[has_one].max() < 1 / 3
    for image, turn, part in zip(ended[has_one][:20], angle[has_one], far[has_one]):
        for row, column in np.ndindex(image.shape):
            u, v = ((place - 15.5) * 250.0 / SIZE for place in (column, row))
            beyond = u * np.cos(2 * np.pi * turn) + v * np.sin(2 * np.pi * turn) - (30.0 + 100.0 * part)
            assert image[row, column] == (1.0 if beyond > 0 else np.float32(0.5)) or abs(beyond) < 1e-3
