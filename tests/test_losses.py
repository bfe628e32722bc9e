"""Equations 1 to 8 against loops and integrals written from the paper, and at extremes."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate

from lsps_tf import losses
from lsps_tf.config import PRESETS, LossWeights

RANDOM = np.random.default_rng(0)


def draw(*shape, scale=1.0):
    return (scale * RANDOM.normal(size=shape)).astype(np.float32)


def sigmoid(logits):
    return 1.0 / (1.0 + np.exp(-np.asarray(logits, np.float64)))


def kl_by_integral(mean, stddev):
    """KL(N(mean, stddev²) || N(0, 1)), from its definition."""

    def log_density(z, mean, stddev):
        return -0.5 * ((z - mean) / stddev) ** 2 - math.log(stddev * math.sqrt(2 * math.pi))

    def integrand(z):
        log_q = log_density(z, mean, stddev)
        return math.exp(log_q) * (log_q - log_density(z, 0.0, 1.0))

    return integrate.quad(integrand, mean - 12 * stddev, mean + 12 * stddev)[0]


def negative_log_laplace(value, location):
    return -math.log(0.5 * math.exp(-abs(float(value) - float(location))))


def gradient(function, *inputs):
    inputs = [tf.constant(value, tf.float32) for value in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(*inputs)
    return tape.gradient(value, inputs)


def test_equation_1():
    mean, stddev = draw(3, 4), np.exp(draw(3, 4, scale=0.5))
    joints, reconstruction = draw(3, 5, 3), draw(3, 5, 3)
    terms = losses.pose_vae_loss(losses.pose_posterior(mean, stddev), tf.constant(reconstruction), tf.constant(joints))
    kl = [sum(kl_by_integral(m, s) for m, s in zip(*sample)) for sample in zip(mean, stddev)]
    nll = [sum(map(negative_log_laplace, y.ravel(), r.ravel())) for y, r in zip(joints, reconstruction)]
    np.testing.assert_allclose(terms["kl"], np.mean(kl), rtol=1e-5)
    np.testing.assert_allclose(terms["nll"], np.mean(nll), rtol=1e-5)


def test_samples_of_the_posteriors_have_their_moments():
    mean, stddev = np.array([[1.0, -2.0]], np.float32), np.array([[0.5, 2.0]], np.float32)
    pose = losses.pose_posterior(mean, stddev).sample(20_000, seed=(0, 1)).numpy()[:, 0]
    np.testing.assert_allclose(pose.mean(axis=0), mean[0], atol=0.05)
    np.testing.assert_allclose(pose.std(axis=0), stddev[0], rtol=0.03)
    depth = losses.depth_posterior(mean).sample(20_000, seed=(0, 2)).numpy()[:, 0]
    np.testing.assert_allclose(depth.mean(axis=0), mean[0], atol=0.03)
    np.testing.assert_allclose(depth.std(axis=0), 1.0, rtol=0.03)


def test_equation_2_is_both_players_sums_with_the_depth_stages_lambda_8():
    weights = LossWeights(lambda_2=2.0, lambda_4=3.0, lambda_7=5.0, lambda_8_depth=7.0, lambda_8_posterior=1e9)
    generator = {"eq3_vae_real_kl": tf.constant(10.0), "eq4_gan_real_generator": tf.constant(100.0)}
    discriminator = {
        "eq4_gan_real_discriminator": tf.constant(1.0),
        "eq7_posterior_synthetic_regression": tf.constant(10.0),
        "eq8_features_real_matching": tf.constant(100.0),
    }
    totals = losses.shared_latent_space_loss(generator, discriminator, weights)
    assert [float(total) for total in totals] == [2 * 10 + 3 * 100, 3 * 1 + 5 * 10 + 7 * 100]


@pytest.mark.parametrize("loss", [losses.depth_vae_loss, losses.cycle_loss])
def test_equations_3_and_5(loss):
    mean, image, reconstruction = draw(2, 3, 3, 4), draw(2, 6, 6, 1), draw(2, 6, 6, 1)
    terms = loss(tf.constant(mean), tf.constant(reconstruction), tf.constant(image))
    kl = np.mean([kl_by_integral(m, 1.0) for m in mean.ravel()])
    nll = np.mean([negative_log_laplace(x, r) for x, r in zip(image.ravel(), reconstruction.ravel())])
    np.testing.assert_allclose(terms["kl"], kl, rtol=1e-5)
    np.testing.assert_allclose(terms["nll"], nll, rtol=1e-5)


def test_equation_4():
    own, fake = draw(2, 3, 3, 1, scale=2.0), draw(2, 3, 3, 1, scale=2.0)
    printed = np.mean(np.log(sigmoid(own))) + np.mean(np.log(1 - sigmoid(fake)))
    np.testing.assert_allclose(losses.gan_discriminator_loss(own, fake), -printed, rtol=1e-5)
    without_own = -np.mean(np.log(1 - sigmoid(fake)))
    np.testing.assert_allclose(losses.gan_discriminator_loss(None, fake), without_own, rtol=1e-5)
    np.testing.assert_allclose(losses.gan_generator_loss(fake), -np.mean(np.log(sigmoid(fake))), rtol=1e-5)


def test_the_players_of_equation_4_pull_the_logits_apart():
    own, fake = draw(2, 3, 3, 1), draw(2, 3, 3, 1)
    by_own, by_fake = gradient(losses.gan_discriminator_loss, own, fake)
    assert np.all(by_own.numpy() < 0) and np.all(by_fake.numpy() > 0)
    assert np.all(gradient(losses.gan_generator_loss, fake)[0].numpy() < 0)


def test_equation_6():
    mapped, latent = draw(2, 3, 3, 4), draw(2, 3, 3, 4)
    rendering, image, logits = draw(2, 6, 6, 1), draw(2, 6, 6, 1), draw(2, 3, 3, 1)
    terms = losses.mapping_loss(*map(tf.constant, (mapped, latent, rendering, image, logits)))
    distance = np.mean([(float(m) - float(z)) ** 2 for m, z in zip(mapped.ravel(), latent.ravel())])
    nll = np.mean([negative_log_laplace(x, r) for x, r in zip(image.ravel(), rendering.ravel())])
    np.testing.assert_allclose(terms["distance"], distance, rtol=1e-5)
    np.testing.assert_allclose(terms["nll"], nll, rtol=1e-5)
    np.testing.assert_allclose(terms["generator"], -np.mean(np.log(sigmoid(logits))), rtol=1e-5)


def test_the_likelihood_of_equation_6_is_raised():
    image, far = np.zeros((1, 4, 4, 1), np.float32), np.full((1, 4, 4, 1), 0.5, np.float32)
    latent, logits = np.zeros((1, 1, 1, 1), np.float32), np.zeros((1, 1, 1, 1), np.float32)

    def nll(rendering):
        return losses.mapping_loss(*map(tf.constant, (latent, latent)), rendering, image, tf.constant(logits))["nll"]

    assert nll(tf.constant(image)) < nll(tf.constant(far))
    assert np.all(gradient(nll, far)[0].numpy() > 0)


def test_equation_7():
    predicted, target = draw(3, 4), draw(3, 4)
    squares = [sum((float(p) - float(z)) ** 2 for p, z in zip(*sample)) for sample in zip(predicted, target)]
    predicted, target = tf.constant(predicted), tf.constant(target)
    np.testing.assert_allclose(losses.posterior_loss(predicted, target), np.mean(squares), rtol=1e-5)
    euclidean = losses.posterior_loss(predicted, target, losses.EUCLIDEAN)
    np.testing.assert_allclose(euclidean, np.mean(np.sqrt(squares)), rtol=1e-5)
    with pytest.raises(ValueError, match="cosine"):
        losses.posterior_loss(predicted, target, "cosine")


def test_noise_of_the_target_leaves_the_gradient_of_the_squared_norm_alone():
    """Equation 7 takes samples of z_y; their mean gradient is that of their mean."""
    predicted, noise = draw(1, 4), draw(100, 4)
    one_by_one = [gradient(lambda p, z=z: losses.posterior_loss(p, z), predicted)[0] for z in noise[:, None]]
    noisy = np.mean(one_by_one, axis=0)
    clean = gradient(lambda p: losses.posterior_loss(p, tf.constant(noise.mean(axis=0)[None])), predicted)[0]
    np.testing.assert_allclose(noisy, clean, atol=1e-5)


def test_equation_8():
    synthetic, real = draw(2, 3, 3, 4), draw(2, 3, 3, 4)
    expected = np.mean([abs(float(s) - float(r)) for s, r in zip(synthetic.ravel(), real.ravel())])
    actual = losses.feature_matching_loss(tf.constant(synthetic), tf.constant(real))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("repeats", [(2, 1, 1, 1), (1, 2, 3, 1), (1, 1, 1, 2)])
def test_depth_terms_do_not_depend_on_the_sizes(repeats):
    """All are means; so the lambdas hold for every image size."""
    latent, other, image, made = draw(2, 3, 3, 4), draw(2, 3, 3, 4), draw(2, 6, 6, 1), draw(2, 6, 6, 1)

    def terms(change):
        z, m, x, g = (tf.constant(change(value)) for value in (latent, other, image, made))
        vae, mapping = losses.depth_vae_loss(z, g, x), losses.mapping_loss(m, z, g, x, g)
        matching, adversarial = losses.feature_matching_loss(z, m), losses.gan_discriminator_loss(x, g)
        return [*vae.values(), *mapping.values(), matching, adversarial]

    np.testing.assert_allclose(terms(lambda value: np.tile(value, repeats)), terms(lambda value: value), rtol=1e-5)


def test_pose_terms_sum_over_coordinates_and_average_over_the_batch():
    mean, stddev = draw(2, 4), np.exp(draw(2, 4))
    joints, reconstruction = draw(2, 5, 3), draw(2, 5, 3)

    def terms(times, copies):
        m, s = (np.tile(value, (copies, times)) for value in (mean, stddev))
        y, r = (tf.constant(np.tile(value, (copies, times, 1))) for value in (joints, reconstruction))
        vae = losses.pose_vae_loss(losses.pose_posterior(m, s), r, y)
        return np.array([vae["kl"], vae["nll"], losses.posterior_loss(tf.constant(m), tf.constant(s))])

    np.testing.assert_allclose(terms(3, 1), 3 * terms(1, 1), rtol=1e-5)
    np.testing.assert_allclose(terms(1, 3), terms(1, 1), rtol=1e-5)


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_sure_discriminators_give_finite_losses_and_gradients(logit):
    logits = np.full((1, 2, 2, 1), logit, np.float32)
    np.testing.assert_allclose(losses.gan_generator_loss(tf.constant(logits)), max(0.0, -logit))
    np.testing.assert_allclose(losses.gan_discriminator_loss(None, tf.constant(logits)), max(0.0, logit))
    for part in (
        *gradient(losses.gan_generator_loss, logits),
        *gradient(losses.gan_discriminator_loss, logits, -logits),
    ):
        assert np.all(np.isfinite(part))
    # A fooled discriminator leaves the generator alone; a sure one pulls with full force.
    np.testing.assert_allclose(gradient(losses.gan_generator_loss, logits)[0], -0.25 if logit < 0 else 0.0, atol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, b: losses.posterior_loss(a, b),
        lambda a, b: losses.posterior_loss(a, b, losses.EUCLIDEAN),
        lambda a, b: losses.feature_matching_loss(a, b),
        lambda a, b: losses.depth_vae_loss(a, a, b)["nll"],
        lambda a, b: losses.mapping_loss(a, b, a, b, a)["distance"],
    ],
)
def test_gradients_at_no_distance_are_finite(loss):
    same = draw(2, 4)
    for part in gradient(loss, same, same):
        np.testing.assert_allclose(part, 0.0, atol=1.0)


def test_far_and_narrow_posteriors_have_finite_divergences():
    mean, stddev = np.full((1, 2), 1e4, np.float32), np.full((1, 2), math.exp(-10.0), np.float32)

    def kl(mean, stddev):
        joints = tf.zeros((1, 1, 3))
        return losses.pose_vae_loss(losses.pose_posterior(mean, stddev), joints, joints)["kl"]

    expected = 2 * 0.5 * (math.exp(-20.0) + 1e8 - 1 + 20.0)
    np.testing.assert_allclose(kl(tf.constant(mean), tf.constant(stddev)), expected, rtol=1e-5)
    assert all(np.all(np.isfinite(part)) for part in gradient(kl, mean, stddev))


def test_shapes_that_differ_are_refused():
    latent, image = tf.zeros((2, 3, 3, 4)), tf.zeros((2, 6, 6, 1))
    other_latent, other_image = tf.zeros((2, 3, 3, 5)), tf.zeros((1, 6, 6, 1))
    posterior = losses.pose_posterior(tf.zeros((2, 4)), tf.ones((2, 4)))
    for loss, arguments in (
        (losses.pose_vae_loss, (posterior, tf.zeros((2, 5, 3)), tf.zeros((2, 4, 3)))),
        (losses.depth_vae_loss, (latent, image, other_image)),
        (losses.cycle_loss, (latent, image, other_image)),
        (losses.mapping_loss, (latent, other_latent, image, image, image)),
        (losses.mapping_loss, (latent, latent, image, other_image, image)),
        (losses.posterior_loss, (tf.zeros((2, 4)), tf.zeros((2, 5)))),
        (losses.feature_matching_loss, (latent, other_latent)),
    ):
        with pytest.raises(ValueError, match="incompatible"):
            loss(*arguments)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("eq1_pose_kl", "lambda_0"),
        ("eq1_pose_nll", "lambda_1"),
        ("eq3_vae_synthetic_kl", "lambda_2"),
        ("eq3_vae_real_nll", "lambda_3"),
        ("eq4_gan_real_generator", "lambda_4"),
        ("eq4_gan_synthetic_discriminator", "lambda_4"),
        ("eq5_cycle_real_kl", "lambda_2"),
        ("eq5_cycle_synthetic_nll", "lambda_3"),
        ("eq6_mapping_real_distance", "lambda_5"),
        ("eq6_mapping_synthetic_nll", "lambda_6"),
        ("eq6_mapping_real_generator", "lambda_4"),
        ("eq6_mapping_synthetic_discriminator", "lambda_4"),
        ("eq7_posterior_real_regression", "lambda_7"),
    ],
)
def test_terms_have_the_papers_weights(name, field):
    weights = dataclasses.replace(LossWeights(), **{field: 0.123})
    assert losses.term_weight(name, weights) == 0.123
    np.testing.assert_allclose(losses.weighted_sum({name: tf.constant(2.0)}, weights), 0.246)


def test_lambda_8_is_the_stages():
    terms = {"eq8_features_real_matching": tf.constant(2.0), "eq8_features_synthetic_matching": tf.constant(3.0)}
    np.testing.assert_allclose(losses.weighted_sum(terms, LossWeights(), 0.5), 2.5)
    with pytest.raises(ValueError, match="eq8_features_real_matching.* needs lambda_8"):
        losses.weighted_sum(terms, LossWeights())


@pytest.mark.parametrize("name", ["eq9_other_kl", "eq3_vae_real_distance", "total"])
def test_a_term_of_no_equation_is_refused(name):
    with pytest.raises(KeyError):
        losses.term_weight(name, LossWeights())


def test_the_preset_paper_has_the_papers_lambdas():
    """Section 5."""
    w = PRESETS["paper"].weights
    assert w.lambda_0 == w.lambda_2 == 0.1
    assert w.lambda_1 == w.lambda_3 == w.lambda_5 == 100
    assert w.lambda_4 == w.lambda_7 == 10
    assert (w.lambda_6, w.lambda_8_depth, w.lambda_8_posterior) == (10000, 0.0001, 1)
