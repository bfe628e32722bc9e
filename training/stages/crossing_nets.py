"""The baseline without simulation: a small crossing-nets-like model of the real domain alone.

After Wan, Probst, Van Gool, Yao, "Crossing Nets", 2017. It has a pose VAE, a depth VAE-GAN, a mapping from the pose
latent to the depth latent, and a posterior on the discriminator's layers. The posterior regresses the pose latent of
labelled images and of generated ones. What is generated lies between the poses of labelled frames.

The networks, the steps and the regressor are those of LSPS. The simulator takes no part, the pose VAE included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from lsps_tf import losses, replicas
from lsps_tf.config import LossWeights
from lsps_tf.losses import Terms
from lsps_tf.networks import Networks, apply_together
from training.stages.base import Batch, OnePlayerStage, Tensors, TwoPlayerStage, noise_seeds, prefixed, sample_pose
from training.stages.posterior import POSTERIOR

REAL = "real"
_NOISES = ("pose", "mix", "latent_real", "latent_labelled")


def mix_poses(pose_latent: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Points [B, Z] between each latent and that of the next frame, uniform on the line."""
    share = replicas.uniform([pose_latent.shape[0], 1], seed)
    # With several replicas the frame before is another one's.
    before = replicas.own_rows(tf.roll(replicas.whole_batch(pose_latent), 1, axis=0))
    return share * pose_latent + (1.0 - share) * before


class CrossingDepthStage(TwoPlayerStage):
    """Trains E_r, G_r, M, D_r and P on all real frames and the labelled ones.

    The generators' player minimises equation 3 on the unlabelled frames, equation 6 on the labelled ones, and equation
    4 for images of mixed poses, G_r(M(z)). The discriminators' player minimises its side of 4 and 6, and equation 7 on
    the labelled images and on those of mixed poses, whose latent is known.
    """

    def __init__(self, networks: Networks, lambdas: LossWeights, prepare: Callable[[Any], Batch] | None = None):
        generators, discriminators = networks.generator_variables(REAL), networks.discriminator_variables(REAL)
        super().__init__(networks, lambdas, generators, discriminators, prepare)

    def forward(self, batch: Batch) -> dict[str, Any]:
        """What E_r, M and G_r make of a batch.

        Returns:
            `image` x and `mean` and `latent` of q(z|x) of "real" and "labelled"; `pose_latent` and `mapped` M(z) of the
            "labelled" poses and of "mixed" ones; images `made[source]["real"]`, which are the reconstruction of "real",
            and G_r(M(z)) of both latents.
        """
        nets = self.networks
        seeds = noise_seeds(batch["seed"], _NOISES)
        image = {name: batch[name]["image"] for name in (REAL, "labelled")}
        mean = nets.encode(image, dict.fromkeys(image, REAL))
        latent = {name: replicas.sample(losses.depth_posterior(mean[name]), seeds[f"latent_{name}"]) for name in mean}
        pose = sample_pose(nets, batch["labelled"]["joints"], seeds["pose"])
        pose_latent = {"labelled": pose, "mixed": mix_poses(pose, seeds["mix"])}
        mapped = apply_together(nets.mapping, pose_latent)
        latents = {REAL: latent[REAL], **mapped}
        made = nets.generate(latents, dict.fromkeys(latents, (REAL,)))
        parts = {"image": image, "mean": mean, "latent": latent}
        return {**parts, "pose_latent": pose_latent, "mapped": mapped, "made": made}

    def discriminate(self, outputs: dict[str, Any]) -> dict[str, Tensors]:
        """`logits` of D_r and P's `posterior` of the images, and of those made of "labelled_pose" and "mixed_pose"."""
        made = {f"{source}_pose": outputs["made"][source][REAL] for source in ("labelled", "mixed")}
        images = {**outputs["image"], **made}
        features = self.networks.discriminator_features(images, dict.fromkeys(images, REAL))
        regressed = {name: features[name] for name in ("labelled", "mixed_pose")}
        return {
            "logits": apply_together(self.networks.realism_head, features),
            "posterior": apply_together(self.networks.posterior, regressed),
        }

    def generator_terms(self, outputs: dict[str, Any], verdicts: dict[str, Tensors]) -> Terms:
        """Raw terms that E_r, G_r and M minimise."""
        image, made, logits = outputs["image"], outputs["made"], verdicts["logits"]
        vae = losses.depth_vae_loss(outputs["mean"][REAL], made[REAL][REAL], image[REAL])
        mapping = losses.mapping_loss(
            outputs["mapped"]["labelled"],
            outputs["latent"]["labelled"],
            made["labelled"][REAL],
            image["labelled"],
            logits["labelled_pose"],
        )
        return {
            **prefixed("eq3_vae_real", vae),
            **prefixed("eq6_mapping_real", mapping),
            "eq4_gan_real_generator": losses.gan_generator_loss(logits["mixed_pose"]),
        }

    def discriminator_terms(self, outputs: dict[str, Any], verdicts: dict[str, Tensors]) -> Terms:
        """Raw terms that D_r and P minimise."""
        logits, posterior, latent = verdicts["logits"], verdicts["posterior"], outputs["pose_latent"]
        return {
            "eq4_gan_real_discriminator": losses.gan_discriminator_loss(logits[REAL], logits["mixed_pose"]),
            "eq6_mapping_real_discriminator": losses.mapping_discriminator_loss(logits["labelled_pose"]),
            "eq7_posterior_real_regression": losses.posterior_loss(posterior["labelled"], latent["labelled"]),
            "eq7_posterior_mixed_regression": losses.posterior_loss(posterior["mixed_pose"], latent["mixed"]),
        }


class CrossingPosteriorStage(OnePlayerStage):
    """Trains P and D_r's layers with equation 7 on labelled frames and on a few generated images of mixed poses.

    All images of a step count alike; `generated` says how many of them are G_r(M(z)), at most one per labelled frame.
    """

    def __init__(
        self,
        networks: Networks,
        lambdas: LossWeights,
        generated: int,
        prepare: Callable[[Any], Batch] | None = None,
    ):
        super().__init__(networks, lambdas, networks.posterior_variables(REAL), POSTERIOR, prepare)
        self.generated = generated

    def forward(self, batch: Batch) -> Tensors:
        """P(x) and its target, both [B + generated, Z]."""
        image, target = self.frozen_forward(batch)
        return {"predicted": self.networks.predict_latent(image, REAL), "target": target}

    def frozen_forward(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Images [B + generated, S, S, 1], the labelled ones first, and their pose latents [B + generated, Z]."""
        nets, seeds = self.networks, noise_seeds(batch["seed"], _NOISES)
        pose = sample_pose(nets, batch["labelled"]["joints"], seeds["pose"])
        mixed = mix_poses(pose, seeds["mix"])[: self.generated // replicas.count()]
        made = nets.generate({"mixed": nets.mapping(mixed)}, {"mixed": (REAL,)})["mixed"][REAL]
        image = tf.concat([batch["labelled"]["image"], tf.stop_gradient(made)], axis=0)
        return image, tf.concat([pose, mixed], axis=0)

    def loss_terms(self, outputs: Tensors) -> Terms:
        """The raw term of equation 7."""
        return {"eq7_posterior_real_regression": losses.posterior_loss(outputs["predicted"], outputs["target"])}
