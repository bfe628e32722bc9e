"""The regressions that table 1 compares LSPS with: equation 7 alone, on one domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from lsps_tf import losses
from lsps_tf.config import LossWeights
from lsps_tf.losses import Terms
from lsps_tf.networks import Networks
from training.stages.base import PAIRS, Batch, OnePlayerStage, Tensors, noise_seeds, sample_pose

REGRESSION = "eq7_posterior"


class RegressionStage(OnePlayerStage):
    """Trains P and one discriminator's layers with equation 7 alone, on that domain's labelled frames.

    The baselines of table 1: "synthetic" is synthetic-only, "real" trains on the labels of real frames. From scratch or
    from pre-trained layers is a matter of the weights that the networks come with. Predict with the same domain:
    `networks.predict_joints(image, domain)`; synthetic-only reads real images with D_s's layers. `sources` are the
    parts of a batch that it trains on together, where these are not the domain's frames. With `average_decay` above 0
    the stage ends with the moving average of its weights.
    """

    def __init__(
        self,
        networks: Networks,
        lambdas: LossWeights,
        domain: str,
        prepare: Callable[[Any], Batch] | None = None,
        sources: tuple[str, ...] = (),
        average_decay: float = 0.0,
    ):
        variables = networks.posterior_variables(domain)
        super().__init__(networks, lambdas, variables, REGRESSION, prepare, average_decay)
        self.domain = domain
        self.sources = sources or (PAIRS[domain],)

    def forward(self, batch: Batch) -> Tensors:
        """P(x) and its target z_y ~ q(z_y|y), both [B, Z], of the domain's labelled frames.

        Beside them their joints [B, J, 3], and the features [B, h, w, C] that P(x) was made of.
        """
        parts = [batch[source] for source in self.sources]
        frames = {name: tf.concat([part[name] for part in parts], axis=0) for name in ("image", "joints")}
        seed = noise_seeds(batch["seed"], ["pose"])["pose"]
        features = self.networks.discriminators[self.domain].features(frames["image"])
        return {
            "features": features,
            "predicted": self.networks.posterior(features),
            "target": sample_pose(self.networks, frames["joints"], seed),
            "joints": frames["joints"],
        }

    def loss_terms(self, outputs: Tensors) -> Terms:
        """The raw term of equation 7 and, where they count, the distances of the decoded joints and of the votes."""
        loss = losses.posterior_loss(outputs["predicted"], outputs["target"])
        terms = {f"eq7_posterior_{self.domain}_regression": loss}
        if self.lambdas.lambda_7_joints:
            decoded = self.networks.decode_pose(outputs["predicted"])
            terms[f"eq7_posterior_{self.domain}_joints"] = losses.joint_distance_loss(decoded, outputs["joints"])
        if self.networks.config.vote_widths and self.lambdas.lambda_7_votes:
            votes = self.networks.posterior.votes(outputs["features"])
            terms[f"eq7_posterior_{self.domain}_votes"] = losses.vote_loss(*votes, outputs["joints"])
        return terms
