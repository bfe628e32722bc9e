"""The mapping stage: M's own time on equation 6, while E and G stand still. Not in the paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from lsps_tf import losses, replicas
from lsps_tf.config import LossWeights
from lsps_tf.losses import Terms
from lsps_tf.networks import DOMAINS, Networks, apply_together
from training.stages.base import DOMAIN_OF, PAIRS, Batch, Tensors, TwoPlayerStage, noise_seeds, prefixed, sample_pose

TOTAL = "eq6_mapping"
_TRANSLATED = "translated"
_NOISES = (*(f"pose_{domain}" for domain in DOMAINS), *(f"latent_{domain}" for domain in DOMAINS))


class MappingStage(TwoPlayerStage):
    """Trains M with equation 6 as it stands, on synthetic frames and on "labelled" real ones where the batch has them.

    In the depth stage the equation moves E and G towards what M can say of a pose, so M gets little weight there. Here
    only M moves, and of the discriminators the realism head: their layers are P's, from which the posterior stage
    starts. The head tells M's renderings from the images of their own poses.

    With `lambda_6_translated` what G_r makes of M's codes of synthetic poses is to be what it makes of their images'.
    """

    totals = (TOTAL, "eq6_discriminators")

    def __init__(self, networks: Networks, lambdas: LossWeights, prepare: Callable[[Any], Batch] | None = None):
        heads = networks.realism_head.trainable_variables
        super().__init__(networks, lambdas, networks.mapping_variables(), heads, prepare)

    def forward(self, batch: Batch) -> dict[str, Any]:
        """What E, M and G make of a batch, all by domain.

        Returns:
            `image` x, `latent`, a sample of q(z|x), `mapped` M(z_y), where z_y is a sample of q(z_y|y), and the
            `rendering` of that. With `lambda_6_translated` the pair `translated` of G_r(M(z_y)) and G_r(E_s(x)).
        """
        nets = self.networks
        seeds = noise_seeds(batch["seed"], _NOISES)
        pairs = {domain: name for domain, name in PAIRS.items() if name in batch}
        image = {domain: batch[name]["image"] for domain, name in pairs.items()}
        mean = nets.encode(image, DOMAIN_OF)
        latent = {d: replicas.sample(losses.depth_posterior(mean[d]), seeds[f"latent_{d}"]) for d in pairs}
        pose = {d: sample_pose(nets, batch[name]["joints"], seeds[f"pose_{d}"]) for d, name in pairs.items()}
        mapped = apply_together(nets.mapping, pose)
        wanted = {domain: (domain,) for domain in pairs}
        codes = dict(mapped)
        if self.lambdas.lambda_6_translated:
            codes[_TRANSLATED], wanted[_TRANSLATED] = mean["synthetic"], ("real",)
            wanted["synthetic"] = DOMAINS
        made = nets.generate(codes, wanted)
        outputs = {"image": image, "latent": latent, "mapped": mapped}
        if self.lambdas.lambda_6_translated:
            outputs[_TRANSLATED] = made["synthetic"]["real"], tf.stop_gradient(made[_TRANSLATED]["real"])
        return {**outputs, "rendering": {domain: made[domain][domain] for domain in pairs}}

    def discriminate(self, outputs: dict[str, Any]) -> dict[str, Tensors]:
        """The realism head's `logits` of what is an "image" and what a "rendering", by (kind, domain)."""
        kinds = ("image", "rendering")
        images = {(kind, domain): part for kind in kinds for domain, part in outputs[kind].items()}
        features = self.networks.discriminator_features(images, {key: key[1] for key in images})
        return {"logits": apply_together(self.networks.realism_head, features)}

    def generator_terms(self, outputs: dict[str, Any], verdicts: dict[str, Tensors]) -> Terms:
        """Raw terms that M minimises: equation 6, and the one of translations."""
        terms = {}
        if _TRANSLATED in outputs:
            terms["eq6_mapping_translated_nll"] = losses.translated_rendering_loss(*outputs[_TRANSLATED])
        for domain, mapped in outputs["mapped"].items():
            mapping = losses.mapping_loss(
                mapped,
                outputs["latent"][domain],
                outputs["rendering"][domain],
                outputs["image"][domain],
                verdicts["logits"]["rendering", domain],
            )
            terms.update(prefixed(f"eq6_mapping_{domain}", mapping))
        return terms

    def discriminator_terms(self, outputs: dict[str, Any], verdicts: dict[str, Tensors]) -> Terms:
        """Raw terms that the realism head minimises: both sides of equation 4, whose fakes are M's renderings."""
        logits, terms = verdicts["logits"], {}
        for domain in outputs["mapped"]:
            term = losses.gan_discriminator_loss(logits["image", domain], logits["rendering", domain])
            terms[f"eq6_mapping_{domain}_discriminator"] = dataclasses.replace(term, weight="lambda_4_mapping")
        return terms
