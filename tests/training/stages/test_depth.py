"""The depth stage: which term moves what, and the step against two plain forward passes."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from lsps_tf import losses
from lsps_tf.config import LossWeights
from lsps_tf.networks import DOMAINS
from training.stages import depth
from training.stages.base import noise_seeds
from training.stages.depth import DepthStage

PAPER = LossWeights()

E_S, E_R, G_S, G_R = {"E", "E_s"}, {"E", "E_r"}, {"G", "G_s"}, {"G", "G_r"}
D_S, D_R = {"D", "D_s"}, {"D", "D_r"}
# M draws the joints that G_y, which no player moves, makes of the latent.
M = {"M", "G_y"}
# What each term is a function of, by the arguments that equations 3 to 8 name.
GENERATOR_TERMS = {
    "eq3_vae_synthetic_kl": E_S,
    "eq3_vae_synthetic_nll": E_S | G_S,
    "eq3_vae_real_kl": E_R,
    "eq3_vae_real_nll": E_R | G_R,
    "eq4_gan_synthetic_generator": E_R | G_S,
    "eq4_gan_real_generator": E_S | G_R,
    "eq5_cycle_synthetic_kl": E_S | G_R | E_R,
    "eq5_cycle_synthetic_nll": E_S | G_R | E_R | G_S,
    "eq5_cycle_real_kl": E_R | G_S | E_S,
    "eq5_cycle_real_nll": E_R | G_S | E_S | G_R,
    "eq6_mapping_synthetic_distance": M | E_S,
    "eq6_mapping_synthetic_nll": M | G_S,
    "eq6_mapping_synthetic_generator": M | G_S,
    "eq6_mapping_real_distance": M | E_R,
    "eq6_mapping_real_nll": M | G_R,
    "eq6_mapping_real_generator": M | G_R,
}
DISCRIMINATOR_TERMS = {
    "eq4_gan_synthetic_discriminator": D_S | {"head"},
    "eq4_gan_real_discriminator": D_R | {"head"},
    "eq6_mapping_synthetic_discriminator": D_S | {"head"},
    "eq6_mapping_real_discriminator": D_R | {"head"},
    "eq7_posterior_synthetic_regression": D_S | {"P"},
    "eq7_posterior_real_regression": D_R | {"P"},
    "eq8_features_synthetic_matching": D_S | D_R,
    "eq8_features_real_matching": D_S | D_R,
}
GENERATORS = E_S | E_R | G_S | G_R | {"M"}
DISCRIMINATORS = D_S | D_R | {"head", "P"}


def compiled(networks, weights=PAPER, optimizer=keras.optimizers.legacy.SGD, rate=0.01):
    stage = DepthStage(networks, weights)
    stage.compile(optimizer(rate), optimizer(rate))
    return stage


def run(stage, batch):
    """All terms of a batch, generators' and discriminators', and a tape that watched every variable."""
    with tf.GradientTape(persistent=True) as tape:
        outputs = stage.forward(batch)
        verdicts = stage.discriminate(outputs)
        terms = stage.generator_terms(outputs, verdicts), stage.discriminator_terms(outputs, verdicts)
    return *terms, tape


def test_terms_reach_the_networks_that_their_equation_names(networks, batch, reached_by):
    stage = compiled(networks)
    generator_terms, discriminator_terms, tape = run(stage, batch)
    for name, expected in GENERATOR_TERMS.items():
        assert reached_by(tape, generator_terms[name]) - DISCRIMINATORS == expected, name
    for name, expected in DISCRIMINATOR_TERMS.items():
        assert reached_by(tape, discriminator_terms[name]) - (GENERATORS | M) == expected, name


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"lambda_2": 1.0}, E_S | E_R | G_S | G_R),
        ({"lambda_3": 1.0}, E_S | E_R | G_S | G_R),
        ({"lambda_4": 1.0}, E_S | E_R | G_S | G_R | D_S | D_R | {"head"}),
        ({"lambda_4_mapping": 1.0}, G_S | D_S | {"M", "head"}),
        ({"lambda_5": 1.0}, E_S | {"M"}),
        ({"lambda_6": 1.0}, G_S | {"M"}),
        ({"lambda_keep": 1.0}, E_S | E_R | G_S | G_R),
        ({"lambda_7": 1.0}, D_S | {"P"}),
        ({"lambda_8_depth": 1.0}, D_S | D_R),
        ({"lambda_0": 1.0, "lambda_1": 1.0, "lambda_8_posterior": 1.0}, set()),
    ],
)
def test_a_step_moves_what_its_weighted_terms_train(networks, unlabelled, moved_by, only, weights, expected):
    stage = compiled(networks, only(**weights))
    assert moved_by(lambda: stage.train_step(unlabelled)) == expected


def test_a_whole_step_leaves_the_pose_networks_frozen(networks, batch, moved_by):
    stage = compiled(networks)
    assert moved_by(lambda: stage.train_step(batch)) == GENERATORS | DISCRIMINATORS


def test_shared_layers_get_both_domains_gradients(networks, unlabelled):
    generator_terms, discriminator_terms, tape = run(compiled(networks), unlabelled)
    for terms, template, layers in (
        (generator_terms, "eq3_vae_{}_kl", networks.encoders["real"].shared),
        (generator_terms, "eq3_vae_{}_nll", networks.generators["real"].shared),
        (discriminator_terms, "eq4_gan_{}_discriminator", networks.discriminators["real"].shared),
        (discriminator_terms, "eq4_gan_{}_discriminator", networks.realism_head),
    ):
        variables = layers.trainable_variables
        values = [terms[template.format(domain)].value for domain in DOMAINS]
        synthetic, real = (tape.gradient(value, variables) for value in values)
        both = tape.gradient(values, variables)
        for s, r, total in zip(synthetic, real, both):
            assert np.any(s) and np.any(r)
            np.testing.assert_allclose(total, s + r, rtol=1e-3, atol=1e-5 * np.abs(total).max())


def test_semi_supervised_terms_appear_with_labels_only(networks, batch, unlabelled):
    stage = compiled(networks)
    with_labels, without = set(stage.train_step(batch)), set(stage.train_step(unlabelled))
    assert without < with_labels
    assert with_labels - without == {
        *("eq6_mapping_real_distance", "eq6_mapping_real_nll"),
        *("eq6_mapping_real_generator", "eq6_mapping_real_discriminator", "eq7_posterior_real_regression"),
    }


def test_lambda_8_of_zero_skips_the_matching(networks, unlabelled, monkeypatch):
    seen = []
    features = networks.discriminator_features
    monkeypatch.setattr(
        networks,
        "discriminator_features",
        lambda images, domains: seen.append(set(images)) or features(images, domains),
    )
    terms = compiled(networks, LossWeights(lambda_8_depth=0.0)).train_step(unlabelled)
    with_matching = compiled(networks).train_step(unlabelled)
    assert not [name for name in terms if "matching" in name]
    assert {name for name in with_matching if "matching" in name} == {f"eq8_features_{d}_matching" for d in DOMAINS}
    assert seen[1] - seen[0] == {("real", "real"), ("synthetic", "synthetic")} and seen[0] < seen[1]


def test_logged_sums_are_the_weighted_terms(networks, batch):
    weights = LossWeights()
    generator_terms, discriminator_terms, _ = run(compiled(networks), batch)
    assert set(generator_terms) == set(GENERATOR_TERMS) and set(discriminator_terms) == set(DISCRIMINATOR_TERMS)
    logs = {name: float(value) for name, value in compiled(networks).train_step(batch).items()}
    for total, terms in (("eq2_generators", generator_terms), ("eq2_discriminators", discriminator_terms)):
        expected = sum(getattr(weights, term.weight) * logs[name] for name, term in terms.items())
        np.testing.assert_allclose(logs[total], expected, rtol=1e-4)


def plain_terms(networks, batch, weights):
    """Equation 2 written out: every network called on its own, one image set at a time."""
    seeds = noise_seeds(batch["seed"], depth._NOISES)
    encode = {d: networks.encoders[d] for d in DOMAINS}
    generate = {d: networks.generators[d] for d in DOMAINS}
    judge, features = networks.discriminators, {d: networks.discriminators[d].features for d in DOMAINS}
    image = {d: batch[d]["image"] for d in DOMAINS}
    mean = {d: encode[d](image[d]) for d in DOMAINS}
    latent = {d: mean[d] + tf.random.stateless_normal(mean[d].shape, seeds[f"latent_{d}"]) for d in DOMAINS}
    joints = tf.reshape(batch["synthetic"]["joints"], (2, -1))
    pose_mean, pose_stddev = networks.pose_encoder(joints)
    z_y = pose_mean + pose_stddev * losses.pose_posterior(0.0 * pose_mean, 0.0 * pose_stddev + 1.0).sample(
        seed=seeds["pose_synthetic"]
    )
    mapped = networks.mapping(z_y)
    rendering = generate["synthetic"](mapped)
    generators, discriminators = {}, {}
    for own, other in (("synthetic", "real"), ("real", "synthetic")):
        there = generate[other](latent[own])
        back_mean = encode[other](there)
        back = generate[own](back_mean + tf.random.stateless_normal(back_mean.shape, seeds[f"cycle_{own}"]))
        fake = generate[own](latent[other])
        absolute = tf.abs(generate[own](latent[own]) - image[own])
        generators[f"3 {own}"] = weights.lambda_2 * tf.reduce_mean(0.5 * mean[own] ** 2)
        generators[f"3 {own} nll"] = weights.lambda_3 * tf.reduce_mean(absolute)
        generators[f"4 {own}"] = -weights.lambda_4 * tf.reduce_mean(tf.math.log_sigmoid(judge[own](fake)))
        generators[f"5 {own}"] = weights.lambda_2 * tf.reduce_mean(0.5 * back_mean**2)
        generators[f"5 {own} nll"] = weights.lambda_3 * tf.reduce_mean(tf.abs(back - image[own]))
        real, false = tf.math.log_sigmoid(judge[own](image[own])), tf.math.log_sigmoid(-judge[own](fake))
        discriminators[f"4 {own}"] = -weights.lambda_4 * (tf.reduce_mean(real) + tf.reduce_mean(false))
        made = {d: generate[d](latent[own]) for d in DOMAINS}
        difference = features["synthetic"](made["synthetic"]) - features["real"](made["real"])
        discriminators[f"8 {own}"] = weights.lambda_8_depth * tf.reduce_mean(tf.abs(difference))
    generators["6 distance"] = weights.lambda_5 * tf.reduce_mean((mapped - latent["synthetic"]) ** 2)
    generators["6 nll"] = weights.lambda_6 * tf.reduce_mean(tf.abs(rendering - image["synthetic"]))
    verdict = judge["synthetic"](rendering)
    generators["6"] = -weights.lambda_4 * tf.reduce_mean(tf.math.log_sigmoid(verdict))
    discriminators["6"] = -weights.lambda_4 * tf.reduce_mean(tf.math.log_sigmoid(-verdict))
    predicted = networks.posterior(features["synthetic"](image["synthetic"]))
    discriminators["7"] = weights.lambda_7 * tf.reduce_mean(tf.reduce_sum((predicted - z_y) ** 2, axis=-1))
    return tf.add_n(list(generators.values())), tf.add_n(list(discriminators.values()))


def test_a_step_equals_one_written_by_hand(networks, unlabelled):
    weights, rate = LossWeights(lambda_8_depth=0.5), 0.01
    stage = compiled(networks, weights, rate=rate)
    with tf.GradientTape(persistent=True) as tape:
        totals = plain_terms(networks, unlabelled, weights)
    expected, scale = {}, {}
    for total, variables in zip(totals, (stage.generator_variables, stage.discriminator_variables)):
        for variable, slope in zip(variables, tape.gradient(total, variables)):
            expected[variable.ref()] = variable - rate * slope
            scale[variable.ref()] = rate * float(tf.reduce_max(tf.abs(slope)))
    stage.train_step(unlabelled)
    for variable in stage.generator_variables + stage.discriminator_variables:
        tolerance = 2e-3 * scale[variable.ref()] + 1e-6
        np.testing.assert_allclose(variable, expected[variable.ref()], rtol=0, atol=tolerance, err_msg=variable.name)


def test_steps_are_functions_of_the_seed(start, batch):
    def weights_after(seed):
        networks = start()
        stage = compiled(networks, optimizer=keras.optimizers.legacy.Adam)
        for step in range(2):
            stage.train_step({**batch, "seed": tf.constant([seed, step], tf.int32)})
        return [variable.numpy() for variable in networks.variables]

    first, again, other = weights_after(1), weights_after(1), weights_after(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other))


def test_every_noise_of_a_step_is_its_own(networks, batch):
    outputs = compiled(networks).forward(batch)
    noises = [(outputs["latent"][name] - outputs["mean"][name]).numpy() for name in outputs["mean"]]
    assert len(noises) == 3
    for number, noise in enumerate(noises):
        assert 0.8 < noise.std() < 1.2
        assert all(abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.2 for other in noises[:number])


def test_without_cycle_consistency_only_its_terms_are_missing(networks, batch):
    """The noise of the rest is the same, so the other terms are, too."""
    terms = {}
    for cycle in (True, False):
        stage = DepthStage(networks, LossWeights(), cycle=cycle)
        outputs = stage.forward(batch)
        terms[cycle] = stage.generator_terms(outputs, stage.discriminate(outputs))
    assert {name for name in terms[True] if name not in terms[False]} == {
        f"eq5_cycle_{domain}_{kind}" for domain in DOMAINS for kind in ("kl", "nll")
    }
    for name, value in terms[False].items():
        np.testing.assert_allclose(value.value, terms[True][name].value, rtol=1e-5, err_msg=name)


def test_keeping_surfaces_joins_in_with_its_lambda(networks, unlabelled):
    """It is of the translations, and the other terms stay."""
    found = {}
    for weight in (0.0, 2.0):
        stage = DepthStage(networks, LossWeights(lambda_keep=weight))
        outputs = stage.forward(unlabelled)
        found[weight] = stage.generator_terms(outputs, stage.discriminate(outputs))
    assert set(found[2.0]) - set(found[0.0]) == {"keep_synthetic", "keep_real"}
    for domain, other in (("synthetic", "real"), ("real", "synthetic")):
        expected = losses.keep_loss(outputs["made"][domain][other], unlabelled[domain]["image"])
        np.testing.assert_allclose(found[2.0][f"keep_{domain}"].value, expected.value, rtol=1e-5)


def test_without_weights_of_equation_6_the_mapping_takes_no_part(networks, batch, monkeypatch):
    weights = LossWeights(lambda_4_mapping=0.0, lambda_5=0.0, lambda_6=0.0)
    stage, whole = compiled(networks, weights), run(compiled(networks), batch)
    assert {v.ref() for v in stage.generator_variables}.isdisjoint(v.ref() for v in networks.mapping_variables())
    monkeypatch.setattr(networks, "mapping", None)
    generator_terms, discriminator_terms, _ = run(stage, batch)
    for terms, all_terms in ((generator_terms, whole[0]), (discriminator_terms, whole[1])):
        assert set(terms) == {name for name in all_terms if not name.startswith("eq6")}
        for name, term in terms.items():
            np.testing.assert_allclose(term.value, all_terms[name].value, rtol=1e-5, err_msg=name)
