"""The objective: one function per equation, 1 to 8; section 3.3 applies the same functions to labelled real frames.

Functions return raw, unweighted terms; `weighted_sum` applies the paper's lambdas. Every term is averaged over the
batch. Pose terms are sums over the 3J coordinates and the latents; depth terms are means over pixels and channels,
likelihood and KL alike, so that the weights hold for every image size.
"""

from __future__ import annotations

import tensorflow as tf
import tensorflow_probability as tfp

from lsps_tf.config import LossWeights

tfd = tfp.distributions

SQUARED, EUCLIDEAN = "squared", "euclidean"
# Where the gradient of a norm has no limit: below any distance that training reaches.
NORM_EPSILON = 1e-12

_LAMBDAS = {
    ("eq1", "kl"): "lambda_0",
    ("eq1", "nll"): "lambda_1",
    ("eq3", "kl"): "lambda_2",
    ("eq3", "nll"): "lambda_3",
    ("eq4", "generator"): "lambda_4",
    ("eq4", "discriminator"): "lambda_4",
    ("eq5", "kl"): "lambda_2",
    ("eq5", "nll"): "lambda_3",
    ("eq6", "distance"): "lambda_5",
    ("eq6", "nll"): "lambda_6",
    ("eq6", "generator"): "lambda_4_mapping",
    ("eq6", "discriminator"): "lambda_4_mapping",
    ("eq7", "regression"): "lambda_7",
    ("eq7", "made"): "lambda_7_made",
    ("eq7", "randomized"): "lambda_7_randomized",
    ("eq8", "matching"): "lambda_8",
}


def pose_posterior(mean: tf.Tensor, stddev: tf.Tensor) -> tfd.MultivariateNormalDiag:
    """q(z_y|y) = N(mean, diag(stddev²)) of equation 1; both [B, Z]."""
    return tfd.MultivariateNormalDiag(mean, stddev)


def depth_posterior(mean: tf.Tensor) -> tfd.Normal:
    """q(z|x) = N(mean, I) of equation 3, as independent unit normals over mean's shape."""
    return tfd.Normal(mean, 1.0)


def pose_vae_loss(
    posterior: tfd.MultivariateNormalDiag, reconstruction: tf.Tensor, joints: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Equation 1: L_VAEy = lambda_0 KL(q(z_y|y) || N(0, I)) - lambda_1 E[log p(y|z_y)].

    The likelihood is Laplace with unit scale, as that of the depth, summed over the coordinates: an L1 distance asks
    for a few millimetres everywhere, where a squared one is content with its mean.

    Args:
        posterior: q(z_y|y), batch [B], event [Z].
        reconstruction: joints of a sample of the posterior, [B, ...], half cubes.
        joints: the encoded joints, the same shape.

    Returns:
        kl: summed over the latents; nll: summed over the coordinates. Scalars.
    """
    reconstruction.shape.assert_is_compatible_with(joints.shape)
    prior = tfd.MultivariateNormalDiag(tf.zeros_like(posterior.loc), tf.ones_like(posterior.loc))
    log_likelihood = tfd.Laplace(reconstruction, 1.0).log_prob(joints)
    return {
        "kl": tf.reduce_mean(tfd.kl_divergence(posterior, prior)),
        "nll": -tf.reduce_mean(_sum_per_sample(log_likelihood)),
    }


def shared_latent_space_loss(
    generator_terms: dict[str, tf.Tensor], discriminator_terms: dict[str, tf.Tensor], weights: LossWeights
) -> tuple[tf.Tensor, tf.Tensor]:
    """Equation 2: min over M, P, E, G and max over D of L_VAE + L_GAN + L_CC + L_MAP + L_POS.

    Args:
        generator_terms: raw terms that M, E and G minimise, by their logged names.
        discriminator_terms: raw terms that D and P minimise.
        weights: the lambdas; lambda_8 is the depth stage's.

    Returns:
        The objectives of the generators' and of the discriminators' player, scalars, both to be minimised.
    """
    lambda_8 = weights.lambda_8_depth
    return weighted_sum(generator_terms, weights, lambda_8), weighted_sum(discriminator_terms, weights, lambda_8)


def depth_vae_loss(latent_mean: tf.Tensor, reconstruction: tf.Tensor, image: tf.Tensor) -> dict[str, tf.Tensor]:
    """Equation 3: L_VAE = lambda_2 KL(N(E(x), I) || N(0, I)) - lambda_3 E[log p(x|z)], of either domain.

    Args:
        latent_mean: E(x), [B, h, w, C].
        reconstruction: the generator's image of a sample of N(E(x), I), [B, S, S, 1].
        image: x, [B, S, S, 1].

    Returns:
        kl: mean over the latent's elements; nll: mean over pixels, Laplace with unit scale. Scalars.
    """
    reconstruction.shape.assert_is_compatible_with(image.shape)
    return {
        "kl": tf.reduce_mean(tfd.kl_divergence(depth_posterior(latent_mean), tfd.Normal(0.0, 1.0))),
        "nll": -tf.reduce_mean(tfd.Laplace(reconstruction, 1.0).log_prob(image)),
    }


def gan_discriminator_loss(real_logits: tf.Tensor | None, fake_logits: tf.Tensor) -> tf.Tensor:
    """Equation 4, D's side: -E[log D(x)] - E[log(1 - D(G(z)))], D = sigmoid(logits).

    Mean over the batch and over the map of logits, as stable cross-entropies of the logits.

    Args:
        real_logits: of images of D's own domain; None leaves their term out, for equation 6, whose renderings are
            further fakes of the same discriminator.
        fake_logits: of generated images.
    """
    fake = tf.reduce_mean(tf.nn.softplus(fake_logits))
    return fake if real_logits is None else tf.reduce_mean(tf.nn.softplus(-real_logits)) + fake


def gan_generator_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """Equation 4, G's side: -E[log D(G(z))], the non-saturating form of min E[log(1 - D(G(z)))].

    Goodfellow et al. (2014) give it for the generator's step: it has the same fixed point, and a gradient while the
    discriminator is sure. The authors' released code trains with it too.
    """
    return tf.reduce_mean(tf.nn.softplus(-fake_logits))


def cycle_loss(translated_mean: tf.Tensor, cycled: tf.Tensor, image: tf.Tensor) -> dict[str, tf.Tensor]:
    """Equation 5: L_CC = lambda_2 KL(q(z|x^(s->r)) || N(0, I)) - lambda_3 E[log p(x|z)], of either domain.

    Args:
        translated_mean: the other domain's encoding of the translated image, [B, h, w, C].
        cycled: the own generator's image of a sample of N(translated_mean, I), [B, S, S, 1].
        image: x before both translations, [B, S, S, 1].

    Returns:
        kl and nll, reduced as in equation 3.
    """
    return depth_vae_loss(translated_mean, cycled, image)


def mapping_loss(
    mapped: tf.Tensor, latent: tf.Tensor, rendering: tf.Tensor, image: tf.Tensor, rendering_logits: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Equation 6: L_MAP = lambda_5 E||M(z_y) - z||_2 - lambda_6 E[log p(x|M(z_y))] + lambda_4 E[log(1 - D(G(M(z_y))))].

    The distance is the squared 2-norm per element of the latent: a depth term is a mean, and the plain norm would
    weigh a pixel by all others' errors. The likelihood is raised. The last term is in the non-saturating form of
    `gan_generator_loss`; the discriminator's side is `gan_discriminator_loss` without real logits.

    Args:
        mapped: M(z_y), [B, h, w, C].
        latent: z, a sample of q(z|x) of the paired image, [B, h, w, C].
        rendering: G(M(z_y)), [B, S, S, 1].
        image: x, [B, S, S, 1].
        rendering_logits: D's of the rendering.

    Returns:
        distance, nll and generator: scalars.
    """
    mapped.shape.assert_is_compatible_with(latent.shape)
    rendering.shape.assert_is_compatible_with(image.shape)
    return {
        "distance": tf.reduce_mean(tf.math.squared_difference(mapped, latent)),
        "nll": -tf.reduce_mean(tfd.Laplace(rendering, 1.0).log_prob(image)),
        "generator": gan_generator_loss(rendering_logits),
    }


def posterior_loss(predicted: tf.Tensor, target: tf.Tensor, norm: str = SQUARED) -> tf.Tensor:
    """Equation 7: L_POS = lambda_7 E||P(x) - z_y||_2.

    Args:
        predicted: P(x), [B, Z].
        target: z_y, a sample of q(z_y|y), [B, Z].
        norm: "squared" sums the squares over the latents, a unit normal's log-likelihood up to constants; the noise of
            the sampled target then leaves the expected gradient alone. "euclidean" is the norm as it is printed.
    """
    predicted.shape.assert_is_compatible_with(target.shape)
    squares = tf.reduce_sum(tf.math.squared_difference(predicted, target), axis=-1)
    if norm == SQUARED:
        return tf.reduce_mean(squares)
    if norm == EUCLIDEAN:
        return tf.reduce_mean(tf.sqrt(squares + NORM_EPSILON))
    raise ValueError(f"unknown norm '{norm}'; one of '{SQUARED}' and '{EUCLIDEAN}'")


def feature_matching_loss(synthetic_features: tf.Tensor, real_features: tf.Tensor) -> tf.Tensor:
    """Equation 8, one term of L_FM: lambda_8 ||D_s,phi(x^(->s)) - D_r,phi(x^(->r))||_1.

    Args:
        synthetic_features: D_s's penultimate activations of images made by G_s, [B, h, w, C].
        real_features: D_r's of the images made by G_r from the same latents, the same shape.

    Returns:
        Mean of the absolute differences over all elements: a depth term, so independent of the sizes.
    """
    synthetic_features.shape.assert_is_compatible_with(real_features.shape)
    return tf.reduce_mean(tf.abs(synthetic_features - real_features))


def weighted_sum(terms: dict[str, tf.Tensor], weights: LossWeights, lambda_8: float | None = None) -> tf.Tensor:
    """The sum of raw terms, each times its lambda.

    Args:
        terms: scalars by name; a name starts with its equation and ends with its kind, as in "eq3_vae_real_kl".
        weights: the lambdas.
        lambda_8: the stage's value of it, needed where there are matching terms.
    """
    return tf.add_n([term_weight(name, weights, lambda_8) * term for name, term in terms.items()])


def term_weight(name: str, weights: LossWeights, lambda_8: float | None = None) -> float:
    """The lambda of the term `name`; KeyError for a name of no equation, ValueError for a missing lambda_8."""
    parts = name.split("_")
    field = _LAMBDAS[parts[0], parts[-1]]
    if field != "lambda_8":
        return getattr(weights, field)
    if lambda_8 is None:
        raise ValueError(f"the term '{name}' needs lambda_8, whose value depends on the stage")
    return lambda_8


def _sum_per_sample(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values, axis=tuple(range(1, values.shape.rank)))
