"""The objective: one function per equation, 1 to 8; section 3.3 applies the same functions to labelled real frames.

Functions return raw, unweighted terms, each of which names its lambda; `weighted_sum` applies them. Every term is
averaged over the batch. Pose terms are sums over the 3J coordinates and the latents; depth terms are means over pixels
and channels, likelihood and KL alike, so that the weights hold for every image size.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf
import tensorflow_probability as tfp

from lsps_tf.config import LossWeights

tfd = tfp.distributions
# A pixel sees something where its depth is below this, in half cubes. The background is 1, and a generator's nearly 1.
SEEN = 0.9
_LOG_2 = 0.6931471805599453


@dataclasses.dataclass(frozen=True)
class Term:
    """A raw term of the objective.

    Attributes:
        value: a scalar, averaged over the batch and not weighted.
        weight: its lambda, by the name that `LossWeights` gives it.
    """

    value: tf.Tensor
    weight: str


Terms = dict[str, Term]


def pose_posterior(mean: tf.Tensor, stddev: tf.Tensor) -> tfd.MultivariateNormalDiag:
    """q(z_y|y) = N(mean, diag(stddev²)) of equation 1; both [B, Z]."""
    return tfd.MultivariateNormalDiag(mean, stddev)


def depth_posterior(mean: tf.Tensor) -> tfd.Normal:
    """q(z|x) = N(mean, I) of equation 3, as independent unit normals over mean's shape."""
    return tfd.Normal(mean, 1.0)


def pose_vae_loss(posterior: tfd.MultivariateNormalDiag, reconstruction: tf.Tensor, joints: tf.Tensor) -> Terms:
    """Equation 1: L_VAEy = lambda_0 KL(q(z_y|y) || N(0, I)) - lambda_1 E[log p(y|z_y)].

    The likelihood is Laplace with unit scale, as that of the depth, summed over the coordinates: an L1 distance asks
    for a few millimetres everywhere, where a squared one is content with its mean.

    Args:
        posterior: q(z_y|y), batch [B], event [Z].
        reconstruction: joints of a sample of the posterior, [B, ...], half cubes.
        joints: the encoded joints, the same shape.

    Returns:
        kl: summed over the latents; nll: summed over the coordinates.
    """
    reconstruction.shape.assert_is_compatible_with(joints.shape)
    mean, stddev = posterior.loc, posterior.stddev()
    kl = 0.5 * (tf.square(mean) + tf.square(stddev) - 1.0) - tf.math.log(stddev)
    return {
        "kl": Term(tf.reduce_mean(_sum_per_sample(kl)), "lambda_0"),
        "nll": Term(tf.reduce_mean(_sum_per_sample(_laplace_nll(reconstruction, joints))), "lambda_1"),
    }


def shared_latent_space_loss(
    generator_terms: Terms, discriminator_terms: Terms, weights: LossWeights
) -> tuple[tf.Tensor, tf.Tensor]:
    """Equation 2: min over M, P, E, G and max over D of L_VAE + L_GAN + L_CC + L_MAP + L_POS.

    Args:
        generator_terms: raw terms that M, E and G minimise, by their logged names.
        discriminator_terms: raw terms that D and P minimise.
        weights: the lambdas.

    Returns:
        The objectives of the generators' and of the discriminators' player, scalars, both to be minimised.
    """
    return weighted_sum(generator_terms, weights), weighted_sum(discriminator_terms, weights)


def depth_vae_loss(latent_mean: tf.Tensor, reconstruction: tf.Tensor, image: tf.Tensor) -> Terms:
    """Equation 3: L_VAE = lambda_2 KL(N(E(x), I) || N(0, I)) - lambda_3 E[log p(x|z)], of either domain.

    Args:
        latent_mean: E(x), [B, h, w, C].
        reconstruction: the generator's image of a sample of N(E(x), I), [B, S, S, 1].
        image: x, [B, S, S, 1].

    Returns:
        kl: mean over the latent's elements; nll: mean over pixels, Laplace with unit scale.
    """
    reconstruction.shape.assert_is_compatible_with(image.shape)
    return {
        "kl": Term(0.5 * tf.reduce_mean(tf.square(latent_mean)), "lambda_2"),
        "nll": Term(tf.reduce_mean(_laplace_nll(reconstruction, image)), "lambda_3"),
    }


def gan_discriminator_loss(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> Term:
    """Equation 4, D's side: -E[log D(x)] - E[log(1 - D(G(z)))], D = sigmoid(logits).

    Mean over the batch and over the map of logits, as stable cross-entropies of the logits.

    Args:
        real_logits: of images of D's own domain.
        fake_logits: of generated images.
    """
    fake = tf.reduce_mean(tf.nn.softplus(fake_logits))
    return Term(tf.reduce_mean(tf.nn.softplus(-real_logits)) + fake, "lambda_4")


def gan_generator_loss(fake_logits: tf.Tensor) -> Term:
    """Equation 4, G's side: -E[log D(G(z))], the non-saturating form of min E[log(1 - D(G(z)))].

    Goodfellow et al. (2014) give it for the generator's step: it has the same fixed point, and a gradient while the
    discriminator is sure. The authors' released code trains with it too.
    """
    return Term(_fooling(fake_logits), "lambda_4")


def keep_loss(translation: tf.Tensor, image: tf.Tensor) -> Term:
    """Keeps measured surfaces where they are; not in the paper: E[|G(E(x)) - x| where both see something].

    Both domains are metric depth, so a translation has no business moving what both see. Pixels that one alone sees are
    free, so that an arm or a hole can go.

    Args:
        translation: the other domain's image of x, [B, S, S, 1].
        image: x, [B, S, S, 1].

    Returns:
        The mean over all pixels, those that do not count as zero: a depth term like a likelihood.
    """
    translation.shape.assert_is_compatible_with(image.shape)
    both = (translation < SEEN) & (image < SEEN)
    return Term(tf.reduce_mean(tf.where(both, tf.abs(translation - image), 0.0)), "lambda_keep")


def cycle_loss(translated_mean: tf.Tensor, cycled: tf.Tensor, image: tf.Tensor) -> Terms:
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
) -> Terms:
    """Equation 6: L_MAP = lambda_5 E||M(z_y) - z||_2 - lambda_6 E[log p(x|M(z_y))] + lambda_4 E[log(1 - D(G(M(z_y))))].

    The distance is the squared 2-norm per element of the latent: a depth term is a mean, and the plain norm would
    weigh a pixel by all others' errors. The likelihood is raised. The last term is in the non-saturating form of
    `gan_generator_loss`, with a lambda of its own; the discriminator's side is `mapping_discriminator_loss`.

    Args:
        mapped: M(z_y), [B, h, w, C].
        latent: z, a sample of q(z|x) of the paired image, [B, h, w, C].
        rendering: G(M(z_y)), [B, S, S, 1].
        image: x, [B, S, S, 1].
        rendering_logits: D's of the rendering.

    Returns:
        distance, nll and generator.
    """
    mapped.shape.assert_is_compatible_with(latent.shape)
    rendering.shape.assert_is_compatible_with(image.shape)
    return {
        "distance": Term(tf.reduce_mean(tf.math.squared_difference(mapped, latent)), "lambda_5"),
        "nll": Term(tf.reduce_mean(_laplace_nll(rendering, image)), "lambda_6"),
        "generator": Term(_fooling(rendering_logits), "lambda_4_mapping"),
    }


def translated_rendering_loss(rendering: tf.Tensor, translation: tf.Tensor) -> Term:
    """What M's code is to become in the domain without labels; not in the paper: -E[log p(G_r(E_s(x))|M(z_y))].

    Equation 6 without labels never sees G_r, which draws holes into what M makes. The likelihood is that of equation 6.

    Args:
        rendering: G_r(M(z_y)) of a synthetic pose, [B, S, S, 1].
        translation: G_r(E_s(x)) of its image, the same shape.
    """
    rendering.shape.assert_is_compatible_with(translation.shape)
    return Term(-tf.reduce_mean(tfd.Laplace(rendering, 1.0).log_prob(translation)), "lambda_6_translated")


def mapping_discriminator_loss(rendering_logits: tf.Tensor) -> Term:
    """Equation 6, D's side: -E[log(1 - D(G(M(z_y))))]; M's renderings are further fakes of the same discriminator.

    Args:
        rendering_logits: D's of the rendering.
    """
    return Term(tf.reduce_mean(tf.nn.softplus(rendering_logits)), "lambda_4_mapping")


def posterior_loss(predicted: tf.Tensor, target: tf.Tensor, weight: str = "lambda_7") -> Term:
    """Equation 7: L_POS = lambda_7 E||P(x) - z_y||_2.

    The squares are summed over the latents, which is a unit normal's log-likelihood up to constants: the noise of the
    sampled target then leaves the expected gradient alone, which the plain norm's would not.

    Args:
        predicted: P(x), [B, Z].
        target: z_y, a sample of q(z_y|y), [B, Z].
        weight: the lambda of these images; those that are not in the paper have their own.
    """
    predicted.shape.assert_is_compatible_with(target.shape)
    squares = tf.reduce_sum(tf.math.squared_difference(predicted, target), axis=-1)
    return Term(tf.reduce_mean(squares), weight)


def joint_distance_loss(predicted: tf.Tensor, target: tf.Tensor) -> Term:
    """Mean distance of decoded joints G_y(P(x)) [B, J, 3] from the true ones, half cubes; not in the paper.

    Squares of latents weigh all of them alike, however little some move the joints.
    """
    predicted.shape.assert_is_compatible_with(target.shape)
    squares = tf.reduce_sum(tf.math.squared_difference(predicted, target), axis=-1)
    # Where the distance is 0 the root has no gradient.
    return Term(tf.reduce_mean(tf.sqrt(squares + 1e-8)), "lambda_7_joints")


def vote_loss(weights: tf.Tensor, places: tf.Tensor, target: tf.Tensor) -> Term:
    """Mean distance of the votes for a joint from it, as much as each counts, half cubes; not in the paper.

    The weighted mean may be right where its votes lie far apart. So each place has to be right by itself.

    Args:
        weights: [B, N, J], of sum 1 per joint.
        places: [B, N, J, 3].
        target: [B, J, 3].
    """
    squares = tf.reduce_sum(tf.math.squared_difference(places, target[:, None]), axis=-1)
    distance = tf.reduce_sum(weights * tf.sqrt(squares + 1e-8), axis=1)
    return Term(tf.reduce_mean(distance), "lambda_7_votes")


def feature_matching_loss(synthetic_features: tf.Tensor, real_features: tf.Tensor, weight: str) -> Term:
    """Equation 8, one term of L_FM: lambda_8 ||D_s,phi(x^(->s)) - D_r,phi(x^(->r))||_1.

    Args:
        synthetic_features: D_s's penultimate activations of images made by G_s, [B, h, w, C].
        real_features: D_r's of the images made by G_r from the same latents, the same shape.
        weight: "lambda_8_depth" or "lambda_8_posterior": the lambda has a value per stage.

    Returns:
        Mean of the absolute differences over all elements: a depth term, so independent of the sizes.
    """
    synthetic_features.shape.assert_is_compatible_with(real_features.shape)
    return Term(tf.reduce_mean(tf.abs(synthetic_features - real_features)), weight)


def weighted_sum(terms: Terms, weights: LossWeights) -> tf.Tensor:
    """The sum of raw terms, each times its lambda; AttributeError for a lambda that `LossWeights` does not have."""
    return tf.add_n([getattr(weights, term.weight) * term.value for term in terms.values()])


def _laplace_nll(made: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """-log p of each element, Laplace with unit scale around what was made."""
    return tf.abs(made - target) + _LOG_2


def _fooling(fake_logits: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.softplus(-fake_logits))


def _sum_per_sample(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values, axis=tuple(range(1, values.shape.rank)))
