"""The mapping stage: M and the realism head move, all else is frozen; the step against one written by hand."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from lsps_tf import losses
from lsps_tf.config import LossWeights
from training.stages import mapping
from training.stages.base import noise_seeds
from training.stages.mapping import MappingStage

PAPER = LossWeights()


def compiled(networks, weights=PAPER, optimizer=keras.optimizers.legacy.SGD, rate=1e-4):
    stage = MappingStage(networks, weights)
    stage.compile(optimizer(rate), optimizer(rate))
    return stage


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"lambda_4_mapping": 10.0}, {"M", "head"}),
        ({"lambda_5": 10.0}, {"M"}),
        ({"lambda_6": 10.0}, {"M"}),
        ({"lambda_6_translated": 10.0}, {"M"}),
        # The depth stage's part of the weights is not this stage's.
        ({"lambda_4": 1.0, "lambda_3": 1.0, "lambda_7": 1.0, "mapping_in_depth": 1.0}, set()),
    ],
)
def test_a_step_moves_m_and_the_head_alone(networks, batch, moved_by, only, weights, expected):
    stage = compiled(networks, only(**weights), rate=1.0)
    assert moved_by(lambda: stage.train_step(batch)) == expected


def test_real_terms_come_with_labels(networks, batch, unlabelled):
    stage = compiled(networks)
    with_labels, without = set(stage.train_step(batch)), set(stage.train_step(unlabelled))
    kinds = ("distance", "nll", "generator", "discriminator")
    assert with_labels - without == {f"eq6_mapping_real_{kind}" for kind in kinds}
    assert without == {f"eq6_mapping_synthetic_{kind}" for kind in kinds} | {"eq6_mapping", "eq6_discriminators"}


def test_renderings_of_synthetic_poses_are_to_become_real_as_their_images_do(networks, unlabelled):
    stage, without = compiled(networks, LossWeights(lambda_6_translated=5.0)), compiled(networks)
    outputs = stage.forward(unlabelled)
    expected = networks.generators["real"](networks.encoders["synthetic"](unlabelled["synthetic"]["image"]))
    rendering = networks.generators["real"](outputs["mapped"]["synthetic"])
    terms = stage.generator_terms(outputs, stage.discriminate(outputs))
    term = terms.pop("eq6_mapping_translated_nll")
    np.testing.assert_allclose(term.value, np.log(2.0) + np.abs(rendering - expected).mean(), rtol=1e-5)
    assert term.weight == "lambda_6_translated"
    outputs = without.forward(unlabelled)
    others = without.generator_terms(outputs, without.discriminate(outputs))
    assert set(terms) == set(others)
    for name, other in others.items():
        np.testing.assert_allclose(terms[name].value, other.value, rtol=1e-5, err_msg=name)


def plain_totals(networks, batch, weights):
    """Equation 6 of the synthetic pairs written out, and both sides of its adversary."""
    seeds = noise_seeds(batch["seed"], mapping._NOISES)
    image, joints = batch["synthetic"]["image"], tf.reshape(batch["synthetic"]["joints"], (2, -1))
    mean, stddev = networks.pose_encoder(joints)
    z_y = losses.pose_posterior(mean, stddev).sample(seed=seeds["pose_synthetic"])
    z = networks.encoders["synthetic"](image)
    z += tf.random.stateless_normal(z.shape, seeds["latent_synthetic"])
    mapped = networks.mapping(z_y)
    rendering = networks.generators["synthetic"](mapped)
    fake, real = networks.discriminators["synthetic"](rendering), networks.discriminators["synthetic"](image)
    generators = weights.lambda_5 * tf.reduce_mean((mapped - z) ** 2)
    generators += weights.lambda_6 * tf.reduce_mean(tf.abs(rendering - image))
    generators -= weights.lambda_4_mapping * tf.reduce_mean(tf.math.log_sigmoid(fake))
    told = tf.reduce_mean(tf.math.log_sigmoid(real)) + tf.reduce_mean(tf.math.log_sigmoid(-fake))
    return generators, -weights.lambda_4_mapping * told


def test_a_step_equals_one_written_by_hand(networks, unlabelled):
    weights, rate = LossWeights(lambda_4_mapping=300.0), 1e-4
    stage = compiled(networks, weights, rate=rate)
    with tf.GradientTape(persistent=True) as tape:
        totals = plain_totals(networks, unlabelled, weights)
    expected = []
    for total, variables in zip(totals, (stage.generator_variables, stage.discriminator_variables)):
        for variable, slope in zip(variables, tape.gradient(total, variables)):
            expected.append((variable, variable - rate * slope, rate * float(tf.reduce_max(tf.abs(slope)))))
    assert len(expected) == len(networks.mapping_variables()) + 2
    stage.train_step(unlabelled)
    for variable, value, scale in expected:
        np.testing.assert_allclose(variable, value, rtol=0, atol=2e-3 * scale + 1e-6, err_msg=variable.name)


def test_logged_sums_are_the_weighted_terms(networks, batch):
    logs = {name: float(value) for name, value in compiled(networks).train_step(batch).items()}
    lambdas = {"distance": PAPER.lambda_5, "nll": PAPER.lambda_6, "generator": PAPER.lambda_4_mapping}
    total = sum(
        weight * logs[f"eq6_mapping_{domain}_{kind}"]
        for domain in ("synthetic", "real")
        for kind, weight in lambdas.items()
    )
    np.testing.assert_allclose(logs["eq6_mapping"], total, rtol=1e-5)
    told = PAPER.lambda_4_mapping * sum(logs[f"eq6_mapping_{d}_discriminator"] for d in ("synthetic", "real"))
    np.testing.assert_allclose(logs["eq6_discriminators"], told, rtol=1e-5)


def test_m_learns_to_draw_what_it_is_shown(networks, unlabelled):
    stage = compiled(networks, optimizer=keras.optimizers.legacy.Adam, rate=3e-3)
    logs = [float(stage.train_step(unlabelled)["eq6_mapping_synthetic_nll"])]
    for _ in range(25):
        stage.reset_metrics()
        logs.append(float(stage.train_step(unlabelled)["eq6_mapping_synthetic_nll"]))
    assert logs[-1] < logs[0] - 0.02
