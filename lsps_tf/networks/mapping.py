"""The mapping M from the pose latent to the depth latent (table 3)."""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras

from lsps_tf.networks.layers import transposed_convolution

FIRST_SIZE = 4


class Mapping(keras.Model):
    """M of table 3: 4x4 transposed convolutions, the first from one pixel to 4x4, each other doubling.

    The table's input of 3J is the pose latent, as the text says. LeakyReLU after all but the last.

    Attributes:
        widths: channels of each layer; the last one's are the depth latent's.
        seed: the run's seed of initial weights.
    """

    def __init__(self, widths: tuple[int, ...], seed: int):
        super().__init__(name="mapping")
        self.widths = widths
        self.seed = seed
        last = len(widths)
        layers = [transposed_convolution("mapping/layer_1", widths[0], 4, 1, seed, activate=last > 1, padding="valid")]
        layers += [
            transposed_convolution(f"mapping/layer_{i}", n, 4, 2, seed, activate=i < last)
            for i, n in enumerate(widths[1:], start=2)
        ]
        self.layers_in_order = keras.Sequential(layers, name="mapping_layers")

    @property
    def output_side(self) -> int:
        """Height and width of the output in pixels."""
        return FIRST_SIZE * 2 ** (len(self.widths) - 1)

    def call(self, pose_latent: tf.Tensor) -> tf.Tensor:
        """Pose latent [B, Z] to depth latent [B, side, side, C]."""
        return self.layers_in_order(pose_latent[:, None, None, :])

    def get_config(self) -> dict:
        return {"widths": self.widths, "seed": self.seed}
