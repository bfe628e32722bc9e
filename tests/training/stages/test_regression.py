"""The regressions of table 1: P and one discriminator's layers move, all else is frozen."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from lsps_tf import losses
from lsps_tf.config import LossWeights
from lsps_tf.networks import DOMAINS, build_networks
from lsps_tf.presets import PRESETS
from training.stages.base import noise_seeds
from training.stages.regression import REGRESSION, RegressionStage

PAPER = LossWeights()

D_S, D_R = {"D", "D_s"}, {"D", "D_r"}


def compiled(networks, domain, weights=PAPER, optimizer=keras.optimizers.legacy.SGD, rate=0.01):
    stage = RegressionStage(networks, weights, domain)
    stage.compile(optimizer(rate))
    return stage


@pytest.mark.parametrize(("domain", "expected"), [("synthetic", D_S | {"P"}), ("real", D_R | {"P"})])
def test_a_regression_moves_its_domains_layers_alone(networks, batch, moved_by, domain, expected):
    stage = compiled(networks, domain)
    seen = {"synthetic": "synthetic", "real": "labelled"}[domain]
    only_its_frames = {seen: batch[seen], "seed": batch["seed"]}
    assert moved_by(lambda: stage.train_step(only_its_frames)) == expected


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_regressions_step_equals_one_written_by_hand(networks, batch, domain):
    rate = 0.01
    stage = compiled(networks, domain, LossWeights(lambda_7=10.0), rate=rate)
    frames = batch[{"synthetic": "synthetic", "real": "labelled"}[domain]]
    mean, stddev = networks.pose_encoder(tf.reshape(frames["joints"], (2, -1)))
    seed = noise_seeds(batch["seed"], ["pose"])["pose"]
    target = losses.pose_posterior(mean, stddev).sample(seed=seed)
    with tf.GradientTape() as tape:
        distance = networks.posterior(networks.discriminators[domain].features(frames["image"])) - target
        total = 10.0 * tf.reduce_mean(tf.reduce_sum(distance**2, axis=-1))
    slopes = tape.gradient(total, stage.player_variables)
    expected = [variable - rate * slope for variable, slope in zip(stage.player_variables, slopes)]
    np.testing.assert_allclose(stage.train_step(batch)[REGRESSION], total, rtol=1e-4)
    for variable, value, slope in zip(stage.player_variables, expected, slopes):
        # Rounding of the largest slope.
        tolerance = rate * 2e-3 * float(tf.reduce_max(tf.abs(slope))) + 1e-6
        np.testing.assert_allclose(variable, value, rtol=0, atol=tolerance, err_msg=variable.name)


def test_two_parts_of_a_batch_are_one_larger_part(networks, batch):
    stage = RegressionStage(networks, PAPER, "real", sources=("labelled", "synthetic"))
    outputs = stage.forward(batch)
    for part, rows in (("labelled", slice(2)), ("synthetic", slice(2, 4))):
        np.testing.assert_allclose(
            outputs["predicted"][rows], networks.predict_latent(batch[part]["image"], "real"), atol=1e-4
        )
        np.testing.assert_array_equal(outputs["joints"][rows], batch[part]["joints"])


def test_the_distance_of_decoded_joints_counts_where_it_is_asked_for(networks, batch):
    stage = compiled(networks, "real", LossWeights(lambda_7=0.0, lambda_7_joints=3.0))
    decoded = networks.predict_joints(batch["labelled"]["image"], "real").numpy()
    distance = np.linalg.norm(decoded - batch["labelled"]["joints"], axis=-1).mean()
    assert float(stage.train_step(batch)[REGRESSION]) == pytest.approx(3.0 * distance, rel=1e-3)


def test_the_distance_of_the_votes_counts_where_p_votes(networks, batch):
    config = dataclasses.replace(PRESETS["tiny"].network, vote_widths=(5, 4))
    voting = build_networks(config, 32, seed=0)
    images, joints = batch["labelled"]["image"], batch["labelled"]["joints"].numpy()
    weights, places = (part.numpy() for part in voting.posterior.votes(voting.discriminators["real"].features(images)))
    distance = np.linalg.norm(places - joints[:, None], axis=-1)
    expected = 3.0 * (weights * distance).sum(axis=1).mean()
    weights = LossWeights(lambda_7=0.0, lambda_7_votes=3.0)
    assert float(compiled(voting, "real", weights).train_step(batch)[REGRESSION]) == pytest.approx(expected, rel=1e-4)
    # Where P does not, the lambda is without a term.
    assert float(compiled(networks, "real", weights).train_step(batch)[REGRESSION]) == 0


@pytest.mark.parametrize("domain", DOMAINS)
def test_steps_are_functions_of_the_seed(start, batch, domain):
    def weights_after(seed):
        stage = compiled(start(), domain, optimizer=keras.optimizers.legacy.Adam)
        for step in range(2):
            stage.train_step({**batch, "seed": tf.constant([seed, step], tf.int32)})
        return np.concatenate([variable.numpy().ravel() for variable in stage.player_variables])

    first = weights_after(1)
    np.testing.assert_array_equal(first, weights_after(1))
    assert not np.array_equal(first, weights_after(2))


def test_a_regression_learns_its_frames(start, batch):
    """The same two frames again and again: the error must fall to a fraction."""
    networks = start()
    stage = compiled(networks, "real", optimizer=keras.optimizers.legacy.Adam, rate=3e-3)
    step = tf.function(lambda: stage.train_step(batch))
    first = float(step()[REGRESSION])
    for _ in range(100):
        stage.reset_metrics()
        last = float(step()[REGRESSION])
    assert last < 0.1 * first
