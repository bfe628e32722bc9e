"""The regressions that table 1 compares LSPS with: equation 7 alone, on one domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow import keras

from lsps_tf import losses
from lsps_tf.config import LossWeights
from lsps_tf.networks import Networks
from training.stages.base import PAIRS, Batch, Stage, Tensors, noise_seeds, sample_pose, unique_variables

REGRESSION = "eq7_posterior"


class RegressionStage(Stage):
    """Trains P and one discriminator's layers with equation 7 alone, on that domain's labelled frames.

    The baselines of table 1: "synthetic" is synthetic-only, "real" trains on the labels of real frames. From scratch or
    from pre-trained layers is a matter of the weights that the networks come with. Predict with the same domain:
    `networks.predict_joints(image, domain)`; synthetic-only reads real images with D_s's layers.
    """

    def __init__(
        self,
        networks: Networks,
        lambdas: LossWeights,
        domain: str,
        prepare: Callable[[Any], Batch] | None = None,
        norm: str = losses.SQUARED,
    ):
        name = f"eq7_posterior_{domain}_regression"
        super().__init__(networks, lambdas, (name, REGRESSION), prepare)
        self.domain = domain
        self.norm = norm
        discriminator = networks.discriminators[domain]
        self.posterior_variables = unique_variables(discriminator.private, discriminator.shared, networks.posterior)

    def compile(self, optimizer: keras.optimizers.Optimizer, **options: Any) -> None:
        """One player, one optimizer."""
        super().compile(**options)
        self.posterior_optimizer = optimizer

    def forward(self, batch: Batch) -> Tensors:
        """P(x) and its target z_y ~ q(z_y|y) for the labelled frames of the domain, both [B, Z]."""
        frames = batch[PAIRS[self.domain]]
        seed = noise_seeds(batch["seed"], ["pose"])["pose"]
        return {
            "predicted": self.networks.predict_latent(frames["image"], self.domain),
            "target": sample_pose(self.networks, frames["joints"], seed),
        }

    def posterior_losses(self, outputs: Tensors) -> Tensors:
        """The raw term of equation 7."""
        loss = losses.posterior_loss(outputs["predicted"], outputs["target"], self.norm)
        return {f"eq7_posterior_{self.domain}_regression": loss}

    def train_step(self, raw: Any) -> Tensors:
        batch = self.prepare(raw)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.posterior_variables)
            terms = self.posterior_losses(self.forward(batch))
            total = losses.weighted_sum(terms, self.lambdas)
        gradients = tape.gradient(total, self.posterior_variables)
        self.posterior_optimizer.apply_gradients(zip(gradients, self.posterior_variables))
        return self.log({**terms, REGRESSION: total})
