"""The pose stage: the pose VAE of equation 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow import keras

from lsps_tf import losses
from lsps_tf.config import LossWeights
from lsps_tf.networks import Networks
from training.stages.base import Batch, Stage, noise_seeds, unique_variables

KL, NLL, TOTAL = "eq1_pose_kl", "eq1_pose_nll", "eq1_pose"


class PoseStage(Stage):
    """Trains E_y and G_y with equation 1 on the poses of "synthetic" and, where present, of "labelled"."""

    def __init__(self, networks: Networks, lambdas: LossWeights, prepare: Callable[[Any], Batch] | None = None):
        super().__init__(networks, lambdas, (KL, NLL, TOTAL), prepare)
        self.pose_variables = unique_variables(networks.pose_encoder, networks.pose_decoder)

    def compile(self, optimizer: keras.optimizers.Optimizer, **options: Any) -> None:
        """One player, one optimizer."""
        super().compile(**options)
        self.pose_optimizer = optimizer

    def forward(self, batch: Batch) -> dict[str, Any]:
        """Joints [B, J, 3] in half cubes, their posterior, and their reconstruction from one sample of it."""
        poses = [batch[name]["joints"] for name in ("synthetic", "labelled") if name in batch]
        joints = tf.concat(poses, axis=0)
        posterior = losses.pose_posterior(*self.networks.encode_pose(joints))
        pose_latent = posterior.sample(seed=noise_seeds(batch["seed"], ["pose"])["pose"])
        return {"joints": joints, "posterior": posterior, "reconstruction": self.networks.decode_pose(pose_latent)}

    def pose_losses(self, outputs: dict[str, Any]) -> dict[str, tf.Tensor]:
        """Raw terms of equation 1."""
        terms = losses.pose_vae_loss(outputs["posterior"], outputs["reconstruction"], outputs["joints"])
        return {KL: terms["kl"], NLL: terms["nll"]}

    def train_step(self, raw: Any) -> dict[str, tf.Tensor]:
        batch = self.prepare(raw)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.pose_variables)
            terms = self.pose_losses(self.forward(batch))
            total = losses.weighted_sum(terms, self.lambdas)
        gradients = tape.gradient(total, self.pose_variables)
        self.pose_optimizer.apply_gradients(zip(gradients, self.pose_variables))
        return self.log({**terms, TOTAL: total})
