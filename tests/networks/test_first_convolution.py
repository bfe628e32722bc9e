"""The first convolution against TensorFlow's own, values and gradients."""

import numpy as np
import tensorflow as tf

from lsps_tf.networks.first_convolution import FirstConvolution, convolve_one_channel

RANDOM = np.random.default_rng(1)


def plain_convolution(images, kernel):
    return tf.nn.conv2d(images, kernel, 1, "SAME")


def values_and_gradients(convolve, images, kernel, weights):
    with tf.GradientTape() as tape:
        tape.watch((images, kernel))
        output = convolve(images, kernel)
        total = tf.reduce_sum(weights * output)
    return output, *tape.gradient(total, (images, kernel))


def test_equals_the_plain_convolution():
    images = tf.constant(RANDOM.normal(size=(2, 12, 16, 1)), tf.float32)
    kernel = tf.constant(RANDOM.normal(size=(7, 7, 1, 5)), tf.float32)
    weights = tf.constant(RANDOM.normal(size=(2, 12, 16, 5)), tf.float32)
    ours = values_and_gradients(convolve_one_channel, images, kernel, weights)
    plain = values_and_gradients(plain_convolution, images, kernel, weights)
    for own, expected in zip(ours, plain):
        np.testing.assert_allclose(own, expected, atol=1e-4)


def test_layer_uses_it_with_bias_and_activation():
    layer = FirstConvolution(3, activation="relu", bias_initializer="ones")
    images = tf.constant(RANDOM.normal(size=(1, 8, 8, 1)), tf.float32)
    expected = np.maximum(plain_convolution(images, layer(images) is not None and layer.kernel) + 1.0, 0.0)
    np.testing.assert_allclose(layer(images), expected, atol=1e-5)
