"""The preset `paper` against the appendix's tables 2 to 4, row by row."""

import pytest
import tensorflow as tf

from lsps_tf.networks import DOMAINS, ResidualBlock, build_networks
from lsps_tf.networks.layers import leaky_relu
from lsps_tf.presets import PRESETS

RESBLK = ("RESBLK", 512, 4, 3, 1)
ENCODER_PRIVATE = [
    ("CONV", 64, 7, 1, 128, "leaky"),
    ("CONV", 128, 3, 2, 64, "leaky"),
    ("CONV", 256, 3, 2, 32, "leaky"),
    *[RESBLK] * 3,
]
# The design settles one image channel where table 4 prints N3.
GENERATOR_PRIVATE = [
    *[RESBLK] * 3,
    ("TCONV", 256, 3, 2, 64, "leaky"),
    ("TCONV", 128, 3, 2, 128, "leaky"),
    ("TCONV", 1, 1, 1, 128, "linear"),
]
DISCRIMINATOR_PRIVATE = [("CONV", 64, 3, 2, 64, "leaky"), ("CONV", 128, 3, 2, 32, "leaky")]
DISCRIMINATOR_SHARED = [
    ("CONV", 256, 3, 2, 16, "leaky"),
    ("CONV", 512, 3, 2, 8, "leaky"),
    ("CONV", 1024, 3, 2, 4, "leaky"),
]
MAPPING = [
    ("TCONV", 1024, 4, 1, 4, "leaky"),
    ("TCONV", 1024, 4, 2, 8, "leaky"),
    ("TCONV", 512, 4, 2, 16, "leaky"),
    ("TCONV", 256, 4, 2, 32, "linear"),
]


@pytest.fixture(scope="module")
def networks():
    config = PRESETS["paper"]
    return build_networks(config.network, config.data.image_size, seed=0)


def row(layer):
    """A layer as its table's row, with the output's side and the activation."""
    if isinstance(layer, ResidualBlock):
        (kernel,) = {path.kernel_size[0] for path in layer.paths}
        (stride,) = {path.strides[0] for path in layer.paths}
        assert layer.reduce.kernel_size == layer.expand.kernel_size == (1, 1)
        assert layer.reduce.filters == sum(path.filters for path in layer.paths) == layer.width
        assert layer.expand.filters == layer.channels == 256 and layer.output_shape == (None, 32, 32, 256)
        return ("RESBLK", layer.width, len(layer.paths), kernel, stride)
    kind = "TCONV" if isinstance(layer, tf.keras.layers.Conv2DTranspose) else "CONV"
    activation = "leaky" if layer.activation is leaky_relu else layer.activation.__name__
    return (kind, layer.filters, layer.kernel_size[0], layer.strides[0], layer.output_shape[1], activation)


def rows(sequence):
    return [row(layer) for layer in sequence.layers]


def test_table_2_pose_model(networks):
    encoder, decoder = networks.pose_encoder, networks.pose_decoder
    assert encoder.hidden.kernel.shape == (3 * 36, 30) and encoder.hidden.activation is leaky_relu
    assert encoder.mean.kernel.shape == encoder.log_variance.kernel.shape == (30, 20)
    assert decoder.hidden.kernel.shape == (20, 30) and decoder.hidden.activation is leaky_relu
    assert decoder.output_layer.kernel.shape == (30, 3 * 36)


def test_table_3_mapping(networks):
    assert rows(networks.mapping.layers_in_order) == MAPPING
    assert networks.mapping.layers_in_order.layers[0].kernel.shape[-1] == 20


@pytest.mark.parametrize("domain", DOMAINS)
def test_table_4_encoders(networks, domain):
    encoder = networks.encoders[domain]
    assert rows(encoder.private) == ENCODER_PRIVATE
    assert rows(encoder.shared) == [RESBLK]


@pytest.mark.parametrize("domain", DOMAINS)
def test_table_4_generators(networks, domain):
    generator = networks.generators[domain]
    *layers, last = generator.private.layers
    assert rows(generator.shared) == [RESBLK]
    assert [row(layer) for layer in layers] == GENERATOR_PRIVATE
    assert last.activation is tf.keras.activations.tanh


@pytest.mark.parametrize("domain", DOMAINS)
def test_table_4_discriminators_and_posterior(networks, domain):
    discriminator = networks.discriminators[domain]
    assert rows(discriminator.private) == DISCRIMINATOR_PRIVATE
    assert rows(discriminator.shared) == DISCRIMINATOR_SHARED
    for head, width in ((discriminator.head, 1), (networks.posterior.output_layer, 20)):
        assert (head.filters, head.kernel_size, head.strides) == (width, (2, 2), (1, 1))
        # Of 4x4 features; the sigmoid is part of the losses.
        assert head.compute_output_shape((1, 4, 4, 1024)) == (1, 3, 3, width)
        assert head.activation is tf.keras.activations.linear
