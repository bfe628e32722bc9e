"""The pose stage: equation 1 trains E_y and G_y, and nothing else."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from lsps_tf import losses
from lsps_tf.config import LossWeights
from lsps_tf.networks.layers import LEAKY_SLOPE
from training.stages.base import noise_seeds
from training.stages.pose import TOTAL, PoseStage

PAPER = LossWeights()


def compiled(networks, weights=PAPER, optimizer=keras.optimizers.legacy.SGD, rate=1e-4):
    stage = PoseStage(networks, weights)
    stage.compile(optimizer(rate))
    return stage


def test_terms_reach_their_networks(networks, batch, reached_by):
    stage = compiled(networks)
    with tf.GradientTape(persistent=True) as tape:
        terms = stage.loss_terms(stage.forward(batch))
    assert reached_by(tape, terms["eq1_pose_kl"]) == {"E_y"}
    assert reached_by(tape, terms["eq1_pose_nll"]) == {"E_y", "G_y"}


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"lambda_0": 1.0}, {"E_y"}),
        ({"lambda_1": 1.0}, {"E_y", "G_y"}),
        ({"lambda_2": 1.0, "lambda_3": 1.0, "lambda_4": 1.0, "lambda_7": 1.0}, set()),
    ],
)
def test_a_step_moves_the_pose_networks_alone(networks, batch, moved_by, only, weights, expected):
    stage = compiled(networks, only(**weights), rate=1.0)
    assert moved_by(lambda: stage.train_step(batch)) == expected


def test_labelled_real_poses_join_the_synthetic_ones(networks, batch, unlabelled):
    stage = compiled(networks)
    joints = stage.forward(batch)["joints"]
    np.testing.assert_array_equal(joints[:2], batch["synthetic"]["joints"])
    np.testing.assert_array_equal(joints[2:], batch["labelled"]["joints"])
    np.testing.assert_array_equal(stage.forward(unlabelled)["joints"], batch["synthetic"]["joints"])


def test_a_step_equals_one_written_by_hand(networks, unlabelled):
    """Equation 1 through two layers, differentiated by finite differences."""
    encoder, decoder = networks.pose_encoder, networks.pose_decoder
    joints = unlabelled["synthetic"]["joints"].numpy().reshape(2, -1).astype(np.float64)
    seed = noise_seeds(unlabelled["seed"], ["pose"])["pose"]
    noise = losses.pose_posterior(tf.zeros((2, 20)), tf.ones((2, 20))).sample(seed=seed).numpy()
    variables = [*encoder.variables, *decoder.variables]
    names = [f"{layer}/{kind}" for layer in ("e", "mean", "log_variance", "d", "y") for kind in ("kernel", "bias")]
    values = {name: variable.numpy().astype(np.float64) for name, variable in zip(names, variables)}

    def layer(inputs, name, values):
        return inputs @ values[f"{name}/kernel"] + values[f"{name}/bias"]

    def leaky(values):
        return np.where(values > 0, values, LEAKY_SLOPE * values)

    def objective(values):
        hidden = leaky(layer(joints, "e", values))
        mean, variance = layer(hidden, "mean", values), np.exp(layer(hidden, "log_variance", values))
        decoded = layer(leaky(layer(mean + np.sqrt(variance) * noise, "d", values)), "y", values)
        kl = 0.5 * np.sum(variance + mean**2 - 1 - np.log(variance), axis=-1)
        nll = np.sum(np.abs(decoded - joints) + np.log(2), axis=-1)
        return np.mean(0.1 * kl + 100 * nll)

    def slope(name, index, step=1e-6):
        around = []
        for sign in (1, -1):
            moved = values[name].copy()
            moved[index] += sign * step
            around.append(objective({**values, name: moved}))
        return (around[0] - around[1]) / (2 * step)

    logs = compiled(networks, LossWeights(lambda_0=0.1, lambda_1=100.0), rate=1e-4).train_step(unlabelled)
    np.testing.assert_allclose(logs[TOTAL], objective(values), rtol=1e-5)
    random = np.random.default_rng(0)
    for name, variable in zip(names, variables):
        for _ in range(5):
            index = tuple(random.integers(size) for size in variable.shape)
            expected = -1e-4 * slope(name, index)
            actual = variable.numpy()[index] - values[name][index]
            np.testing.assert_allclose(actual, expected, rtol=1e-2, atol=2e-6, err_msg=f"{name}{index}")


def test_steps_are_functions_of_the_seed(start, batch):
    def weights_after(seed):
        stage = compiled(start(), optimizer=keras.optimizers.legacy.Adam)
        for step in range(2):
            stage.train_step({**batch, "seed": tf.constant([seed, step], tf.int32)})
        return np.concatenate([variable.numpy().ravel() for variable in stage.player_variables])

    first = weights_after(1)
    np.testing.assert_array_equal(first, weights_after(1))
    assert not np.array_equal(first, weights_after(2))


def test_poses_of_held_out_hands_come_back(start):
    """A few hundred steps on poses of four parameters bring new ones back; a broken likelihood or KL does not."""
    random = np.random.default_rng(0)
    directions = random.normal(0, 0.3, (4, 36, 3))

    def poses(count):
        joints = np.einsum("bk,kjc->bjc", random.uniform(-1, 1, (count, 4)), directions)
        return tf.constant(joints, tf.float32)

    networks = start()
    stage = compiled(networks, optimizer=keras.optimizers.legacy.Adam, rate=5e-3)
    train, held_out = poses(256), poses(64)

    @tf.function(reduce_retracing=True)
    def step(seed):
        return stage.train_step({"synthetic": {"joints": train}, "seed": seed})

    for number in range(300):
        step(tf.constant([0, number], tf.int32))
    error = np.abs(networks.decode_pose(networks.encode_pose(held_out)[0]) - held_out).mean()
    assert error < 0.2 * np.abs(held_out).mean()
