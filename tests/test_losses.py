"""Equations 1 to 8 against loops and integrals written from the paper, and at extremes."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate

from lsps_tf import losses
from lsps_tf.config import LossWeights
from lsps_tf.presets import PRESETS

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


def values(terms):
    """Raw terms without their lambdas."""
    return {name: term.value for name, term in terms.items()}


def gradient(function, *inputs):
    """Of a loss's term, or of a scalar."""
    inputs = [tf.constant(value, tf.float32) for value in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(*inputs)
        value = value.value if isinstance(value, losses.Term) else value
    return tape.gradient(value, inputs)


def test_equation_1():
    mean, stddev = draw(3, 4), np.exp(draw(3, 4, scale=0.5))
    joints, reconstruction = draw(3, 5, 3), draw(3, 5, 3)
    posterior = losses.pose_posterior(mean, stddev)
    terms = values(losses.pose_vae_loss(posterior, tf.constant(reconstruction), tf.constant(joints)))
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


def test_equation_2_is_both_players_sums():
    weights = LossWeights(lambda_2=2.0, lambda_4=3.0, lambda_7=5.0, lambda_8_depth=7.0)
    generator = {"a": losses.Term(tf.constant(10.0), "lambda_2"), "b": losses.Term(tf.constant(100.0), "lambda_4")}
    discriminator = {
        "c": losses.Term(tf.constant(1.0), "lambda_4"),
        "d": losses.Term(tf.constant(10.0), "lambda_7"),
        "e": losses.Term(tf.constant(100.0), "lambda_8_depth"),
    }
    totals = losses.shared_latent_space_loss(generator, discriminator, weights)
    assert [float(total) for total in totals] == [2 * 10 + 3 * 100, 3 * 1 + 5 * 10 + 7 * 100]


@pytest.mark.parametrize("loss", [losses.depth_vae_loss, losses.cycle_loss])
def test_equations_3_and_5(loss):
    mean, image, reconstruction = draw(2, 3, 3, 4), draw(2, 6, 6, 1), draw(2, 6, 6, 1)
    terms = values(loss(tf.constant(mean), tf.constant(reconstruction), tf.constant(image)))
    kl = np.mean([kl_by_integral(m, 1.0) for m in mean.ravel()])
    nll = np.mean([negative_log_laplace(x, r) for x, r in zip(image.ravel(), reconstruction.ravel())])
    np.testing.assert_allclose(terms["kl"], kl, rtol=1e-5)
    np.testing.assert_allclose(terms["nll"], nll, rtol=1e-5)


def test_equation_4():
    own, fake = draw(2, 3, 3, 1, scale=2.0), draw(2, 3, 3, 1, scale=2.0)
    printed = np.mean(np.log(sigmoid(own))) + np.mean(np.log(1 - sigmoid(fake)))
    np.testing.assert_allclose(losses.gan_discriminator_loss(own, fake).value, -printed, rtol=1e-5)
    np.testing.assert_allclose(losses.gan_generator_loss(fake).value, -np.mean(np.log(sigmoid(fake))), rtol=1e-5)


def test_the_players_of_equation_4_pull_the_logits_apart():
    own, fake = draw(2, 3, 3, 1), draw(2, 3, 3, 1)
    by_own, by_fake = gradient(losses.gan_discriminator_loss, own, fake)
    assert np.all(by_own.numpy() < 0) and np.all(by_fake.numpy() > 0)
    assert np.all(gradient(losses.gan_generator_loss, fake)[0].numpy() < 0)


def test_equation_6():
    mapped, latent = draw(2, 3, 3, 4), draw(2, 3, 3, 4)
    rendering, image, logits = draw(2, 6, 6, 1), draw(2, 6, 6, 1), draw(2, 3, 3, 1)
    terms = values(losses.mapping_loss(*map(tf.constant, (mapped, latent, rendering, image, logits))))
    distance = np.mean([(float(m) - float(z)) ** 2 for m, z in zip(mapped.ravel(), latent.ravel())])
    nll = np.mean([negative_log_laplace(x, r) for x, r in zip(image.ravel(), rendering.ravel())])
    np.testing.assert_allclose(terms["distance"], distance, rtol=1e-5)
    np.testing.assert_allclose(terms["nll"], nll, rtol=1e-5)
    np.testing.assert_allclose(terms["generator"], -np.mean(np.log(sigmoid(logits))), rtol=1e-5)
    discriminator = -np.mean(np.log(1 - sigmoid(logits)))
    np.testing.assert_allclose(losses.mapping_discriminator_loss(logits).value, discriminator, rtol=1e-5)


def test_the_likelihood_of_equation_6_is_raised():
    image, far = np.zeros((1, 4, 4, 1), np.float32), np.full((1, 4, 4, 1), 0.5, np.float32)
    latent, logits = np.zeros((1, 1, 1, 1), np.float32), np.zeros((1, 1, 1, 1), np.float32)

    def nll(rendering):
        terms = losses.mapping_loss(*map(tf.constant, (latent, latent)), rendering, image, tf.constant(logits))
        return terms["nll"].value

    assert nll(tf.constant(image)) < nll(tf.constant(far))
    assert np.all(gradient(nll, far)[0].numpy() > 0)


def test_equation_7():
    predicted, target = draw(3, 4), draw(3, 4)
    squares = [sum((float(p) - float(z)) ** 2 for p, z in zip(*sample)) for sample in zip(predicted, target)]
    predicted, target = tf.constant(predicted), tf.constant(target)
    np.testing.assert_allclose(losses.posterior_loss(predicted, target).value, np.mean(squares), rtol=1e-5)


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
    actual = losses.feature_matching_loss(tf.constant(synthetic), tf.constant(real), "lambda_8_depth")
    np.testing.assert_allclose(actual.value, expected, rtol=1e-5)


@pytest.mark.parametrize("repeats", [(2, 1, 1, 1), (1, 2, 3, 1), (1, 1, 1, 2)])
def test_depth_terms_do_not_depend_on_the_sizes(repeats):
    """All are means; so the lambdas hold for every image size."""
    latent, other, image, made = draw(2, 3, 3, 4), draw(2, 3, 3, 4), draw(2, 6, 6, 1), draw(2, 6, 6, 1)

    def terms(change):
        z, m, x, g = (tf.constant(change(value)) for value in (latent, other, image, made))
        vae, mapping = losses.depth_vae_loss(z, g, x), losses.mapping_loss(m, z, g, x, g)
        matching, adversarial = (
            losses.feature_matching_loss(z, m, "lambda_8_depth"),
            losses.gan_discriminator_loss(x, g),
        )
        return [term.value for term in (*vae.values(), *mapping.values(), matching, adversarial)]

    np.testing.assert_allclose(terms(lambda value: np.tile(value, repeats)), terms(lambda value: value), rtol=1e-5)


def test_pose_terms_sum_over_coordinates_and_average_over_the_batch():
    mean, stddev = draw(2, 4), np.exp(draw(2, 4))
    joints, reconstruction = draw(2, 5, 3), draw(2, 5, 3)

    def terms(times, copies):
        m, s = (np.tile(value, (copies, times)) for value in (mean, stddev))
        y, r = (tf.constant(np.tile(value, (copies, times, 1))) for value in (joints, reconstruction))
        vae = losses.pose_vae_loss(losses.pose_posterior(m, s), r, y)
        posterior = losses.posterior_loss(tf.constant(m), tf.constant(s))
        return np.array([term.value for term in (vae["kl"], vae["nll"], posterior)])

    np.testing.assert_allclose(terms(3, 1), 3 * terms(1, 1), rtol=1e-5)
    np.testing.assert_allclose(terms(1, 3), terms(1, 1), rtol=1e-5)


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_sure_discriminators_give_finite_losses_and_gradients(logit):
    logits = np.full((1, 2, 2, 1), logit, np.float32)
    np.testing.assert_allclose(losses.gan_generator_loss(tf.constant(logits)).value, max(0.0, -logit))
    np.testing.assert_allclose(losses.mapping_discriminator_loss(tf.constant(logits)).value, max(0.0, logit))
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
        lambda a, b: losses.feature_matching_loss(a, b, "lambda_8_depth"),
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
        return losses.pose_vae_loss(losses.pose_posterior(mean, stddev), joints, joints)["kl"].value

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
        (losses.feature_matching_loss, (latent, other_latent, "lambda_8_depth")),
    ):
        with pytest.raises(ValueError, match="incompatible"):
            loss(*arguments)


def test_terms_name_the_papers_weights():
    latent, image, logits = tf.zeros((1, 1, 1, 2)), tf.zeros((1, 4, 4, 1)), tf.zeros((1, 1, 1, 1))
    pose = losses.pose_posterior(tf.zeros((1, 2)), tf.ones((1, 2)))
    joints, predicted = tf.zeros((1, 2, 3)), tf.zeros((1, 2))
    weights = {
        "1": losses.pose_vae_loss(pose, joints, joints),
        "3": losses.depth_vae_loss(latent, image, image),
        "4": {"generator": losses.gan_generator_loss(logits), "judge": losses.gan_discriminator_loss(logits, logits)},
        "5": losses.cycle_loss(latent, image, image),
        "6": {**losses.mapping_loss(latent, latent, image, image, logits)},
        "6 judge": {"judge": losses.mapping_discriminator_loss(logits)},
        "7": {"paper": losses.posterior_loss(predicted, predicted)},
        "7 made": {"made": losses.posterior_loss(predicted, predicted, "lambda_7_made")},
    }
    assert {equation: {name: term.weight for name, term in terms.items()} for equation, terms in weights.items()} == {
        "1": {"kl": "lambda_0", "nll": "lambda_1"},
        "3": {"kl": "lambda_2", "nll": "lambda_3"},
        "4": {"generator": "lambda_4", "judge": "lambda_4"},
        "5": {"kl": "lambda_2", "nll": "lambda_3"},
        "6": {"distance": "lambda_5", "nll": "lambda_6", "generator": "lambda_4_mapping"},
        "6 judge": {"judge": "lambda_4_mapping"},
        "7": {"paper": "lambda_7"},
        "7 made": {"made": "lambda_7_made"},
    }


def test_a_weighted_sum_takes_each_terms_lambda_whatever_its_name():
    terms = {
        "eq3_vae_real_kl": losses.Term(tf.constant(2.0), "lambda_8_depth"),
        "total": losses.Term(tf.constant(3.0), "lambda_0"),
    }
    np.testing.assert_allclose(losses.weighted_sum(terms, LossWeights(lambda_8_depth=0.5, lambda_0=10.0)), 31.0)
    with pytest.raises(AttributeError, match="lambda_9"):
        losses.weighted_sum({"other": losses.Term(tf.constant(1.0), "lambda_9")}, LossWeights())


def test_the_preset_paper_has_the_papers_lambdas():
    """Section 5."""
    w = PRESETS["paper"].weights
    assert w.lambda_0 == w.lambda_2 == 0.1
    assert w.lambda_1 == w.lambda_3 == w.lambda_5 == 100
    assert w.lambda_4 == w.lambda_4_mapping == w.lambda_7 == 10
    assert (w.mapping_in_depth, w.lambda_keep, PRESETS["paper"].network.mapping) == (1, 0, "code")
    assert (w.lambda_6, w.lambda_8_depth, w.lambda_8_posterior) == (10000, 0.0001, 1)


def test_keeping_surfaces_equals_a_loop_over_pixels():
    image, translation = RANDOM.uniform(-1, 1.2, (2, 2, 4, 4, 1)).clip(-1, 1).astype(np.float32)
    # What one alone sees, what neither sees, and what lies at the bound.
    image[0, 0, :3, 0] = (1.0, 1.0, 0.9)
    translation[0, 0, :3, 0] = (-0.5, 0.95, 0.2)
    total = 0.0
    for x, made in zip(image.ravel(), translation.ravel()):
        if x < np.float32(0.9) and made < np.float32(0.9):
            total += abs(float(x) - float(made))
    term = losses.keep_loss(tf.constant(translation), tf.constant(image))
    np.testing.assert_allclose(term.value, total / image.size, rtol=1e-5)
    assert term.weight == "lambda_keep" and total > 0.0
    (slope, _) = gradient(losses.keep_loss, translation, image)
    assert np.all(slope[0, 0, :3] == 0.0) and np.any(slope)


def test_images_of_background_keep_nothing():
    term = losses.keep_loss(tf.ones((1, 4, 4, 1)), tf.zeros((1, 4, 4, 1)))
    assert float(term.value) == 0.0
