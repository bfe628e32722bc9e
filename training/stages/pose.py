"""The pose stage: the pose VAE of equation 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from lsps_tf import losses, replicas
from lsps_tf.config import LossWeights
from lsps_tf.losses import Terms
from lsps_tf.networks import Networks
from training.stages.base import Batch, OnePlayerStage, noise_seeds, prefixed

TOTAL = "eq1_pose"


class PoseStage(OnePlayerStage):
    """Trains E_y and G_y with equation 1 on the poses of "synthetic" and, where present, of "labelled"."""

    def __init__(self, networks: Networks, lambdas: LossWeights, prepare: Callable[[Any], Batch] | None = None):
        super().__init__(networks, lambdas, networks.pose_variables(), TOTAL, prepare)

    def forward(self, batch: Batch) -> dict[str, Any]:
        """Joints [B, J, 3] in half cubes, their posterior, and their reconstruction from one sample of it."""
        poses = [batch[name]["joints"] for name in ("synthetic", "labelled") if name in batch]
        joints = tf.concat(poses, axis=0)
        posterior = losses.pose_posterior(*self.networks.encode_pose(joints))
        pose_latent = replicas.sample(posterior, noise_seeds(batch["seed"], ["pose"])["pose"])
        return {"joints": joints, "posterior": posterior, "reconstruction": self.networks.decode_pose(pose_latent)}

    def loss_terms(self, outputs: dict[str, Any]) -> Terms:
        """Raw terms of equation 1."""
        return prefixed(
            "eq1_pose", losses.pose_vae_loss(outputs["posterior"], outputs["reconstruction"], outputs["joints"])
        )
