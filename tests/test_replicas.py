"""What replicas that share a batch draw and see is their rows of what one replica would."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import appearance, losses, randomize, replicas
from lsps_tf.augment import draw_views
from lsps_tf.skeleton import SKELETONS

SEED = tf.constant([3, 5], tf.int32)
ROWS, SHARES = 6, 2


def by_replica(strategy, function, *wholes):
    """What each replica makes of its rows of some tensors, as a list over the replicas."""
    shared = [
        strategy.experimental_distribute_values_from_function(
            lambda context, whole=whole: whole[context.replica_id_in_sync_group :: SHARES]
        )
        for whole in wholes
    ]
    results = strategy.experimental_local_results(strategy.run(function, args=shared))
    return [tf.nest.map_structure(lambda value: value.numpy(), result) for result in results]


def joined(parts):
    """Rows of replicas in the order of the batch."""
    return tf.nest.map_structure(lambda *rows: np.stack(rows, 1).reshape(-1, *rows[0].shape[1:]), *parts)


DRAWS = {
    "normal": lambda like: replicas.normal(like.shape, SEED),
    "uniform": lambda like: replicas.uniform([like.shape[0]], SEED, 0, 100, tf.int32),
    "views": lambda like: draw_views(like.shape[0], SEED, 180.0, 10.0),
    "depth posterior": lambda like: replicas.sample(losses.depth_posterior(like), SEED),
    "pose posterior": lambda like: replicas.sample(losses.pose_posterior(like, tf.exp(like)), SEED),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_replicas_draw_their_rows_of_the_batchs_noise(strategy, draw):
    like = tf.random.stateless_normal([ROWS, 4], [1, 2])
    alone, shared = tf.nest.map_structure(np.asarray, draw(like)), joined(by_replica(strategy, draw, like))
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), alone, shared)
    for values in tf.nest.flatten(alone):
        assert len(values) == ROWS and len(np.unique(values.reshape(ROWS, -1), axis=0)) > 1


@pytest.mark.parametrize("sensed", [False, True], ids=["randomised", "of another appearance"])
def test_crops_are_changed_as_those_of_the_whole_batch(strategy, sensed):
    skeleton = SKELETONS["nyu"]
    random = np.random.default_rng(0)
    image = tf.constant(np.where(random.uniform(size=(4, 16, 16, 1)) < 0.5, 0.1, 1.0), tf.float32)
    joints = tf.constant(random.normal(0, 0.4, (4, skeleton.num_joints, 3)), tf.float32)
    cube_mm = tf.fill([4], 250.0)

    def run(image, joints, cube_mm):
        if sensed:
            return appearance.change_appearance(image, joints, cube_mm, 1.0, SEED)
        return randomize.randomize(image, joints, cube_mm, skeleton, 1.0, SEED)

    alone, shared = run(image, joints, cube_mm), joined(by_replica(strategy, run, image, joints, cube_mm))
    for a, b in zip(alone, shared):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_replica_sees_the_whole_batch_in_its_order(strategy):
    whole = tf.reshape(tf.range(ROWS * 3, dtype=tf.float32), (ROWS, 3))
    for seen in by_replica(strategy, replicas.whole_batch, whole):
        np.testing.assert_array_equal(seen, whole)
    own = by_replica(strategy, lambda rows: replicas.own_rows(replicas.whole_batch(rows)), whole)
    np.testing.assert_array_equal(joined(own), whole)
    np.testing.assert_array_equal(replicas.whole_batch(whole), whole)


def test_means_are_over_replicas_and_leave_out_what_is_missing(strategy):
    values = tf.constant([[1.0], [3.0]])

    def run(row):
        present, missing = replicas.mean([row, None])
        assert missing is None and replicas.count() == SHARES
        return [present, *replicas.mean_of_scalars([row[0, 0], 2.0 * row[0, 0]])]

    for found in by_replica(strategy, run, values):
        assert [float(np.squeeze(value)) for value in found] == [2.0, 2.0, 4.0]
    assert replicas.mean([values, None]) == [values, None] and replicas.count() == 1
