"""The int8 network's rounding: the function before it, its averages after it, and the file that is made of it."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from export.tflite import rounding
from export.tflite.calibration import calibration_images
from export.tflite.convert import export_tflite
from lsps_tf.device.network import TfliteNetwork
from lsps_tf.run_folder import load_run


@pytest.fixture(scope="module")
def run(run_dir):
    return load_run(run_dir)


@pytest.fixture(scope="module")
def images(run):
    return calibration_images(run)


@pytest.fixture(scope="module")
def network(run, images):
    return rounding.round_network(run, images)


def exact_joints(layers, images):
    value = tf.constant(images)
    for layer in layers:
        if layer.kernel.ndim == 2 and len(value.shape) == 4:
            value = tf.reduce_mean(value, axis=(1, 2))
        value = layer.layer.activation(layer.linear(value, rounded=False))
    return tf.reshape(value, [len(images), -1, 3]).numpy()


def test_a_kernel_has_255_steps_per_output_channel_or_in_all():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 4, 5)).astype(np.float32) * np.array([1, 10, 0.1, 3, 1e-3], np.float32)
    step = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    np.testing.assert_allclose(rounding.round_kernel(kernel), np.rint(kernel / step) * step, atol=1e-5)
    dense = rng.normal(size=(7, 6)).astype(np.float32)
    step = np.abs(dense).max() / 127
    np.testing.assert_allclose(rounding.round_kernel(dense), np.rint(dense / step) * step, atol=1e-5)
    assert not rounding.round_kernel(np.zeros((3, 3, 1, 2), np.float32)).numpy().any()


@pytest.mark.parametrize("most", rounding.SCALINGS)
def test_equalized_layers_compute_the_same(run, images, most):
    layers = rounding.deployed_layers(run)
    equalized = rounding.equalize(layers, [tf.constant(images)], most)
    expected = run.networks.predict_joints(images, run.domain).numpy()
    np.testing.assert_allclose(exact_joints(layers, images), expected, atol=1e-5)
    np.testing.assert_allclose(exact_joints(equalized, images), expected, atol=1e-5)
    changed = not np.allclose(equalized[0].kernel, layers[0].kernel)
    assert changed == (most > 1)


def test_biases_take_the_mean_error_back(run, images):
    """Against the same rounding with the biases as they were."""
    parts, layers = [tf.constant(images)], rounding.deployed_layers(run)
    rounded_layers = rounding._round_layers(layers, parts)
    expected = run.networks.predict_joints(images, run.domain).numpy()

    def mean_error(chosen):
        # The output's own rounding is left out, which the last bias cannot know.
        network = rounding.RoundedNetwork(chosen, expected.shape[1])
        return np.abs((network(parts[0]).numpy() - expected).mean(axis=0)).mean()

    plain = [dataclasses.replace(rounded, bias=layer.bias) for rounded, layer in zip(rounded_layers, layers)]
    assert mean_error(rounded_layers) < 0.5 * mean_error(plain)


def test_the_run_stays_as_it_is(run, images, network):
    before = [layer.bias.copy() for layer in rounding.deployed_layers(load_run(run.directory))]
    after = [layer.bias for layer in rounding.deployed_layers(run)]
    for one, other in zip(before, after):
        np.testing.assert_array_equal(one, other)


def test_the_file_computes_what_its_graph_says(run, images, network, tmp_path):
    (path,) = export_tflite(run, tmp_path, ("int8",), images)
    expected = network(tf.constant(images)).numpy()
    litert = TfliteNetwork(path)
    predicted = np.stack([litert(image)[0] for image in images])
    low, high = network.rounded_layers[-1].after
    # LiteRT rounds LeakyReLU's slope in its own way, which moves a few numbers by a step or two.
    assert np.abs(predicted - expected).mean() < 1.5 * (high - low) / 255


def test_the_background_is_a_whole_number(model_dir):
    (tensor,) = Interpreter(model_path=str(model_dir / "lsps-int8.tflite")).get_input_details()
    scale, zero = tensor["quantization"]
    assert (round(1 / scale, 3), zero) == (127, 0)
