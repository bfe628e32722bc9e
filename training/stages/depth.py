"""The depth stage: the shared latent space of equation 2, with the mapping M."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from lsps_tf import losses, replicas
from lsps_tf.config import LossWeights
from lsps_tf.losses import Terms
from lsps_tf.networks import DOMAINS, Networks, apply_together
from training.stages.base import (
    DOMAIN_OF,
    PAIRS,
    Batch,
    Tensors,
    TwoPlayerStage,
    by_pair,
    noise_seeds,
    prefixed,
    sample_pose,
)

OTHER = {"synthetic": "real", "real": "synthetic"}
_NOISES = (
    *(f"latent_{name}" for name in DOMAIN_OF),
    *(f"pose_{domain}" for domain in DOMAINS),
    *(f"cycle_{domain}" for domain in DOMAINS),
)
# The source of what M makes of a pose, beside the domains whose images are translated.
POSE = "pose"
_DOMAINS = {**DOMAIN_OF, **{(source, domain): domain for source in (*DOMAINS, POSE) for domain in DOMAINS}}


class DepthStage(TwoPlayerStage):
    """Trains all but the pose VAE with equation 2.

    The generators' player moves E_s, E_r, G_s, G_r and M. It minimises equations 3, 4, 5 and 6.

    The discriminators' player moves D_s, D_r and P. It minimises its side of equations 4 and 6, where M's renderings
    are fakes too, and L_POS(D_s, D_r, P), equations 7 and 8. So the regression shapes the discriminators' layers, and E
    and G get no gradient from the feature matching. A lambda_8_depth of 0 skips the matching's share of the work.

    E_y is frozen.

    With `average_decay` above 0 the stage ends with the moving average of its weights (`averages`).

    Without `cycle`, equation 5 is left out. Where equation 6 has no weight, M takes no part. With "labelled" in the
    batch, L_MAP_r and L_POS_r of section 3.3 join in.

    One forward pass serves both players: the inner tape starts at the discriminators, so their gradient ends at the
    images, and layers that the domains share run once for both.
    """

    def __init__(
        self,
        networks: Networks,
        lambdas: LossWeights,
        prepare: Callable[[Any], Batch] | None = None,
        cycle: bool = True,
        average_decay: float = 0.0,
    ):
        maps = bool(lambdas.lambda_4_mapping or lambdas.lambda_5 or lambdas.lambda_6)
        left_out = set() if maps else {variable.ref() for variable in networks.mapping_variables()}
        generators = [v for v in networks.generator_variables(*DOMAINS) if v.ref() not in left_out]
        discriminators = networks.discriminator_variables(*DOMAINS)
        super().__init__(networks, lambdas, generators, discriminators, prepare, average_decay)
        self.cycle, self.maps = cycle, maps

    def forward(self, batch: Batch) -> dict[str, Any]:
        """What the encoders, the generators and M make of a batch.

        Returns:
            `image` x, `mean` and `latent` of q(z|x), by batch name; `pose_latent` z_y and `mapped` M(z_y), by domain
            of the pair; images `made[source][domain]`, where the source is a domain's image or the "pose" of its pair;
            `cycle_mean`, encodings of the translated images, and `cycle`, their way back, by domain of the original.
        """
        nets = self.networks
        seeds = noise_seeds(batch["seed"], _NOISES)
        pairs = {domain: name for domain, name in PAIRS.items() if name in batch}
        image = {name: batch[name]["image"] for name in DOMAIN_OF if name in batch}
        mean = nets.encode(image, DOMAIN_OF)
        latent = {name: _sample(mean[name], seeds[f"latent_{name}"]) for name in mean}
        pose_latent = {
            domain: sample_pose(nets, batch[name]["joints"], seeds[f"pose_{domain}"]) for domain, name in pairs.items()
        }
        mapped = apply_together(nets.mapping, pose_latent) if self.maps else {}
        made = self._generate(latent, mapped)
        cycle_mean, cycle = self._cycle(made, seeds) if self.cycle else ({}, {})
        return {
            "image": image,
            "mean": mean,
            "latent": latent,
            "pose_latent": pose_latent,
            "mapped": mapped,
            "made": made,
            "cycle_mean": cycle_mean,
            "cycle": cycle,
        }

    def discriminate(self, outputs: dict[str, Any]) -> dict[str, Tensors]:
        """What D and P say of the images of `forward`.

        Returns:
            `features` and `logits`, by batch name of x and by (source, domain) of what was made; P's `posterior`, by
            domain of the pair.
        """
        nets = self.networks
        images = {**outputs["image"], **by_pair(outputs["made"])}
        reconstructions = {(domain, domain) for domain in DOMAINS}
        if not self.lambdas.lambda_8_depth:
            images = {name: image for name, image in images.items() if name not in reconstructions}
        features = nets.discriminator_features(images, _DOMAINS)
        judged = {name: part for name, part in features.items() if name not in reconstructions}
        paired = {domain: features[PAIRS[domain]] for domain in outputs["pose_latent"]}
        return {
            "features": features,
            "logits": apply_together(nets.realism_head, judged),
            "posterior": apply_together(nets.posterior, paired),
        }

    def generator_terms(self, outputs: dict[str, Any], verdicts: dict[str, Tensors]) -> Terms:
        """Raw terms that E, G and M minimise: equations 3 to 6, and what keeps surfaces (lambda_keep)."""
        made, logits, terms = outputs["made"], verdicts["logits"], {}
        for domain in DOMAINS:
            image = outputs["image"][domain]
            vae = losses.depth_vae_loss(outputs["mean"][domain], made[domain][domain], image)
            terms.update(prefixed(f"eq3_vae_{domain}", vae))
            terms[f"eq4_gan_{domain}_generator"] = losses.gan_generator_loss(logits[OTHER[domain], domain])
            if self.cycle:
                cycle = losses.cycle_loss(outputs["cycle_mean"][domain], outputs["cycle"][domain], image)
                terms.update(prefixed(f"eq5_cycle_{domain}", cycle))
            if self.lambdas.lambda_keep:
                terms[f"keep_{domain}"] = losses.keep_loss(made[domain][OTHER[domain]], image)
        for domain, mapped in outputs["mapped"].items():
            pair = PAIRS[domain]
            mapping = losses.mapping_loss(
                mapped,
                outputs["latent"][pair],
                made[POSE][domain],
                outputs["image"][pair],
                logits[POSE, domain],
            )
            terms.update(prefixed(f"eq6_mapping_{domain}", mapping))
        return terms

    def discriminator_terms(self, outputs: dict[str, Any], verdicts: dict[str, Tensors]) -> Terms:
        """Raw terms that D and P minimise: their side of equations 4 and 6, and equations 7 and 8."""
        logits, features, terms = verdicts["logits"], verdicts["features"], {}
        for domain in DOMAINS:
            terms[f"eq4_gan_{domain}_discriminator"] = losses.gan_discriminator_loss(
                logits[domain], logits[OTHER[domain], domain]
            )
            if self.lambdas.lambda_8_depth:
                terms[f"eq8_features_{domain}_matching"] = losses.feature_matching_loss(
                    features[domain, "synthetic"], features[domain, "real"], "lambda_8_depth"
                )
        for domain, predicted in verdicts["posterior"].items():
            if self.maps:
                terms[f"eq6_mapping_{domain}_discriminator"] = losses.mapping_discriminator_loss(logits[POSE, domain])
            terms[f"eq7_posterior_{domain}_regression"] = losses.posterior_loss(
                predicted, outputs["pose_latent"][domain]
            )
        return terms

    def _cycle(self, made: dict[str, Tensors], seeds: Tensors) -> tuple[Tensors, Tensors]:
        """Encodings of the translated images and their way back, both by domain of the original."""
        translated = {domain: made[domain][OTHER[domain]] for domain in DOMAINS}
        mean = self.networks.encode(translated, OTHER)
        latent = {domain: _sample(mean[domain], seeds[f"cycle_{domain}"]) for domain in DOMAINS}
        back = self.networks.generate(latent, {domain: (domain,) for domain in DOMAINS})
        return mean, {domain: back[domain][domain] for domain in DOMAINS}

    def _generate(self, latent: Tensors, mapped: Tensors) -> dict[str, Tensors]:
        poses = {(POSE, domain): part for domain, part in mapped.items()}
        latents = {**{domain: latent[domain] for domain in DOMAINS}, **poses}
        made = self.networks.generate(
            latents, {**dict.fromkeys(DOMAINS, DOMAINS), **{pose: (pose[1],) for pose in poses}}
        )
        rendered = {domain: made.pop((POSE, domain))[domain] for domain in mapped}
        return {**made, POSE: rendered}


def _sample(mean: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return replicas.sample(losses.depth_posterior(mean), seed)
