"""The depth VAEs' networks: encoders E_s and E_r, generators G_s and G_r (table 4)."""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras

from lsps_tf.config import NetworkConfig
from lsps_tf.networks.layers import ResidualBlock, convolution, first_convolution, transposed_convolution


class Encoder(keras.Model):
    """E of table 4: a depth image to the mean of q(z|x), whose variance is one.

    A 7x7 convolution, 3x3 convolutions of stride 2, and residual blocks, the last of which both domains share.

    Attributes:
        private: the layers of this domain alone.
        shared: the layers of both domains, the same objects in both encoders.
    """

    def __init__(self, name: str, config: NetworkConfig, shared: keras.Sequential, seed: int):
        super().__init__(name=name)
        first, *others = config.encoder_widths
        layers = [first_convolution(f"{name}/convolution_1", first, seed)]
        layers += [convolution(f"{name}/convolution_{i}", n, 3, 2, seed) for i, n in enumerate(others, start=2)]
        layers += residual_blocks(name, config.private_blocks, config, seed)
        self.private = keras.Sequential(layers, name=f"{name}_private")
        self.shared = shared

    def call(self, image: tf.Tensor) -> tf.Tensor:
        """Normalised depth [B, S, S, 1] to the latent's mean [B, S/4, S/4, C]."""
        return self.shared(self.private(image))


class Generator(keras.Model):
    """G of table 4: a depth latent to a depth image.

    Residual blocks, the first of which both domains share, 3x3 transposed convolutions of stride 2, and a 1x1
    transposed convolution with tanh.

    Attributes:
        shared: the layers of both domains, the same objects in both generators.
        private: the layers of this domain alone.
    """

    def __init__(self, name: str, config: NetworkConfig, shared: keras.Sequential, seed: int):
        super().__init__(name=name)
        layers = residual_blocks(name, config.private_blocks, config, seed)
        widths = config.generator_widths
        layers += [transposed_convolution(f"{name}/upscale_{i}", n, 3, 2, seed) for i, n in enumerate(widths, start=1)]
        layers += [
            transposed_convolution(f"{name}/image", 1, 1, 1, seed, activate=False),
            keras.layers.Activation("tanh", name=f"{name}_tanh"),
        ]
        self.shared = shared
        self.private = keras.Sequential(layers, name=f"{name}_private")

    def call(self, depth_latent: tf.Tensor) -> tf.Tensor:
        """Depth latent [B, S/4, S/4, C] to normalised depth [B, S, S, 1]."""
        return self.private(self.shared(depth_latent))


def residual_blocks(name: str, count: int, config: NetworkConfig, seed: int) -> list[ResidualBlock]:
    """`count` blocks of the size that `config` names."""
    return [
        ResidualBlock(
            f"{name}/block_{i}", config.encoder_widths[-1], config.residual_width, config.residual_groups, seed
        )
        for i in range(1, count + 1)
    ]
