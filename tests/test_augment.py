import math

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import augment, crop
from lsps_tf.camera import mm_to_uvd

RNG = np.random.default_rng(1)
CENTER = np.array([[60.0, -40.0, 650.0]], np.float32)
CUBE, SIZE, STORED = 250.0, 64, 96
EXTENT = CUBE * STORED / SIZE


def view(depth, angle=0.0, shift=(0.0, 0.0, 0.0)):
    return augment.view_crops(
        tf.constant(depth), tf.constant(CENTER), tf.constant([EXTENT]), tf.constant([CUBE]), SIZE,
        tf.constant([angle], tf.float32), tf.constant([shift], tf.float32),
    ).numpy()[0, ..., 0]  # fmt: skip


def depth_of_point(point_mm):
    """A stored crop that shows one point as a patch of 3 x 3 pixels, which no turn can miss."""
    intrinsics = crop.crop_intrinsics(tf.constant(CENTER), EXTENT, STORED).numpy()[0]
    u, v, d = mm_to_uvd(point_mm, intrinsics)
    depth = np.zeros((1, STORED, STORED), np.float32)
    row, column = int(round(v)), int(round(u))
    depth[0, row - 1 : row + 2, column - 1 : column + 2] = d
    return depth


def test_no_change_is_the_middle_of_the_stored_crop():
    depth = RNG.uniform(530, 770, (1, STORED, STORED)).astype(np.float32)
    expected = crop.normalize_depth(tf.constant(depth[:, 16:80, 16:80]), tf.constant(CENTER), CUBE)[0, ..., 0]
    np.testing.assert_array_equal(view(depth), expected)


def test_stored_crops_as_they_are_show_their_middle_to_any_cube():
    """Against a loop over the pixels; arrays of any type of number serve."""
    depth = RNG.uniform(560, 740, (2, STORED, STORED))
    center = np.repeat(CENTER, 2, axis=0)
    cubes, extents = np.array([CUBE, 0.8 * CUBE]), np.array([EXTENT, EXTENT])
    images = augment.view_stored_crops(depth, center, extents, cubes, SIZE).numpy()
    assert images.shape == (2, SIZE, SIZE, 1)
    for i in range(2):
        pitch = (cubes[i] / SIZE) / (extents[i] / STORED)
        places = [(k - (SIZE - 1) / 2) * pitch + (STORED - 1) / 2 for k in range(SIZE)]
        # A place between two stored pixels may be seen as either.
        sure = [k for k, place in enumerate(places) if abs(place % 1.0 - 0.5) > 1e-3]
        assert len(sure) > SIZE // 2
        for row in sure:
            for column in sure:
                z = np.float32(depth[i, round(places[row]), round(places[column])])
                expected = np.clip((z - center[i, 2]) / (cubes[i] / 2), -1.0, 1.0)
                assert images[i, row, column, 0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_quarter_turns_are_exact(quarter):
    depth = RNG.uniform(530, 770, (1, STORED, STORED)).astype(np.float32)
    # From x (right) towards y (down): clockwise as seen, NumPy's rot90 turns the other way.
    np.testing.assert_allclose(view(depth, quarter * math.pi / 2), np.rot90(view(depth), -quarter), atol=1e-6)


@pytest.mark.parametrize(
    "angle, shift", [(0.7, (0, 0, 0)), (-2.4, (0, 0, 0)), (0.0, (17.0, -25.0, 30.0)), (1.1, (8, 5, -9))]
)
def test_image_and_joints_move_together(angle, shift):
    for point in RNG.uniform(-55, 55, (20, 3)) + CENTER[0]:
        image = view(depth_of_point(point), angle, shift)
        rows, columns = np.nonzero(image < 1.0)
        joints = augment.view_joints(
            tf.constant(point[None, None], tf.float32), tf.constant(CENTER), tf.constant([CUBE]),
            tf.constant([angle], tf.float32), tf.constant([shift], tf.float32),
        ).numpy()[0, 0]  # fmt: skip
        # Where the moved joint projects in the moved crop, whose centre's ray is turned with it.
        center = CENTER[0] + np.array(shift, np.float32)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        turned = np.append(turn @ center[:2], center[2])
        where = joints * CUBE / 2 + turned
        offset = (where[:2] / where[2] - turned[:2] / turned[2]) * turned[2] / CUBE
        expected = (offset + 0.5) * SIZE - 0.5
        assert abs(columns.mean() - expected[0]) < 1.01 and abs(rows.mean() - expected[1]) < 1.01
        assert image[rows[0], columns[0]] == pytest.approx(joints[2], abs=1e-4)


def test_joints_come_back_from_a_turn_to_a_thousandth_of_a_millimeter():
    joints = tf.constant(RNG.normal(0, 60, (1, 36, 3)) + CENTER[:, None], tf.float32)
    cube, none = tf.constant([CUBE]), tf.zeros([1, 3])
    turned = augment.view_joints(joints, tf.constant(CENTER), cube, tf.constant([2.0]), none)
    back = augment.view_joints(turned * CUBE / 2, tf.zeros([1, 3]), cube, tf.constant([-2.0]), none) * CUBE / 2
    np.testing.assert_allclose(back, joints - CENTER[:, None], atol=1e-3)


def test_views_draw_one_of_three_in_equal_parts():
    angle, shift = augment.draw_views(6000, tf.constant([1, 2]), 180.0, 10.0)
    angle, shift = angle.numpy(), shift.numpy()
    moved = np.any(shift != 0, axis=1)
    assert not np.any(moved & (angle != 0))
    assert abs(np.mean(moved) - 1 / 3) < 0.03 and abs(np.mean(angle != 0) - 1 / 3) < 0.03
    assert shift[moved].std() == pytest.approx(10.0, abs=0.3)
    drawn = angle[angle != 0]
    assert -math.pi <= drawn.min() < -3.1 and 3.1 < drawn.max() <= math.pi
    assert drawn.std() == pytest.approx(2 * math.pi / math.sqrt(12), rel=0.05)


def test_with_a_shift_every_view_is_shifted_rotated_or_not():
    seed = tf.constant([1, 2])
    angle, shift = (value.numpy() for value in augment.draw_views(6000, seed, 180.0, 10.0, 15.0))
    np.testing.assert_array_equal(angle, augment.draw_views(6000, seed, 180.0, 10.0)[0])
    assert np.all(np.any(shift != 0, axis=1)) and abs(np.mean(angle != 0) - 1 / 3) < 0.03
    np.testing.assert_allclose(shift.std(axis=0), 15.0, rtol=0.03)


def test_the_stored_margin_covers_every_view():
    depth = np.full((1, STORED, STORED), CENTER[0, 2], np.float32)
    farthest = augment.MAX_SIGMAS * 10.0
    for angle in np.linspace(-math.pi, math.pi, 13):
        assert np.all(view(depth, angle) == 0.0)
    for shift in ((farthest, farthest, 0.0), (-farthest, farthest, 0.0)):
        assert np.all(view(depth, 0.0, shift) == 0.0)
