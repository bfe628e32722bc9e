"""The posterior stage of equation 8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow import keras

from lsps_tf import losses
from lsps_tf.config import LossWeights
from lsps_tf.networks import DOMAINS, Networks, apply_together
from training.stages.base import DOMAIN_OF, PAIRS, Batch, Stage, Tensors, noise_seeds, sample_pose, unique_variables

POSTERIOR = "eq8_posterior"
_RANDOMIZED = "randomized"
# What P regresses, by name, and where its images are in a batch; all but randomised synthetic images are of a domain.
_PAIRS = {**PAIRS, _RANDOMIZED: _RANDOMIZED}
_TERMS = {
    **{domain: f"eq7_posterior_{domain}_regression" for domain in DOMAINS},
    _RANDOMIZED: "eq7_posterior_synthetic_randomized",
}


class PosteriorStage(Stage):
    """Trains P and the discriminators' layers, all but the realism head, with equation 8.

    Two terms beside the paper's regress z_y of images whose pose is known: of what G_s and G_r make of synthetic images
    (lambda_7_made), and of "randomized" synthetic images where the batch has them (lambda_7_randomized), read as real.

    L_POS_s regresses z_y ~ q(z_y|y) from the synthetic images, and L_POS_r (section 3.3) from "labelled" real ones
    where the batch has them. L_FM matches D_s and D_r on reconstructions and translations of the real images and of as
    many synthetic ones, made from the means of q(z|x): E and G are not trained here, and a sample's noise would show in
    the images. E, G and E_y are frozen and run outside the tape; E and G not at all where lambda_8_posterior is 0.
    """

    def __init__(
        self,
        networks: Networks,
        lambdas: LossWeights,
        prepare: Callable[[Any], Batch] | None = None,
        norm: str = losses.SQUARED,
    ):
        kinds = ("eq7_posterior_{}_regression", "eq7_posterior_synthetic_to_{}_made", "eq8_features_{}_matching")
        terms = [kind.format(domain) for domain in DOMAINS for kind in kinds]
        super().__init__(networks, lambdas, [*terms, _TERMS[_RANDOMIZED], POSTERIOR], prepare)
        self.norm = norm
        trunks = [
            part for d in DOMAINS for part in (networks.discriminators[d].private, networks.discriminators[d].shared)
        ]
        self.posterior_variables = unique_variables(*trunks, networks.posterior)

    def compile(self, optimizer: keras.optimizers.Optimizer, **options: Any) -> None:
        """One player, one optimizer."""
        super().compile(**options)
        self.posterior_optimizer = optimizer

    def train_step(self, raw: Any) -> Tensors:
        batch = self.prepare(raw)
        fixed = self.frozen_forward(batch)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.posterior_variables)
            terms = self.posterior_losses(self.forward(batch, fixed))
            total = losses.weighted_sum(terms, self.lambdas, self.lambdas.lambda_8_posterior)
        gradients = tape.gradient(total, self.posterior_variables)
        self.posterior_optimizer.apply_gradients(zip(gradients, self.posterior_variables))
        return self.log({**terms, POSTERIOR: total})

    def frozen_forward(self, batch: Batch) -> dict[str, Tensors]:
        """What the frozen networks make: `target` z_y by _PAIRS' names, and the images `made` by "SOURCE_to_TARGET"."""
        pairs = {name: part for name, part in _PAIRS.items() if part in batch}
        seeds = noise_seeds(batch["seed"], [f"pose_{name}" for name in (*DOMAINS, *(pairs.keys() - PAIRS.keys()))])
        target = {
            name: sample_pose(self.networks, batch[part]["joints"], seeds[f"pose_{name}"])
            for name, part in pairs.items()
        }
        if not (self.lambdas.lambda_8_posterior or self.lambdas.lambda_7_made):
            return {"target": target, "made": {}}
        real = batch["real"]["image"]
        image = {"synthetic": batch["synthetic"]["image"][: real.shape[0]], "real": real}
        mean = self.networks.encode(image, DOMAIN_OF)
        targets = {f"{source}_to_{goal}": (source, goal) for source in DOMAINS for goal in DOMAINS}
        made = self.networks.generate(mean, targets)
        return {"target": target, "made": {name: tf.stop_gradient(image) for name, image in made.items()}}

    def forward(self, batch: Batch, fixed: dict[str, Tensors]) -> dict[str, Tensors]:
        """P's `predicted` latents beside their `target`, by name, and the `features` of the made images."""
        paired = {name: batch[_PAIRS[name]]["image"] for name in fixed["target"]}
        images = {**paired, **fixed["made"]}
        domains = {name: "real" if name == _RANDOMIZED else name.rpartition("_")[2] for name in images}
        features = self.networks.discriminator_features(images, domains)
        target = dict(fixed["target"])
        if self.lambdas.lambda_7_made:
            for name in (f"synthetic_to_{domain}" for domain in DOMAINS):
                target[name] = target["synthetic"][: features[name].shape[0]]
        predicted = apply_together(self.networks.posterior, {name: features[name] for name in target})
        return {"predicted": predicted, "target": target, "features": features}

    def posterior_losses(self, outputs: dict[str, Tensors]) -> Tensors:
        """Raw terms of equations 7 and 8."""
        features, terms = outputs["features"], {}
        for name, predicted in outputs["predicted"].items():
            term = _TERMS.get(name, f"eq7_posterior_{name}_made")
            terms[term] = losses.posterior_loss(predicted, outputs["target"][name], self.norm)
        if self.lambdas.lambda_8_posterior:
            for source in DOMAINS:
                terms[f"eq8_features_{source}_matching"] = losses.feature_matching_loss(
                    features[f"{source}_to_synthetic"], features[f"{source}_to_real"]
                )
        return terms
