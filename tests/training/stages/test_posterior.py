"""The posterior stage: P and the discriminators' layers move, all else is frozen."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow import keras

from lsps_tf import losses
from lsps_tf.config import LossWeights
from lsps_tf.networks import DOMAINS
from training.stages.posterior import POSTERIOR, PosteriorStage

PAPER = LossWeights()

D_S, D_R = {"D", "D_s"}, {"D", "D_r"}
TERMS = {
    "eq7_posterior_synthetic_regression": D_S | {"P"},
    "eq7_posterior_real_regression": D_R | {"P"},
    "eq8_features_synthetic_matching": D_S | D_R,
    "eq8_features_real_matching": D_S | D_R,
}


def compiled(networks, weights=PAPER, optimizer=keras.optimizers.legacy.SGD, rate=0.01):
    stage = PosteriorStage(networks, weights)
    stage.compile(optimizer(rate))
    return stage


def test_terms_reach_the_discriminators_layers_and_p_alone(networks, batch, reached_by):
    stage = compiled(networks)
    with tf.GradientTape(persistent=True) as tape:
        terms = stage.loss_terms(stage.forward(batch))
    assert set(TERMS) <= set(terms)
    for name, expected in TERMS.items():
        assert reached_by(tape, terms[name]) == expected, name


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"lambda_7": 1.0}, D_S | {"P"}),
        ({"lambda_8_posterior": 1.0}, D_S | D_R),
        ({"lambda_2": 1.0, "lambda_4": 1.0, "lambda_6": 1.0, "lambda_8_depth": 1.0}, set()),
    ],
)
def test_a_step_moves_what_its_weighted_terms_train(networks, unlabelled, moved_by, only, weights, expected):
    stage = compiled(networks, only(**weights), rate=1.0)
    assert moved_by(lambda: stage.train_step(unlabelled)) == expected


def test_labels_let_equation_7_reach_the_real_layers(networks, batch, moved_by, only):
    stage = compiled(networks, only(lambda_7=1.0))
    assert moved_by(lambda: stage.train_step(batch)) == D_S | D_R | {"P"}


def test_shared_layers_get_both_domains_gradients(networks, batch):
    stage = compiled(networks)
    with tf.GradientTape(persistent=True) as tape:
        terms = stage.loss_terms(stage.forward(batch))
    variables = unique(networks.discriminators["real"].shared, networks.posterior)
    regressions = [terms[f"eq7_posterior_{domain}_regression"].value for domain in DOMAINS]
    synthetic, real = (tape.gradient(term, variables) for term in regressions)
    for s, r, both in zip(synthetic, real, tape.gradient(regressions, variables)):
        assert np.any(s) and np.any(r)
        np.testing.assert_allclose(both, s + r, rtol=1e-3, atol=1e-5 * np.abs(both).max())


def test_semi_supervised_terms_appear_with_labels_only(networks, batch, unlabelled):
    stage = compiled(networks)
    with_labels, without = set(stage.train_step(batch)), set(stage.train_step(unlabelled))
    assert with_labels - without == {"eq7_posterior_real_regression"} and without < with_labels


def test_lambda_8_of_zero_leaves_the_frozen_networks_out(networks, unlabelled, monkeypatch):
    used = []
    encode = networks.encode
    monkeypatch.setattr(networks, "encode", lambda *arguments: used.append(1) or encode(*arguments))
    terms = compiled(networks, LossWeights(lambda_8_posterior=0.0)).train_step(unlabelled)
    assert not [name for name in terms if "matching" in name] and not used
    assert "eq8_features_real_matching" in compiled(networks).train_step(unlabelled) and used


def test_the_frozen_networks_make_targets_and_images(networks, batch, monkeypatch):
    """Targets are samples of q(z_y|y) by the seed; images are every generator's from the depth latents."""
    monkeypatch.setattr(losses, "depth_posterior", tfp.distributions.Deterministic)
    target, made = compiled(networks).frozen_forward(batch)
    again, _ = compiled(networks).frozen_forward(batch)
    other, _ = compiled(networks).frozen_forward({**batch, "seed": tf.constant([7, 12])})
    noises = []
    for domain, name in (("synthetic", "synthetic"), ("real", "labelled")):
        mean, stddev = networks.pose_encoder(tf.reshape(batch[name]["joints"], (2, -1)))
        noises.append(((target[domain] - mean) / stddev).numpy())
        assert 0.5 < noises[-1].std() < 1.5
        np.testing.assert_array_equal(target[domain], again[domain])
        assert not np.allclose(target[domain], other[domain])
    assert abs(np.corrcoef(noises[0].ravel(), noises[1].ravel())[0, 1]) < 0.6
    for source in DOMAINS:
        latent = networks.encoders[source](batch[source]["image"])
        for domain in DOMAINS:
            expected = networks.generators[domain](latent)
            np.testing.assert_allclose(made[source][domain], expected, atol=1e-5)


@pytest.mark.parametrize(("lambda_7_made", "lambda_7_randomized"), [(0.0, 0.0), (2.0, 0.0), (2.0, 3.0)])
def test_a_step_equals_one_written_by_hand(networks, batch, lambda_7_made, lambda_7_randomized):
    """Equations 7 and 8, and 7 on made and on randomised images, every network called on its own."""
    named = {"lambda_7_made": lambda_7_made, "lambda_7_randomized": lambda_7_randomized}
    weights, rate = LossWeights(lambda_7=10.0, lambda_8_posterior=3.0, **named), 0.01
    if lambda_7_randomized:
        batch = {**batch, "randomized": {name: part[::-1] for name, part in batch["synthetic"].items()}}
    stage = compiled(networks, weights, rate=rate)
    target, frozen = stage.frozen_forward(batch)
    features = {domain: networks.discriminators[domain].features for domain in DOMAINS}
    with tf.GradientTape() as tape:
        total = 0.0
        for domain, frames in (("synthetic", batch["synthetic"]), ("real", batch["labelled"])):
            distance = networks.posterior(features[domain](frames["image"])) - target[domain]
            total += weights.lambda_7 * tf.reduce_mean(tf.reduce_sum(distance**2, axis=-1))
        if lambda_7_randomized:
            distance = networks.posterior(features["real"](batch["randomized"]["image"])) - target["randomized"]
            total += lambda_7_randomized * tf.reduce_mean(tf.reduce_sum(distance**2, axis=-1))
            assert np.abs(target["randomized"] - target["synthetic"][::-1]).max() < 5.0
        for source in DOMAINS:
            made = [frozen[source][domain] for domain in ("synthetic", "real")]
            difference = features["synthetic"](made[0]) - features["real"](made[1])
            total += weights.lambda_8_posterior * tf.reduce_mean(tf.abs(difference))
            if source == "synthetic":
                for domain, image in zip(("synthetic", "real"), made):
                    distance = networks.posterior(features[domain](image)) - target["synthetic"]
                    total += lambda_7_made * tf.reduce_mean(tf.reduce_sum(distance**2, axis=-1))
    expected = descent(stage, tape.gradient(total, stage.player_variables), rate)
    np.testing.assert_allclose(stage.train_step(batch)[POSTERIOR], total, rtol=1e-4)
    assert_moved_as(stage, expected)


def descent(stage, slopes, rate):
    """Values after a step of gradient descent and their tolerances: rounding of the largest slope."""
    values = [variable - rate * slope for variable, slope in zip(stage.player_variables, slopes)]
    return values, [rate * 2e-3 * float(tf.reduce_max(tf.abs(slope))) + 1e-6 for slope in slopes]


def assert_moved_as(stage, expected):
    for variable, value, tolerance in zip(stage.player_variables, *expected):
        np.testing.assert_allclose(variable, value, rtol=0, atol=tolerance, err_msg=variable.name)


def test_steps_are_functions_of_the_seed(start, batch):
    def weights_after(seed):
        stage = compiled(start(), optimizer=keras.optimizers.legacy.Adam)
        for step in range(2):
            stage.train_step({**batch, "seed": tf.constant([seed, step], tf.int32)})
        return np.concatenate([variable.numpy().ravel() for variable in stage.player_variables])

    first = weights_after(1)
    np.testing.assert_array_equal(first, weights_after(1))
    assert not np.array_equal(first, weights_after(2))


def unique(*modules):
    return list({v.ref(): v for module in modules for v in module.trainable_variables}.values())
