"""The posterior stage of equation 8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from lsps_tf import losses
from lsps_tf.config import LossWeights
from lsps_tf.losses import Terms
from lsps_tf.networks import DOMAINS, Networks, apply_together
from training.stages.base import (
    DOMAIN_OF,
    PAIRS,
    Batch,
    OnePlayerStage,
    Tensors,
    by_pair,
    noise_seeds,
    sample_pose,
)

POSTERIOR = "eq8_posterior"
_RANDOMIZED = "randomized"
# What P regresses and where its images are in a batch; randomised synthetic images are read as real ones.
_PAIRS = {**PAIRS, _RANDOMIZED: _RANDOMIZED}
_MADE = [(source, domain) for source in DOMAINS for domain in DOMAINS]
_DOMAINS = {**{domain: domain for domain in DOMAINS}, _RANDOMIZED: "real", **{pair: pair[1] for pair in _MADE}}
# The logged name and the lambda of equation 7 for each set of images whose pose P regresses.
_REGRESSIONS = {
    **{domain: (f"eq7_posterior_{domain}_regression", "lambda_7") for domain in DOMAINS},
    _RANDOMIZED: ("eq7_posterior_synthetic_randomized", "lambda_7_randomized"),
    **{("synthetic", domain): (f"eq7_posterior_synthetic_to_{domain}_made", "lambda_7_made") for domain in DOMAINS},
}


class PosteriorStage(OnePlayerStage):
    """Trains P and the discriminators' layers, all but the realism head, with equation 8.

    Two terms beside the paper's regress z_y of images whose pose is known. One is of what G_s and G_r make of synthetic
    images (lambda_7_made). The other is of "randomized" synthetic images where the batch has them, which are read as
    real ones (lambda_7_randomized).

    L_POS_s regresses z_y ~ q(z_y|y) from the synthetic images, and L_POS_r (section 3.3) from "labelled" real ones
    where the batch has them. L_FM matches D_s and D_r on reconstructions and translations of the real images and of as
    many synthetic ones. These are made from the means of q(z|x), since a sample's noise would show in the images.

    E, G and E_y are frozen. E and G are left out where lambda_8_posterior and lambda_7_made are 0.
    """

    def __init__(self, networks: Networks, lambdas: LossWeights, prepare: Callable[[Any], Batch] | None = None):
        super().__init__(networks, lambdas, networks.posterior_variables(*DOMAINS), POSTERIOR, prepare)

    def forward(self, batch: Batch) -> dict[str, Tensors]:
        """P's `predicted` latents beside their `target`, and the `features` of the made images by (source, domain)."""
        target, made = self.frozen_forward(batch)
        images = {**{name: batch[_PAIRS[name]]["image"] for name in target}, **by_pair(made)}
        features = self.networks.discriminator_features(images, _DOMAINS)
        if self.lambdas.lambda_7_made:
            for pair in (("synthetic", domain) for domain in DOMAINS):
                target[pair] = target["synthetic"][: features[pair].shape[0]]
        predicted = apply_together(self.networks.posterior, {name: features[name] for name in target})
        return {"predicted": predicted, "target": target, "features": features}

    def frozen_forward(self, batch: Batch) -> tuple[Tensors, dict[str, Tensors]]:
        """What the frozen networks make: the targets z_y by _PAIRS' names, and images `made[source][domain]`."""
        pairs = {name: part for name, part in _PAIRS.items() if part in batch}
        seeds = noise_seeds(batch["seed"], [f"pose_{name}" for name in (*DOMAINS, *(pairs.keys() - PAIRS.keys()))])
        target = {
            name: sample_pose(self.networks, batch[part]["joints"], seeds[f"pose_{name}"])
            for name, part in pairs.items()
        }
        if not (self.lambdas.lambda_8_posterior or self.lambdas.lambda_7_made):
            return target, {}
        real = batch["real"]["image"]
        image = {"synthetic": batch["synthetic"]["image"][: real.shape[0]], "real": real}
        mean = self.networks.encode(image, DOMAIN_OF)
        made = self.networks.generate(mean, dict.fromkeys(DOMAINS, DOMAINS))
        return target, {
            source: {domain: tf.stop_gradient(image) for domain, image in images.items()}
            for source, images in made.items()
        }

    def loss_terms(self, outputs: dict[str, Tensors]) -> Terms:
        """Raw terms of equations 7 and 8."""
        features, terms = outputs["features"], {}
        for images, predicted in outputs["predicted"].items():
            name, weight = _REGRESSIONS[images]
            terms[name] = losses.posterior_loss(predicted, outputs["target"][images], weight)
        if self.lambdas.lambda_8_posterior:
            for source in DOMAINS:
                terms[f"eq8_features_{source}_matching"] = losses.feature_matching_loss(
                    features[source, "synthetic"], features[source, "real"], "lambda_8_posterior"
                )
        return terms
