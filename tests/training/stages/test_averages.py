"""Averaged weights against a loop, in a stage, and over a stop."""

import numpy as np
import tensorflow as tf
from tensorflow import keras

from lsps_tf.config import LossWeights
from training.stages.averages import MovingAverages
from training.stages.depth import DepthStage
from training.stages.regression import RegressionStage


def looped(values, decay):
    """The average of numbers that follow the first one, which is the start."""
    average = values[0]
    for step, value in enumerate(values[1:]):
        kept = min(decay, (1 + step) / (10 + step))
        average = kept * average + (1 - kept) * value
    return average


def test_averages_equal_a_loop_and_forget_the_start():
    values = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    variable = tf.Variable(values[0])
    averages = MovingAverages([variable], 0.7)
    for step, value in enumerate(values[1:]):
        variable.assign(value)
        averages.update(tf.constant(step))
    np.testing.assert_allclose(averages.values[0], looped(values, 0.7), atol=1e-6)
    # The decay's bound is reached at step 20: what came 40 steps ago weighs 0.7 ** 40.
    later = looped(np.concatenate([values[:1] + 100.0, values[1:]]), 0.7)
    np.testing.assert_allclose(averages.values[0], later, atol=1e-4)
    averages.assign()
    np.testing.assert_array_equal(variable, averages.values[0])


def test_a_checkpoint_holds_the_averages_and_no_variable_twice(tmp_path):
    variable = tf.Variable([1.0, 2.0])
    averages = MovingAverages([variable], 0.9)
    variable.assign([3.0, 4.0])
    averages.update(0)
    path = tf.train.Checkpoint(averages=averages).write(str(tmp_path / "averages"))
    stored = [name for name, _ in tf.train.list_variables(path) if "values" in name]
    assert len(stored) == 1
    other = MovingAverages([tf.Variable([0.0, 0.0])], 0.9)
    tf.train.Checkpoint(averages=other).read(path).assert_consumed()
    np.testing.assert_array_equal(other.values[0], averages.values[0])


def stage_after(networks, batch, decay, steps):
    stage = DepthStage(networks, LossWeights(), average_decay=decay)
    stage.compile(keras.optimizers.legacy.Adam(1e-3), keras.optimizers.legacy.Adam(1e-3))
    seen = [[variable.numpy() for variable in stage.generator_variables]]
    for step in range(steps):
        stage.train_step({**batch, "seed": tf.constant([3, step], tf.int32)})
        seen.append([variable.numpy() for variable in stage.generator_variables])
    return stage, seen


def test_the_depth_stage_ends_with_the_average_of_its_generators(start, unlabelled):
    stage, seen = stage_after(start(), unlabelled, 0.5, 3)
    discriminators = [variable.numpy() for variable in stage.discriminator_variables]
    stage.finish()
    for number, variable in enumerate(stage.generator_variables):
        expected = looped([values[number] for values in seen], 0.5)
        np.testing.assert_allclose(variable, expected, atol=1e-6, err_msg=variable.name)
        assert not np.allclose(expected, seen[-1][number], atol=1e-7)
    for variable, value in zip(stage.discriminator_variables, discriminators):
        np.testing.assert_array_equal(variable, value)


def test_averaging_changes_no_step(start, unlabelled):
    (plain, with_plain), (_, with_averages) = (stage_after(start(), unlabelled, decay, 2) for decay in (0.0, 0.5))
    assert plain.averages is None
    plain.finish()
    for one, other in zip(with_plain[-1], with_averages[-1]):
        np.testing.assert_array_equal(one, other)


def test_a_regression_ends_with_the_average_of_p(start, batch):
    networks = start()
    stage = RegressionStage(networks, LossWeights(), "real", average_decay=0.5)
    stage.compile(keras.optimizers.legacy.Adam(1e-3))
    seen = [[variable.numpy() for variable in stage.player_variables]]
    for step in range(3):
        stage.train_step({**batch, "seed": tf.constant([3, step], tf.int32)})
        seen.append([variable.numpy() for variable in stage.player_variables])
    stage.finish()
    for number, variable in enumerate(stage.player_variables):
        expected = looped([values[number] for values in seen], 0.5)
        np.testing.assert_allclose(variable, expected, atol=1e-6, err_msg=variable.name)
        assert not np.allclose(expected, seen[-1][number], atol=1e-7)
