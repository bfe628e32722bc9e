import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.transform import Rotation

from lsps_tf.simulation import things
from lsps_tf.simulation.things import NOWHERE_MM, Things

BALL = Things(tf.constant([[10.0, -20.0, 500.0]]), tf.eye(3)[None], tf.zeros([1, 3]), tf.constant([40.0]))


def box(seed):
    random = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix().astype(np.float32)
    center_mm, half_mm = np.float32([15.0, -30.0, 450.0]), random.uniform(5.0, 60.0, 3).astype(np.float32)
    return Things(*(tf.constant(part[None]) for part in (center_mm, turn, half_mm)), tf.constant([4.0]))


@pytest.mark.parametrize("seed", range(4))
def test_distances_are_those_to_the_nearest_point_of_a_box(seed):
    thing = box(seed)
    center_mm, turn, half_mm = (part[0].numpy() for part in thing[:3])
    points_mm = center_mm + np.random.default_rng(9).normal(0.0, 60.0, (200, 3)).astype(np.float32)
    local_mm = (points_mm - center_mm) @ turn
    outside = np.linalg.norm(local_mm - np.clip(local_mm, -half_mm, half_mm), axis=1)
    inside = (half_mm - np.abs(local_mm)).min(axis=1)
    expected_mm = np.where(outside > 0.0, outside, -inside) - 4.0
    found_mm = things.distance_mm(thing, tf.constant(points_mm[None]))[0]
    np.testing.assert_allclose(found_mm, expected_mm, atol=1e-3)
    assert (expected_mm < 0.0).any() and (expected_mm > 20.0).any()


def rays(count=60, step=0.005):
    place = (np.arange(count, dtype=np.float32) - 0.5 * (count - 1)) * step
    return tf.constant(place[None]), tf.constant(place[None])


def test_a_ball_is_seen_where_rays_meet_it():
    x, y = rays()
    direction = np.stack([*np.meshgrid(x[0], y[0]), np.ones([60, 60])], axis=-1)
    center_mm = BALL.center_mm[0].numpy()
    leading, half = (direction**2).sum(-1), -(direction @ center_mm)
    root = half**2 - leading * (center_mm @ center_mm - 40.0**2)
    expected_mm = np.where(root > 0.0, (-half - np.sqrt(np.maximum(root, 0.0))) / leading, 0.0)
    found_mm = things.depth_mm(BALL, x, y)[0].numpy()
    both = (found_mm > 0.0) & (expected_mm > 0.0)
    assert both.sum() > 700 and ((found_mm > 0.0) != (expected_mm > 0.0)).mean() < 0.02
    # A ray that grazes the ball is a hit up to a millimetre beside it.
    errors_mm = np.abs(found_mm - expected_mm)[both]
    assert np.median(errors_mm) < 0.05 and errors_mm.max() < 10.0


@pytest.mark.parametrize("seed", range(3))
def test_what_is_seen_of_a_box_lies_on_it(seed):
    x, y = rays()
    depth_mm = things.depth_mm(box(seed), x, y)[0].numpy()
    rows, columns = np.nonzero(depth_mm)
    points_mm = np.stack([x[0].numpy()[columns], y[0].numpy()[rows], np.ones(len(rows))], axis=-1)
    points_mm = (points_mm * depth_mm[rows, columns, None]).astype(np.float32)
    assert len(rows) > 50
    assert np.abs(things.distance_mm(box(seed), tf.constant(points_mm[None]))[0]).max() < 1.1


def test_what_an_image_does_not_have_is_not_seen():
    x, y = (tf.repeat(part, 2, axis=0) for part in rays())
    both = Things(*(tf.repeat(part, 2, axis=0) for part in BALL))
    one = things.only(both, tf.constant([True, False]))
    np.testing.assert_array_equal(things.is_there(one), [True, False])
    depth_mm = things.depth_mm(one, x, y).numpy()
    assert depth_mm[0].any() and not depth_mm[1].any()
    assert one.center_mm[1, 2] == NOWHERE_MM
