"""E_y and G_y against matrix products."""

import numpy as np
import tensorflow as tf

from lsps_tf.networks.layers import LEAKY_SLOPE
from lsps_tf.networks.pose_vae import PoseDecoder, PoseEncoder

RANDOM = np.random.default_rng(0)


def numpy_layers(inputs, hidden, *outputs):
    activations = inputs @ hidden.kernel.numpy() + hidden.bias.numpy()
    activations = np.where(activations > 0, activations, LEAKY_SLOPE * activations)
    return [activations @ layer.kernel.numpy() + layer.bias.numpy() for layer in outputs]


def test_encoder_equals_matrix_products():
    encoder = PoseEncoder(hidden_width=30, latent_size=20, seed=0)
    joints = RANDOM.normal(size=(5, 108)).astype(np.float32)
    mean, stddev = encoder(tf.constant(joints))
    expected_mean, log_variance = numpy_layers(joints, encoder.hidden, encoder.mean, encoder.log_variance)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-5)
    np.testing.assert_allclose(stddev, np.sqrt(np.exp(log_variance)), rtol=1e-4)


def test_decoder_equals_matrix_products():
    decoder = PoseDecoder(hidden_width=30, num_joints=16, seed=0)
    pose_latent = RANDOM.normal(size=(5, 20)).astype(np.float32)
    joints = decoder(tf.constant(pose_latent))
    assert joints.shape == (5, 48)
    np.testing.assert_allclose(joints, *numpy_layers(pose_latent, decoder.hidden, decoder.output_layer), atol=1e-5)


def test_deviation_is_finite_for_wild_joints():
    encoder = PoseEncoder(hidden_width=30, latent_size=20, seed=0)
    _, stddev = encoder(tf.constant(1e4 * RANDOM.normal(size=(8, 108)), tf.float32))
    assert np.all(np.isfinite(stddev)) and np.all(stddev.numpy() > 0)
