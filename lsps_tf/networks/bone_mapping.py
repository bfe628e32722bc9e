"""The mapping M that draws: the pose latent's joints as maps of their bones, and convolutions from there."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from tensorflow import keras

from lsps_tf.config import NetworkConfig
from lsps_tf.errors import InputError
from lsps_tf.networks.bones import draw_bones
from lsps_tf.networks.depth_vae import residual_blocks
from lsps_tf.networks.layers import convolution
from lsps_tf.skeleton import SKELETONS

# Half a cube of 250 mm over a distance of 600 mm: where the training of the one number starts.
PERSPECTIVE = 0.2


class BoneMapping(keras.Model):
    """M as a function of the pose latent alone, whose geometry is not learned (not in the paper; table 3 is `Mapping`).

    The pose decoder G_y makes joints of the latent, and `draw_bones` makes maps of them with half the image's pixels.
    A 3x3 convolution of stride 2, further ones of stride 1 and residual blocks turn the maps into the depth latent. So
    where a finger lies is given, and what a finger looks like is to be learned.

    Attributes:
        decode: G_y, from the pose latent [B, Z] to joints [B, J, 3] in half cubes. Its weights are not M's.
        bones: pairs of joints.
        map_side: pixels of the maps' side.
        perspective: of `draw_bones`, one weight.
    """

    def __init__(self, config: NetworkConfig, image_size: int, seed: int, decode: Callable[[tf.Tensor], tf.Tensor]):
        super().__init__(name="mapping")
        self.decode = decode
        self.bones = bones_of(config.num_joints)
        self.map_side = image_size // 2
        self.perspective = self.add_weight(
            name="perspective", shape=(), initializer=keras.initializers.Constant(PERSPECTIVE)
        )
        first, *others = config.mapping_widths
        layers = [convolution("mapping/convolution_1", first, 3, 2, seed)]
        layers += [convolution(f"mapping/convolution_{i}", n, 3, 1, seed) for i, n in enumerate(others, start=2)]
        layers.append(convolution("mapping/features", config.encoder_widths[-1], 3, 1, seed, activate=False))
        layers += residual_blocks("mapping", config.mapping_blocks, config, seed)
        self.layers_in_order = keras.Sequential(layers, name="mapping_layers")

    def call(self, pose_latent: tf.Tensor) -> tf.Tensor:
        """Pose latent [B, Z] to depth latent [B, S/4, S/4, C]."""
        return self.layers_in_order(draw_bones(self.decode(pose_latent), self.bones, self.map_side, self.perspective))


def bones_of(num_joints: int) -> tuple[tuple[int, int], ...]:
    """The bones of the layout with so many joints; InputError where no layout that models are trained in has them."""
    for skeleton in SKELETONS.values():
        if skeleton.num_joints == num_joints:
            return skeleton.bones
    known = ", ".join(f"{skeleton.num_joints} ({skeleton.name})" for skeleton in SKELETONS.values())
    raise InputError(f"mapping: bones are known of {known} joints, not of {num_joints}; take --mapping code")
