"""The mapping M from the pose latent to the depth latent (table 3)."""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras

from lsps_tf.networks.layers import transposed_convolution

# Of table 3, for images whose sides are a power of two; in between, the first layer makes up to 7x7.
FIRST_SIZES = (4, 5, 6, 7)


class Mapping(keras.Model):
    """M of table 3: 4x4 transposed convolutions, the first from one pixel to 4x4, each other doubling.

    The table's input of 3J is the pose latent, as the text says. LeakyReLU after all but the last.

    Attributes:
        widths: channels of each layer; the last one's are the depth latent's.
        first_size: height and width of the first one's output and kernel, 4 in the table.
        seed: the run's seed of initial weights.
    """

    def __init__(self, widths: tuple[int, ...], first_size: int, seed: int):
        super().__init__(name="mapping")
        self.widths = widths
        self.first_size = first_size
        self.seed = seed
        last = len(widths)
        first = {"activate": last > 1, "padding": "valid"}
        layers = [transposed_convolution("mapping/layer_1", widths[0], first_size, 1, seed, **first)]
        layers += [
            transposed_convolution(f"mapping/layer_{i}", n, 4, 2, seed, activate=i < last)
            for i, n in enumerate(widths[1:], start=2)
        ]
        self.layers_in_order = keras.Sequential(layers, name="mapping_layers")

    @property
    def output_side(self) -> int:
        """Height and width of the output in pixels."""
        return self.first_size * 2 ** (len(self.widths) - 1)

    def call(self, pose_latent: tf.Tensor) -> tf.Tensor:
        """Pose latent [B, Z] to depth latent [B, side, side, C]."""
        return self.layers_in_order(pose_latent[:, None, None, :])

    def get_config(self) -> dict:
        return {"widths": self.widths, "first_size": self.first_size, "seed": self.seed}
