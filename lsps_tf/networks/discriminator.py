"""Discriminators D_s and D_r with their shared layers, and the posterior head of P (table 4)."""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras

from lsps_tf.config import NetworkConfig
from lsps_tf.networks.layers import convolution


class Discriminator(keras.Model):
    """D of table 4: a depth image to logits of being a sensor's (or a simulator's) own.

    3x3 convolutions of stride 2, all but the first few shared, then a shared 2x2 head. The table's sigmoid is part of
    the losses, which are stable on logits. A sixth convolution, as in the authors' released code, is one more entry
    of `discriminator_widths`. The table has no `discriminator_repeats`.

    Attributes:
        private: the convolutions of this domain alone.
        shared: the convolutions of both domains, the same objects in both discriminators.
        head: the realism head, the same object in both discriminators.
    """

    def __init__(self, name: str, config: NetworkConfig, shared: keras.Sequential, head: keras.layers.Layer, seed: int):
        super().__init__(name=name)
        widths = config.discriminator_widths[: config.discriminator_private]
        layers = strided_convolutions(name, widths, 1, seed, config.discriminator_repeats)
        self.private = keras.Sequential(layers, name=f"{name}_private")
        self.shared = shared
        self.head = head

    def features(self, image: tf.Tensor) -> tf.Tensor:
        """Activations of the penultimate layer, D_phi of equation 8: [B, S, S, 1] to [B, h, w, C]."""
        return self.shared(self.private(image))

    def call(self, image: tf.Tensor) -> tf.Tensor:
        """Normalised depth [B, S, S, 1] to a map of logits [B, h - 1, w - 1, 1]."""
        return self.head(self.features(image))


class PosteriorHead(keras.Model):
    """P's last layer of table 4: a discriminator's features to the mean of the pose latent.

    A 2x2 convolution; where the features are larger than 2x2, its map is averaged to one vector.
    """

    def __init__(self, latent_size: int, seed: int):
        super().__init__(name="posterior")
        self.latent_size = latent_size
        self.seed = seed
        self.output_layer = convolution("posterior/output", latent_size, 2, 1, seed, activate=False, padding="valid")

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Features [B, h, w, C] of either discriminator to the pose latent [B, Z]."""
        return tf.reduce_mean(self.output_layer(features), axis=(1, 2))

    def get_config(self) -> dict:
        return {"latent_size": self.latent_size, "seed": self.seed}


def strided_convolutions(
    name: str, widths: tuple[int, ...], first: int, seed: int, repeats: int = 0
) -> list[keras.layers.Layer]:
    """CONV-(N, K3, S2) with LeakyReLU for each width, numbered from `first`.

    After each but number 1, whose image is large, come `repeats` CONV-(N, K3, S1) with LeakyReLU.
    """
    layers = []
    for i, width in enumerate(widths, start=first):
        layers.append(convolution(f"{name}/convolution_{i}", width, 3, 2, seed))
        for repeat in range(repeats if i > 1 else 0):
            layers.append(convolution(f"{name}/convolution_{i}_{repeat + 1}", width, 3, 1, seed))
    return layers


def realism_head(seed: int) -> keras.layers.Conv2D:
    """CONV-(N1, K2, S1) of table 4, without its sigmoid."""
    return convolution("discriminator/head", 1, 2, 1, seed, activate=False, padding="valid")
