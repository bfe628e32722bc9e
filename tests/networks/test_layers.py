"""Layers against loops that anyone can read."""

import numpy as np
import tensorflow as tf
from scipy import signal

from lsps_tf.networks.layers import (
    LEAKY_SLOPE,
    FanInNormal,
    ResidualBlock,
    apply_together,
    convolution,
    instance_normalize,
    pointwise_convolution,
    transposed_convolution,
)

RANDOM = np.random.default_rng(0)


def numpy_leaky(values):
    return np.where(values > 0, values, LEAKY_SLOPE * values)


def numpy_instance_norm(images):
    result = np.empty_like(images)
    for b in range(images.shape[0]):
        for c in range(images.shape[-1]):
            plane = images[b, :, :, c]
            result[b, :, :, c] = (plane - plane.mean()) / np.sqrt(plane.var() + 1e-5)
    return result


def numpy_convolution(images, kernel):
    """Stride 1, zero padding, any odd kernel: cross-correlation plane by plane."""
    result = np.zeros((*images.shape[:-1], kernel.shape[-1]))
    for b in range(images.shape[0]):
        for i in range(kernel.shape[2]):
            for o in range(kernel.shape[3]):
                result[b, :, :, o] += signal.correlate2d(images[b, :, :, i], kernel[:, :, i, o], mode="same")
    return result


def test_instance_norm_equals_loops():
    images = RANDOM.normal(3.0, 2.0, (2, 5, 7, 3))
    np.testing.assert_allclose(instance_normalize(tf.constant(images)), numpy_instance_norm(images), atol=1e-10)


def test_instance_norm_of_a_constant_is_zero():
    np.testing.assert_array_equal(instance_normalize(tf.fill((1, 4, 4, 2), 5.0)), np.zeros((1, 4, 4, 2)))


def test_residual_block_equals_loops():
    block = ResidualBlock("block", channels=6, width=8, groups=4, seed=3)
    images = RANDOM.normal(size=(2, 5, 6, 6)).astype(np.float32)
    output = block(tf.constant(images))
    assert [len(layer.weights) for layer in (block.reduce, *block.paths, block.expand)] == [1] * 6
    hidden = numpy_leaky(numpy_instance_norm(numpy_convolution(images, block.reduce.kernel.numpy())))
    groups = [
        numpy_convolution(hidden[..., 2 * g : 2 * g + 2], block.paths[g].kernel.numpy()) for g in range(block.groups)
    ]
    hidden = numpy_leaky(numpy_instance_norm(np.concatenate(groups, axis=-1)))
    expected = images + numpy_instance_norm(numpy_convolution(hidden, block.expand.kernel.numpy()))
    np.testing.assert_allclose(output, expected, atol=2e-5)


def test_initial_weights_depend_on_seed_and_name_alone():
    shape = (3, 3, 40, 50)
    first = FanInNormal(1, "a", 9, 2.0)(shape)
    np.testing.assert_array_equal(first, FanInNormal(1, "a", 9, 2.0)(shape))
    assert np.abs(first - FanInNormal(1, "b", 9, 2.0)(shape)).max() > 0.1
    assert np.abs(first - FanInNormal(2, "a", 9, 2.0)(shape)).max() > 0.1
    np.testing.assert_allclose(np.std(first), np.sqrt(2.0 / (9 * 40)), rtol=0.02)


def test_layers_keep_the_variance():
    inputs = tf.constant(RANDOM.normal(size=(4, 16, 16, 64)), tf.float32)
    layers = [
        convolution("convolution", 48, 3, 2, seed=0),
        transposed_convolution("doubling", 48, 4, 2, seed=0),
        transposed_convolution("tripled_taps", 48, 3, 2, seed=0),
    ]
    for layer in layers:
        # E[leaky(x)²] = E[x²] (1 + slope²) / 2, which the gain makes up for.
        power = np.mean(np.square(layer(inputs)[:, 2:-2, 2:-2]))
        np.testing.assert_allclose(power, 1.0, rtol=0.15, err_msg=layer.name)


def test_apply_together_equals_one_by_one():
    block = ResidualBlock("block", channels=4, width=4, groups=2, seed=0)
    parts = {name: tf.constant(RANDOM.normal(size=(n, 4, 4, 4)), tf.float32) for name, n in (("a", 1), ("b", 3))}
    together = apply_together(block, parts)
    assert list(together) == ["a", "b"]
    for name, part in parts.items():
        np.testing.assert_allclose(together[name], block(part), atol=1e-5)


def test_pointwise_convolution_is_the_convolution_with_its_gradients():
    layer = pointwise_convolution("block/reduce", 8, seed=3)
    images = tf.constant(RANDOM.normal(size=(2, 5, 7, 6)).astype(np.float32))
    upstream = tf.constant(RANDOM.normal(size=(2, 5, 7, 8)).astype(np.float32))
    layer(images)
    plain = convolution("block/reduce", 8, 1, 1, 3, activate=False, use_bias=False)
    plain(images)
    np.testing.assert_array_equal(layer.kernel, plain.kernel)
    results = []
    for form in (layer, plain):
        with tf.GradientTape() as tape:
            tape.watch(images)
            output = form(images)
        results.append([output, *tape.gradient(output, [images, form.kernel], upstream)])
    for ours, expected in zip(*results):
        np.testing.assert_allclose(ours, expected, atol=1e-6 * np.abs(expected).max())
