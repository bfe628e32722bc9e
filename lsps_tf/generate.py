"""What trained networks make: images of the other domain, and the rows of pictures that show a depth stage's state."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from lsps_tf import losses
from lsps_tf.networks import DOMAINS, Networks


def translate(networks: Networks, image: tf.Tensor, source: str, domain: str) -> tf.Tensor:
    """G(E(x)), from the mean of q(z|x).

    Args:
        networks: the trained networks.
        image: x of the domain `source`, normalised depth [B, S, S, 1].
        source: "synthetic" or "real".
        domain: whose generator makes the image; that of `source` reconstructs it.

    Returns:
        Normalised depth [B, S, S, 1] as the domain has it.
    """
    mean = networks.encode({source: image}, {source: source})
    return networks.generate(mean, {source: (domain,)})[source][domain]


def depth_pictures(
    networks: Networks, image: dict[str, tf.Tensor], joints: tf.Tensor, seed: tf.Tensor
) -> dict[str, np.ndarray]:
    """Rows of pictures: each domain's images, their reconstruction, their translation and its way back, and M's.

    As in the depth stage, what is made comes from a sample of q(z|x) and of q(z_y|y), so the noise shows.

    Args:
        networks: the networks.
        image: normalised depth [B, S, S, 1] by domain.
        joints: of the synthetic images, [B, J, 3] in half cubes.
        seed: of the samples, int32 [2].

    Returns:
        By the row's title images [B, S, S] in [-1, 1].
    """
    seeds = tf.unstack(tf.random.split(seed, 2 * len(DOMAINS) + 1))
    latent = _sample(networks, image, {domain: domain for domain in DOMAINS}, seeds[:2])
    made = networks.generate(latent, dict.fromkeys(DOMAINS, DOMAINS))
    other = dict(zip(DOMAINS, reversed(DOMAINS)))
    translated = {domain: made[domain][other[domain]] for domain in DOMAINS}
    latent = _sample(networks, translated, other, seeds[2:4])
    back = networks.generate(latent, {domain: (domain,) for domain in DOMAINS})
    rows = {}
    for domain in DOMAINS:
        rows[domain] = image[domain]
        rows[f"{domain}, reconstructed"] = made[domain][domain]
        rows[f"{domain} to {other[domain]}"] = translated[domain]
        rows[f"{domain} to {other[domain]} and back"] = back[domain][domain]
    pose_latent = losses.pose_posterior(*networks.encode_pose(joints)).sample(seed=seeds[4])
    rows["synthetic, from its pose by M"] = networks.generators["synthetic"](networks.mapping(pose_latent))
    return {name: images[..., 0].numpy() for name, images in rows.items()}


def _sample(
    networks: Networks, image: dict[str, tf.Tensor], encoders: dict[str, str], seeds: list[tf.Tensor]
) -> dict[str, tf.Tensor]:
    """A sample of q(z|x), [B, S/4, S/4, C] by the names of the images; `encoders` says whose E takes them."""
    mean = networks.encode(image, encoders)
    return {name: losses.depth_posterior(mean[name]).sample(seed=seed) for name, seed in zip(image, seeds)}
