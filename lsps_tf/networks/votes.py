"""P that votes: D's features return to a larger map, each place of which votes for every joint. Not in the paper.

Each joint has the places that know most of it, those around it where it is seen. Table 4's last layer makes all joints
of one vector, an average of the whole image.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow import keras

from lsps_tf.networks.layers import convolution, leaky_relu


class TopDown(keras.Model):
    """D's shared convolutions and, in place of their last map, a way back up (Lin et al., Feature Pyramids, 2017).

    Attributes:
        down: per stride, the convolutions of it.
        deepest: 1x1 convolution of the smallest map.
        up: by step, the merges with the next larger map.
        last: 3x3 convolution of the map that comes out.
    """

    def __init__(self, name: str, down: list[keras.Sequential], widths: tuple[int, ...], seed: int):
        super().__init__(name=name)
        self.down = down
        self.deepest = convolution(f"{name}/deepest", widths[0], 1, 1, seed)
        self.up = [Merge(f"{name}/up_{i}", width, seed) for i, width in enumerate(widths, start=1)]
        self.last = convolution(f"{name}/last", widths[-1], 3, 1, seed)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """What the private convolutions give [B, h, w, C] to a map of len(widths) halvings less than the last one's."""
        maps = [inputs]
        for convolutions in self.down:
            maps.append(convolutions(maps[-1]))
        value = self.deepest(maps.pop())
        for merge in self.up:
            value = merge([value, maps.pop()])
        return self.last(value)


class Merge(keras.layers.Layer):
    """A map of half the size joins a larger one: 1x1 convolutions of both, their sum, LeakyReLU, CONV-(N, K3, S1)."""

    def __init__(self, name: str, width: int, seed: int):
        super().__init__(name=name.replace("/", "_"))
        self.width = width
        self.seed = seed
        self.from_below = convolution(f"{name}/from_below", width, 1, 1, seed, activate=False)
        self.from_beside = convolution(f"{name}/from_beside", width, 1, 1, seed, activate=False)
        self.merged = convolution(f"{name}/merged", width, 3, 1, seed)

    def call(self, maps: list[tf.Tensor]) -> tf.Tensor:
        """[B, h, w, C] and [B, H, W, D] to [B, H, W, width], where h is half of H rounded up."""
        below, beside = maps
        height, width = beside.shape[1:3]
        enlarged = tf.repeat(tf.repeat(self.from_below(below), 2, axis=1), 2, axis=2)[:, :height, :width]
        return self.merged(leaky_relu(enlarged + self.from_beside(beside)))

    def get_config(self) -> dict:
        return {"name": self.name, "width": self.width, "seed": self.seed}


class VotingHead(keras.Model):
    """P's last layers: the votes of a map of features for the joints, and E_y's mean of the joints that won.

    Each place of the map says where each joint lies, beside itself, and how much that counts (Xiong et al., A2J, 2019).
    E_y makes a pose latent of the weighted means, so G_y has the last word here, too.

    Attributes:
        num_joints: J.
        encode: E_y's mean, from joints [B, J, 3] in half cubes to the pose latent [B, Z]. Its weights are not P's.
        importance: 1x1 convolution to logits of the weights.
        offset: 1x1 convolution to places beside that of the map; the third number is the depth.
    """

    def __init__(self, num_joints: int, seed: int, encode: Callable[[tf.Tensor], tf.Tensor]):
        super().__init__(name="posterior")
        self.num_joints = num_joints
        self.encode = encode
        self.importance = convolution("posterior/importance", num_joints, 1, 1, seed, activate=False)
        self.offset = convolution("posterior/offset", 3 * num_joints, 1, 1, seed, activate=False)

    def votes(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Features [B, h, w, C] to weights [B, hw, J], of sum 1 per joint, and places [B, hw, J, 3] in half cubes."""
        height, width = features.shape[1:3]
        places = height * width
        logits = tf.reshape(self.importance(features), (-1, places, self.num_joints))
        offset = tf.reshape(self.offset(features), (-1, places, self.num_joints, 3))
        return tf.nn.softmax(logits, axis=1), offset + _centers(height, width)[:, None]

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Features [B, h, w, C] of either discriminator to the pose latent [B, Z]."""
        weights, places = self.votes(features)
        return self.encode(tf.reduce_sum(weights[..., None] * places, axis=1))


def _centers(height: int, width: int) -> np.ndarray:
    """Where the map's places lie in the cube, [hw, 3], half cubes; in its middle plane."""
    v, u = np.meshgrid(_along(height), _along(width), indexing="ij")
    return np.stack([u, v, np.zeros_like(u)], axis=-1).reshape(-1, 3).astype(np.float32)


def _along(count: int) -> np.ndarray:
    return (np.arange(count) + 0.5) / count * 2.0 - 1.0
