"""M against a slow loop over transposed convolutions."""

import numpy as np
import tensorflow as tf

from lsps_tf.networks.layers import LEAKY_SLOPE
from lsps_tf.networks.mapping import Mapping


def numpy_doubling(images, kernel, bias):
    """TCONV K4 S2: each input pixel adds its kernel to 4x4 outputs, one pixel of which lies before its own 2x2."""
    batch, side, _, _ = images.shape
    padded = np.zeros((batch, 2 * side + 2, 2 * side + 2, kernel.shape[2]))
    for i in range(side):
        for j in range(side):
            padded[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum("hwoc,bc->bhwo", kernel, images[:, i, j])
    return padded[:, 1:-1, 1:-1] + bias


def test_mapping_equals_loops():
    mapping = Mapping((6, 5, 3), 4, seed=2)
    pose_latent = np.random.default_rng(0).normal(size=(2, 20)).astype(np.float32)
    output = mapping(tf.constant(pose_latent))
    assert output.shape == (2, mapping.output_side, mapping.output_side, 3) == (2, 16, 16, 3)
    biased = [w + 0.1 * i for i, w in enumerate(mapping.get_weights())]
    mapping.set_weights(biased)
    kernels, biases = biased[0::2], biased[1::2]
    hidden = np.einsum("hwoc,bc->bhwo", kernels[0], pose_latent) + biases[0]
    for kernel, bias in zip(kernels[1:], biases[1:]):
        hidden = numpy_doubling(np.where(hidden > 0, hidden, LEAKY_SLOPE * hidden), kernel, bias)
    np.testing.assert_allclose(mapping(tf.constant(pose_latent)), hidden, atol=1e-4)


def test_kernels_are_4x4_and_the_last_layer_is_linear():
    mapping = Mapping((4, 3), 4, seed=0)
    mapping(tf.zeros((1, 20)))
    first, last = mapping.layers_in_order.layers
    assert first.kernel.shape == (4, 4, 4, 20) and last.kernel.shape == (4, 4, 3, 4)
    assert last.activation(tf.constant(-1.0)) == -1.0
