"""The deployed network in whole numbers of 8 bits: how its weights and activations are rounded for the int8 file.

TensorFlow's converter rounds each number to the nearest step and takes the least and greatest activations as ranges.
Nearly all of a crop is background, the same number again and again, so such errors add up instead of cancelling. Here:

- Channels are scaled to like ranges, and the next layer's weights back, which changes nothing before rounding (Nagel et
  al., Data-Free Quantization through Weight Equalization and Bias Correction, 2019, section 4.1).
- The bias of each layer takes back what rounding shifted on average up to there (the same, section 4.2).
- Ranges leave out what is rare where the rest gains more by it.
- The background, +1, is a whole number.
- Of a few such networks, the one is kept that moves joints least.

All of it is measured on crops of the sensor. The graph says the outcome with TensorFlow's fake quantization, which the
converter takes over.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf
from tensorflow import keras

from lsps_tf.run_folder import Run

Range = tuple[float, float]
LARGEST_WEIGHT = 127
# Steps of 1/127 around 0, so that the background, +1, is the whole number 127.
INPUT_RANGE = (-128.0 / LARGEST_WEIGHT, 1.0)
# By how much channels may be scaled; which is best differs from network to network.
SCALINGS = (1.0, 2.0, 4.0, 8.0)
_USUAL_PERCENT = 99.9
# Shares of the greatest and least activation at which ranges are tried.
_UPPER_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
_LOWER_SHARES = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3)
_PART, _SAMPLES = 32, 40_000
# Of all crops together, so that their activations fit into memory.
_MOST_PIXELS = 512 * 64 * 64


@dataclasses.dataclass(frozen=True)
class RoundedLayer:
    """A layer whose numbers are rounded.

    Attributes:
        layer: the Keras layer that it stands for; its kind, stride, padding and activation.
        kernel: as of the layer, not rounded yet.
        bias: [N].
        before: range of what the layer gives before its activation.
        after: and after it; the same where there is none.
    """

    layer: keras.layers.Layer
    kernel: np.ndarray
    bias: np.ndarray
    before: Range = (0.0, 0.0)
    after: Range = (0.0, 0.0)

    def linear(self, value: tf.Tensor, rounded: bool = True) -> tf.Tensor:
        """What the layer gives before its activation; the activation itself is not rounded."""
        kernel = round_kernel(self.kernel) if rounded else self.kernel
        convolves = isinstance(self.layer, keras.layers.Conv2D)
        return (self.layer.convolution_op(value, kernel) if convolves else tf.matmul(value, kernel)) + self.bias

    def activate(self, value: tf.Tensor) -> tf.Tensor:
        """Rounds what `linear` gave, and what the activation makes of it."""
        value = round_to(value, self.before)
        if not self.activates:
            return value
        return round_to(self.layer.activation(value), self.after)

    @property
    def activates(self) -> bool:
        return self.layer.activation is not keras.activations.linear


class RoundedNetwork(tf.Module):
    """P_r = G_y(P(x)) in whole numbers, as a graph of fake quantization."""

    def __init__(self, layers: list[RoundedLayer], num_joints: int):
        super().__init__(name="rounded")
        self.rounded_layers, self.num_joints = layers, num_joints

    def __call__(self, image: tf.Tensor) -> tf.Tensor:
        """Crops [B, S, S, 1] in [-1, 1] to joints [B, J, 3] in half cubes."""
        value, range_ = round_to(image, INPUT_RANGE), INPUT_RANGE
        for layer in self.rounded_layers:
            value = layer.activate(layer.linear(_input_of(layer, value, range_)))
            range_ = layer.after
        return round_to(tf.reshape(value, [-1, self.num_joints, 3]), range_)


def round_network(run: Run, images: np.ndarray) -> RoundedNetwork:
    """Rounds the deployed network of a run.

    Args:
        run: a loaded run, which stays as it is.
        images: [N, S, S, 1] crops of the sensor in [-1, 1], which decide ranges and biases.
    """
    count = min(len(images), max(1, _MOST_PIXELS // images[0].size))
    parts = _parts(images[np.linspace(0, len(images) - 1, count).astype(np.int64)])
    exact = [run.networks.predict_joints(part, run.domain) for part in parts]

    def moved(network: RoundedNetwork) -> float:
        return sum(float(tf.reduce_sum(tf.square(network(part) - joints))) for part, joints in zip(parts, exact))

    layers, joints = deployed_layers(run), run.config.network.num_joints
    networks = [RoundedNetwork(_round_layers(equalize(layers, parts, most), parts), joints) for most in SCALINGS]
    return min(networks, key=moved)


def _round_layers(layers: list[RoundedLayer], exact: list[tf.Tensor]) -> list[RoundedLayer]:
    """Layers with ranges, and with biases that make up for all rounding before them."""
    rounded_layers, range_ = [], INPUT_RANGE
    rounded = [round_to(part, INPUT_RANGE) for part in exact]
    for layer in layers:
        exact = [layer.linear(_input_of(layer, value), rounded=False) for value in exact]
        rounded = [layer.linear(_input_of(layer, value, range_)) for value in rounded]
        shift = _mean_difference(exact, rounded)
        rounded = [value + shift for value in rounded]
        layer = _with_ranges(dataclasses.replace(layer, bias=layer.bias + shift), rounded)
        exact = [layer.layer.activation(value) for value in exact]
        rounded, range_ = [layer.activate(value) for value in rounded], layer.after
        rounded_layers.append(layer)
    return rounded_layers


def equalize(layers: list[RoundedLayer], values: list[tf.Tensor], most: float) -> list[RoundedLayer]:
    """The same function with channels between layers scaled to like ranges.

    LeakyReLU lets positive factors through, so a channel's factor is taken out of one layer and put into the next.

    Args:
        layers: of the network.
        values: crops, in parts.
        most: by how much a channel is scaled at most; without a limit rare values would decide.
    """
    layers = list(layers)
    for number in range(len(layers) - 1):
        layer, following = layers[number], layers[number + 1]
        values = [layer.layer.activation(layer.linear(_input_of(layer, value), rounded=False)) for value in values]
        usual = np.percentile(np.abs(_sample(values)), _USUAL_PERCENT, axis=0)
        scale = np.maximum(usual / max(usual.max(), 1e-6), 1.0 / most).astype(np.float32)
        layers[number] = dataclasses.replace(layer, kernel=layer.kernel / scale, bias=layer.bias / scale)
        layers[number + 1] = dataclasses.replace(following, kernel=following.kernel * scale[:, None])
        values = [value / scale for value in values]
    return layers


def round_kernel(kernel: np.ndarray) -> tf.Tensor:
    """A kernel in whole steps: of a convolution [h, w, C, N] a step per output channel, of a dense layer [C, N] one."""
    quantization = tf.quantization
    if kernel.ndim == 2:
        largest = max(float(np.abs(kernel).max()), 1e-6)
        return quantization.fake_quant_with_min_max_vars(kernel, -largest, largest, narrow_range=True)
    largest = np.maximum(np.abs(kernel).max(axis=(0, 1, 2)), 1e-6)
    return quantization.fake_quant_with_min_max_vars_per_channel(kernel, -largest, largest, narrow_range=True)


def round_to(value: tf.Tensor, range_: Range) -> tf.Tensor:
    """An activation in 256 steps of a range, one of which is 0."""
    return tf.quantization.fake_quant_with_min_max_vars(value, *range_)


def deployed_layers(run: Run) -> list[RoundedLayer]:
    """The layers of P_r = G_y(P(x)) in their order: the run's trunk, P's head, and G_y."""
    layers = run.networks.deployed_layers(run.domain)
    return [RoundedLayer(layer, layer.kernel.numpy(), layer.bias.numpy()) for layer in layers]


def _input_of(layer: RoundedLayer, value: tf.Tensor, range_: Range | None = None) -> tf.Tensor:
    """A layer's input; P's map is averaged before the first dense layer, and rounded again where a range is given."""
    if not isinstance(layer.layer, keras.layers.Dense) or len(value.shape) == 2:
        return value
    value = tf.reduce_mean(value, axis=(1, 2))
    return value if range_ is None else round_to(value, range_)


def _with_ranges(layer: RoundedLayer, values: list[tf.Tensor]) -> RoundedLayer:
    """The layer with the ranges whose rounding leaves the least variance of errors; a mean error is not counted.

    Args:
        layer: without ranges.
        values: what it gives before its activation.
    """
    lowest = min(min(float(tf.reduce_min(value)) for value in values), 0.0)
    highest = max(max(float(tf.reduce_max(value)) for value in values), 1e-6)
    sample = tf.constant(_sample(values))
    wanted, tried = layer.layer.activation(sample), []
    for upper in _UPPER_SHARES:
        for lower in _LOWER_SHARES:
            before = (lower * lowest, upper * highest)
            after = (float(layer.layer.activation(tf.constant(before[0]))), before[1])
            candidate = dataclasses.replace(layer, before=before, after=after)
            error = tf.math.reduce_variance(candidate.activate(sample) - wanted, axis=0)
            tried.append((float(tf.reduce_mean(error)), candidate))
    return min(tried, key=lambda pair: pair[0])[1]


def _mean_difference(exact: list[tf.Tensor], rounded: list[tf.Tensor]) -> np.ndarray:
    """Of each channel, [N]."""
    axes = range(len(exact[0].shape) - 1)
    sums = [tf.reduce_sum(one - other, axis=axes) for one, other in zip(exact, rounded)]
    return (tf.add_n(sums) / sum(int(tf.size(value[..., 0])) for value in exact)).numpy()


def _sample(values: list[tf.Tensor]) -> np.ndarray:
    """At most so many places of activations, [n, N]."""
    rows = [tf.reshape(value, [-1, value.shape[-1]]).numpy() for value in values]
    stride = max(1, sum(map(len, rows)) // _SAMPLES)
    # No divisor of an image's side, or the same columns would be seen in every row.
    stride += stride % 2 == 0
    return np.concatenate(rows)[::stride]


def _parts(images: np.ndarray) -> list[tf.Tensor]:
    return [tf.constant(part) for part in np.split(images, range(_PART, len(images), _PART))]
