"""Building blocks of tables 2 to 4: seeded layers, instance norm and the grouped residual block."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable

import tensorflow as tf
from tensorflow import keras

from lsps_tf.networks.first_convolution import KERNEL, FirstConvolution

# The tables name no slope. With the 0.01 of the authors' released code, the pose VAE of table 2 brings held-out poses
# back within 12 mm, with 0.2 within 7 mm (4,000 steps): with 30 hidden units, half-dead ones are missed.
LEAKY_SLOPE = 0.2
NORM_EPSILON = 1e-5


def leaky_relu(inputs: tf.Tensor) -> tf.Tensor:
    """LeakyReLU of slope 0.2, any shape."""
    return tf.nn.leaky_relu(inputs, LEAKY_SLOPE)


def instance_normalize(inputs: tf.Tensor) -> tf.Tensor:
    """Zero mean and unit variance over height and width per sample and channel, without affine parameters.

    Args:
        inputs: [B, H, W, C].
    """
    centered = inputs - tf.reduce_mean(inputs, axis=(1, 2), keepdims=True)
    variance = tf.reduce_mean(tf.square(centered), axis=(1, 2), keepdims=True)
    return centered * tf.math.rsqrt(variance + NORM_EPSILON)


class FanInNormal(keras.initializers.Initializer):
    """Normal initial weights of variance gain / fan-in, a pure function of the run's seed and the layer's name.

    Attributes:
        seed: the run's seed.
        name: the layer's name, unique within the networks.
        taps: kernel positions that one output pixel sees (kernel² for a convolution, kernel² / stride² transposed).
        gain: 2 / (1 + slope²) before a LeakyReLU (He et al., 2015), 1 before none.
        input_axis: the kernel's axis of input channels.
    """

    def __init__(self, seed: int, name: str, taps: float, gain: float, input_axis: int = -2):
        self.seed = seed
        self.name = name
        self.taps = taps
        self.gain = gain
        self.input_axis = input_axis

    def __call__(self, shape, dtype=None, **kwargs) -> tf.Tensor:
        stddev = (self.gain / (self.taps * shape[self.input_axis])) ** 0.5
        key = tf.constant([self.seed % 2**31, zlib.crc32(self.name.encode()) % 2**31], tf.int32)
        return tf.random.stateless_normal(shape, key, stddev=stddev, dtype=dtype or tf.float32)

    def get_config(self) -> dict:
        names = ("seed", "name", "taps", "gain", "input_axis")
        return {name: getattr(self, name) for name in names}


def dense(name: str, width: int, seed: int, activate: bool = False) -> keras.layers.Dense:
    """FC-(N width) of table 2, with LeakyReLU where `activate`."""
    initializer = FanInNormal(seed, name, 1, _gain(activate))
    return keras.layers.Dense(width, _activation(activate), kernel_initializer=initializer, name=_plain(name))


def convolution(
    name: str,
    width: int,
    kernel: int,
    stride: int,
    seed: int,
    activate: bool = True,
    use_bias: bool = True,
    padding: str = "same",
) -> keras.layers.Conv2D:
    """CONV-(N width, K kernel, S stride) of table 4, with LeakyReLU where `activate`."""
    return keras.layers.Conv2D(
        width,
        kernel,
        stride,
        padding,
        activation=_activation(activate),
        use_bias=use_bias,
        kernel_initializer=FanInNormal(seed, name, kernel**2, _gain(activate)),
        name=_plain(name),
    )


def first_convolution(name: str, width: int, seed: int) -> FirstConvolution:
    """CONV-(N width, K7, S1), LeakyReLU of table 4, from one channel."""
    initializer = FanInNormal(seed, name, KERNEL**2, _gain(activate=True))
    return FirstConvolution(width, activation=leaky_relu, kernel_initializer=initializer, name=_plain(name))


class PointwiseConvolution(keras.layers.Conv2D):
    """A 1x1 convolution as a matrix product.

    On a CPU both gradients and the product itself take less time than as a convolution, the kernel's most of all.
    """

    def __init__(self, filters: int, **options):
        super().__init__(filters, 1, **options)

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return tf.tensordot(inputs, kernel[0, 0], 1)


def pointwise_convolution(name: str, width: int, seed: int) -> PointwiseConvolution:
    """CONV-(N width, K1, S1) without bias or activation."""
    initializer = FanInNormal(seed, name, 1, _gain(activate=False))
    return PointwiseConvolution(width, use_bias=False, kernel_initializer=initializer, name=_plain(name))


def transposed_convolution(
    name: str, width: int, kernel: int, stride: int, seed: int, activate: bool = True, padding: str = "same"
) -> keras.layers.Conv2DTranspose:
    """TCONV-(N width, K kernel, S stride) of tables 3 and 4, with LeakyReLU where `activate`.

    Padding "same" multiplies height and width by the stride; "valid" makes kernel x kernel of one pixel.
    """
    taps = kernel**2 / stride**2 if padding == "same" else 1
    return keras.layers.Conv2DTranspose(
        width,
        kernel,
        stride,
        padding,
        activation=_activation(activate),
        kernel_initializer=FanInNormal(seed, name, taps, _gain(activate), input_axis=-1),
        name=_plain(name),
    )


class ResidualBlock(keras.layers.Layer):
    """RESBLK-(N width, C groups, K3, S1) of table 4: a grouped bottleneck (Xie et al., 2017).

    1x1 to `width`, 3x3 in `groups` paths, 1x1 back to `channels`; instance norm after each, LeakyReLU after the first
    two, identity added. Convolutions have no bias, since the norm that follows takes any constant away.

    Attributes:
        channels: of input and output.
        width: inner channels, the table's N; divisible by groups.
        groups: paths, the table's C.
        seed: the run's seed of initial weights.
    """

    def __init__(self, name: str, channels: int, width: int, groups: int, seed: int):
        super().__init__(name=_plain(name))
        self.channels = channels
        self.width = width
        self.groups = groups
        self.seed = seed
        options = {"activate": False, "use_bias": False}
        self.reduce = pointwise_convolution(f"{name}/reduce", width, seed)
        # Split, convolutions and concat: Conv2D(groups=...) is ten times slower on CPUs.
        self.paths = [convolution(f"{name}/path_{i}", width // groups, 3, 1, seed, **options) for i in range(groups)]
        self.expand = pointwise_convolution(f"{name}/expand", channels, seed)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[B, H, W, channels] to the same shape."""
        hidden = leaky_relu(instance_normalize(self.reduce(inputs)))
        parts = tf.split(hidden, self.groups, axis=-1)
        hidden = tf.concat([path(part) for path, part in zip(self.paths, parts)], axis=-1)
        hidden = leaky_relu(instance_normalize(hidden))
        return inputs + instance_normalize(self.expand(hidden))

    def get_config(self) -> dict:
        names = ("channels", "width", "groups", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def apply_together(
    layer: Callable[[tf.Tensor], tf.Tensor], parts: dict[Hashable, tf.Tensor]
) -> dict[Hashable, tf.Tensor]:
    """Runs `layer` once over all parts, concatenated along the batch, and gives its outputs under the parts' keys.

    Exact for every network here, none of which mixes samples.
    """
    sizes = [part.shape[0] if part.shape[0] is not None else tf.shape(part)[0] for part in parts.values()]
    outputs = layer(tf.concat(list(parts.values()), axis=0))
    return dict(zip(parts, tf.split(outputs, sizes, axis=0)))


def _activation(activate: bool) -> Callable[[tf.Tensor], tf.Tensor] | None:
    return leaky_relu if activate else None


def _gain(activate: bool) -> float:
    return 2.0 / (1.0 + LEAKY_SLOPE**2) if activate else 1.0


def _plain(name: str) -> str:
    return name.replace("/", "_")
