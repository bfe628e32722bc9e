"""Domain randomisation: each effect against a loop or a closed form, and what it must leave alone."""

import math

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import randomize
from lsps_tf.skeleton import ICVL, NYU

SIZE = 32
SEED = tf.constant([3, 5], tf.int32)


def hands(count=4, skeleton=NYU):
    """Flat squares in the middle of the crop, and joints anywhere."""
    image = np.ones((count, SIZE, SIZE, 1), np.float32)
    image[:, 8:24, 8:24] = 0.1
    joints = np.random.default_rng(0).normal(0, 0.3, (count, skeleton.num_joints, 3)).astype(np.float32)
    return tf.constant(image), tf.constant(joints), tf.fill([count], 250.0)


def test_no_strength_changes_nothing():
    image, joints, cube_mm = hands()
    same = randomize.randomize(image, joints, cube_mm, NYU, 0.0, SEED)
    assert same[0] is image and same[1] is joints


@pytest.mark.parametrize("skeleton", [NYU, ICVL], ids=lambda skeleton: skeleton.name)
def test_the_same_seed_gives_the_same_images_in_range(skeleton):
    image, joints, cube_mm = hands(skeleton=skeleton)
    first, second = (randomize.randomize(image, joints, cube_mm, skeleton, 1.0, SEED) for _ in range(2))
    other = randomize.randomize(image, joints, cube_mm, skeleton, 1.0, SEED + 1)
    for a, b, c in zip(first, second, other):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    assert first[0].shape == image.shape and first[1].shape == joints.shape
    assert np.all(np.abs(first[0]) <= 1.0) and np.isfinite(first[1]).all()


def test_a_point_and_its_joint_are_stretched_to_the_same_place():
    size = 64
    depth = np.ones((2, size, size), np.float32)
    depth[:, 20, 44] = -0.3  # y, x
    place = np.array([(44 - 31.5) / 32, (20 - 31.5) / 32, -0.3], np.float32)
    scale = np.array([[1.25, 0.8, 1.5], [0.75, 1.1, 0.5]], np.float32)
    shift = np.array([[0.1, -0.2, 0.05], [-0.3, 0.1, -0.1]], np.float32)
    places = np.tile(place, (2, 1, 1))
    moved, joints = randomize.stretch_crops(*(tf.constant(value) for value in (depth, places, scale, shift)))
    for image, joint, expected in zip(moved.numpy(), joints.numpy()[:, 0], place * scale + shift):
        np.testing.assert_allclose(joint, expected, rtol=1e-5)
        rows, columns = np.nonzero(image < 1)
        if len(rows):  # a shrunk point may fall between the pixels
            assert np.abs(columns - (joint[0] * 32 + 31.5)).max() <= 1.0
            assert np.abs(rows - (joint[1] * 32 + 31.5)).max() <= 1.0
            np.testing.assert_allclose(image[rows, columns], joint[2], rtol=1e-5)
    assert (moved[0] < 1).numpy().any()


def test_scales_have_the_spread_they_name():
    logs = np.log(randomize.draw_scales(20_000, 1.0, SEED).numpy())
    np.testing.assert_allclose(logs.std(axis=0), math.hypot(0.08, 0.05), rtol=0.03)
    np.testing.assert_allclose(np.cov(logs.T)[0, 1], 0.08**2, rtol=0.05)


def test_a_forearm_is_the_front_of_its_points():
    """Against many points on the surface: a sphere moved along the axis."""
    start, axis, radius = np.array([0.1, 0.2, -0.2]), np.array([0.5, 0.7, 0.4]), 0.22
    axis = axis / np.linalg.norm(axis)
    depth = randomize.cylinder_depth(*(tf.constant([v], tf.float32) for v in (start, axis, radius)), SIZE)[0].numpy()
    expected = np.ones((SIZE, SIZE))
    for row in range(SIZE):
        for column in range(SIZE):
            x, y = ((i - 15.5) / 16 for i in (column, row))
            center = start + np.linspace(0, 3, 3001)[:, None] * axis
            inside = radius**2 - (center[:, 0] - x) ** 2 - (center[:, 1] - y) ** 2
            front = (center[:, 2] - np.sqrt(np.maximum(inside, 0)))[inside > 0]
            expected[row, column] = min(1.0, front.min(initial=1.0))
    clear = np.abs(depth - expected) < 0.02
    assert clear.mean() > 0.99 and (expected < 1).mean() > 0.1 and (depth[expected == 1] == 1).all()


def test_forearms_lead_away_from_the_knuckles():
    joints = np.zeros((1, 36, 3), np.float32)
    joints[:, [5, 11, 17, 23]] = [0.0, -0.5, 0.1]
    joints[:, [30, 31]] = [[0.1, 0.3, 0.1], [-0.1, 0.3, 0.1]]
    start, axis = randomize.forearm_axis(tf.constant(joints), tf.constant([[125.0]]), NYU)
    np.testing.assert_allclose(start, [[0.0, 0.3, 0.1]], atol=1e-6)
    np.testing.assert_allclose(axis, [[0.0, 1.0, 0.0]], atol=1e-6)
    icvl = np.zeros((1, 16, 3), np.float32)
    icvl[:, [4, 7, 10, 13]] = [0.3, 0.0, 0.0]
    start, axis = randomize.forearm_axis(tf.constant(icvl), tf.constant([[125.0]]), ICVL)
    np.testing.assert_allclose(axis, [[-1.0, 0.0, 0.0]], atol=1e-6)
    np.testing.assert_allclose(start, [[-40 / 125, 0.0, 0.0]], atol=1e-6)


def test_noise_is_as_large_as_said_and_leaves_the_background():
    depth = tf.concat([tf.zeros([400, SIZE, SIZE // 2]), tf.ones([400, SIZE, SIZE // 2])], axis=2)
    noisy = randomize.add_noise(depth, tf.fill([400, 1, 1], 125.0), 1.0, SEED).numpy()
    assert (noisy[:, :, SIZE // 2 :] == 1).all()
    # The mean square of a uniform standard deviation up to s is s^2 / 3.
    expected = (6.0**2 + 4.0**2) / 3
    assert np.mean((125.0 * noisy[:, :, : SIZE // 2]) ** 2) == pytest.approx(expected, rel=0.1)


def test_dropped_readings_are_holes_and_edges():
    image, _, _ = hands(500)
    dropped = randomize.drop_readings(image[..., 0], tf.fill([500, 1, 1], 125.0), 1.0, SEED).numpy()
    hand = image[..., 0].numpy() < 1
    lost = (dropped == 1) & hand
    assert ((dropped == image[..., 0].numpy()) | lost).all()
    inner = np.zeros_like(hand)
    inner[:, 9:23, 9:23] = True
    holes, edges = lost[inner].mean(), lost[hand & ~inner].mean()
    # Thresholds uniform from 1 to 3: the mean of a normal's upper tail; at edges a quarter more of what is left.
    tail = np.mean([0.5 * math.erfc(t / math.sqrt(2)) for t in np.linspace(1, 3, 201)])
    assert holes == pytest.approx(tail, abs=0.015) and edges == pytest.approx(tail + 0.25 * (1 - tail), abs=0.03)


def test_smooth_fields_are_normal_and_smooth():
    fields = randomize.smooth_field(2000, SIZE, SEED).numpy()
    assert fields.mean() == pytest.approx(0, abs=0.02) and fields.std() == pytest.approx(1, abs=0.02)
    assert np.mean(fields[:, :-1] * fields[:, 1:]) > 0.8 and abs(np.mean(fields[:, 0] * fields[:, 16])) < 0.05
