"""The network that looks at a crop: is a hand there, where is its middle, and which hand is it.

It is P's way down and up again (`networks.votes.TopDown`), with a head for those questions. It starts from the P that
comes with the program, which knows hands among things, and is trained further on the simulator.
"""

from __future__ import annotations

import tensorflow as tf

from lsps_tf.hand_finding.constants import CROP_SIZE, OUTPUTS
from lsps_tf.networks.layers import leaky_relu

# Shapes of the kernels by name, in P's order. Those of the way down have a stride of 2, but for "again".
TRUNK_SHAPES = {
    "crop/down0": (3, 3, 1, 24),
    "crop/down1": (3, 3, 24, 48),
    "crop/down1/again": (3, 3, 48, 48),
    "crop/down2": (3, 3, 48, 80),
    "crop/down2/again": (3, 3, 80, 80),
    "crop/down3": (3, 3, 80, 128),
    "crop/down3/again": (3, 3, 128, 128),
    "crop/down4": (3, 3, 128, 144),
    "crop/down4/again": (3, 3, 144, 144),
    "crop/deepest": (1, 1, 144, 128),
    "crop/up0/below": (1, 1, 128, 128),
    "crop/up0/beside": (1, 1, 128, 128),
    "crop/up0": (3, 3, 128, 128),
    "crop/up1/below": (1, 1, 128, 96),
    "crop/up1/beside": (1, 1, 80, 96),
    "crop/up1": (3, 3, 96, 96),
    "crop/last": (3, 3, 96, 96),
}
# The map that the head sees is an eighth of the crop, halved once more.
_HEAD_WIDTH, _HIDDEN = 64, 128
HEAD_SHAPES = {
    "crop/head": (3, 3, 96, _HEAD_WIDTH),
    "crop/hidden": ((CROP_SIZE // 16) ** 2 * _HEAD_WIDTH, _HIDDEN),
    "crop/output": (_HIDDEN, OUTPUTS),
}

Weights = dict[str, tf.Tensor]


def look_at_crop(weights: Weights, images: tf.Tensor) -> tf.Tensor:
    """What the network says, [B, OUTPUTS], of crops [B, CROP_SIZE, CROP_SIZE, 1], in [-1, 1].

    Its outputs are a hand's logit, a right hand's, and the offset to the hand's middle in units of OFFSET_MM.
    """
    value = _convolve(weights, "crop/head", features(weights, images), 2)
    value = tf.reshape(value, [-1, HEAD_SHAPES["crop/hidden"][0]])
    value = leaky_relu(value @ weights["crop/hidden/kernel"] + weights["crop/hidden/bias"])
    return value @ weights["crop/output/kernel"] + weights["crop/output/bias"]


def features(weights: Weights, images: tf.Tensor) -> tf.Tensor:
    """P's map [B, S / 8, S / 8, 96] of crops [B, S, S, 1]; S is a whole multiple of 16."""
    maps = [_convolve(weights, "crop/down0", images, 2)]
    for level in range(1, 5):
        value = _convolve(weights, f"crop/down{level}", maps[-1], 2)
        maps.append(_convolve(weights, f"crop/down{level}/again", value))
    value = _convolve(weights, "crop/deepest", maps[4])
    for step, beside in enumerate((maps[3], maps[2])):
        below = _linear(weights, f"crop/up{step}/below", value)
        height, width = beside.shape[1:3]
        below = tf.image.resize(below, [height, width], "nearest")
        value = leaky_relu(below + _linear(weights, f"crop/up{step}/beside", beside))
        value = _convolve(weights, f"crop/up{step}", value)
    return _convolve(weights, "crop/last", value)


def _convolve(weights: Weights, name: str, value: tf.Tensor, stride: int = 1) -> tf.Tensor:
    return leaky_relu(_linear(weights, name, value, stride))


def _linear(weights: Weights, name: str, value: tf.Tensor, stride: int = 1) -> tf.Tensor:
    return tf.nn.conv2d(value, weights[f"{name}/kernel"], stride, "SAME") + weights[f"{name}/bias"]
