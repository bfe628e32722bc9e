import numpy as np
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.fitting import observation

CENTER_MM = np.array([[40.0, -30.0, 600.0]], np.float32)
CUBE_MM = np.array([250.0], np.float32)
S = observation.SIZE


def blob(radius, row=32, column=32):
    rows, columns = np.mgrid[:S, :S]
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


def seen_of(image):
    measured = observation.measure(image[None], CENTER_MM, CUBE_MM)
    return measured, observation.measured_points(measured)


def test_measured_points_are_those_of_the_crop():
    image = np.where(blob(12), np.linspace(-0.5, 0.5, S)[None], 1.0).astype(np.float32)
    measured, points_mm = seen_of(image)
    intrinsics = crop.crop_intrinsics(tf.constant(CENTER_MM), tf.constant(CUBE_MM), S)
    np.testing.assert_allclose(measured["intrinsics"], intrinsics, rtol=1e-5)
    depth_mm = np.where(image < 1.0, CENTER_MM[0, 2] + 125.0 * image, 0.0).astype(np.float32)
    expected = crop.depth_to_points(tf.constant(depth_mm[None]), intrinsics).numpy() - CENTER_MM
    np.testing.assert_allclose(points_mm[0][image < 1.0], expected[0][image < 1.0], atol=1e-2)
    assert (measured["depth_mm"][0][image == 1.0] == observation.NOTHING_MM).all()


def test_points_are_drawn_from_the_hand_alone():
    hand, other = blob(10), blob(6, column=55)
    _, points_mm = seen_of(np.where(hand, 0.0, np.where(other, 0.5, 1.0)))
    found = observation.attend(points_mm, (hand | other)[None], hand[None], CUBE_MM, 50, seed=0)
    drawn = found["points_mm"][0]
    assert drawn.shape == (50, 3) and len(np.unique(drawn, axis=0)) == 50
    distances = np.linalg.norm(points_mm[0][hand][None] - drawn[:, None], axis=-1).min(axis=1)
    np.testing.assert_allclose(distances, 0.0, atol=1e-3)
    few = observation.attend(points_mm, hand[None], blob(2)[None], CUBE_MM, 50, seed=0)
    assert few["points_mm"].shape == (1, 50, 3)


def test_distances_beside_the_silhouette_are_those_of_a_loop():
    hand = blob(10)
    _, points_mm = seen_of(np.where(hand, 0.0, 1.0))
    outside_mm = observation.attend(points_mm, hand[None], hand[None], CUBE_MM, 5, seed=0)["outside_mm"][0]
    shown = np.argwhere(hand)
    for row, column in ((0, 0), (10, 40), (63, 63)):
        pixels = np.sqrt(((shown - [row, column]) ** 2).sum(axis=1)).min()
        np.testing.assert_allclose(outside_mm[row, column], pixels * 250.0 / S, atol=1e-4)
    assert (outside_mm[hand] == 0).all()


def test_a_narrow_gap_between_hand_and_table_is_not_free_space():
    hand, gap = blob(10), blob(13) & ~blob(10)
    table = ~blob(13)
    _, points_mm = seen_of(np.where(hand, 0.0, np.where(table, 0.5, 1.0)))
    over_table = observation.attend(points_mm, (hand | table)[None], hand[None], CUBE_MM, 5, 0)["outside_mm"][0]
    assert (over_table[gap] == 0).all() and over_table[32, 50] > 0
    # Without a table the same pixels are where the sensor saw past the hand.
    free = observation.attend(points_mm, hand[None], hand[None], CUBE_MM, 5, 0)["outside_mm"][0]
    assert (free[gap] > 0).all()


def test_nothing_to_explain_lies_where_no_hand_is():
    _, points_mm = seen_of(np.ones([S, S]))
    nothing = np.zeros([1, S, S], bool)
    found = observation.attend(points_mm, nothing, nothing, CUBE_MM, 5, seed=0)
    assert np.linalg.norm(found["points_mm"], axis=-1).min() > 1000.0 and (found["outside_mm"] == 0).all()
