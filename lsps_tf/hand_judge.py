"""A small network that looks at a crop and says whether it shows a hand, which hand, and where its palm is.

It judges the candidates of `hand_finding`, as the refinement network of DeepPrior++ does (Oberweger & Lepetit, 2017,
section 3.2), and is trained on the simulator alone, with both sensors and with arms, bodies, walls and other things for
what is no hand: `python training/hand_finder.py` makes `hand_judge.npz` again. Three strided convolutions and two dense
layers on 32 x 32 pixels: it costs less than the crop that it looks at.
"""

from __future__ import annotations

import functools
import pathlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf import crop

WEIGHTS = pathlib.Path(__file__).with_name("hand_judge.npz")
IMAGE_SIZE = 32
CUBE_MM = 300.0
# Offsets leave the network in units of this.
OFFSET_MM = 50.0
LEAK = 0.1
CONVOLUTIONS = (("conv0", 5, 16), ("conv1", 3, 32), ("conv2", 3, 48))
DENSE = (("dense0", 96), ("dense1", 8))


class Judgement(NamedTuple):
    """What the network says of crops.

    Attributes:
        presence: [B] logit: above 0 a hand is around the crop's centre.
        right: [B] logit: above 0 it is a right hand.
        palm_mm: [B, 3] from the crop's centre to the palm's centre (NYU's joint "palm"), camera space.
        middle_mm: [B, 3] from the crop's centre to the mean of the hand's joints.
    """

    presence: tf.Tensor
    right: tf.Tensor
    palm_mm: tf.Tensor
    middle_mm: tf.Tensor


@functools.lru_cache(maxsize=1)
def load_weights() -> dict[str, np.ndarray]:
    """The shipped weights by name, float32."""
    with np.load(WEIGHTS) as file:
        return {name: file[name].astype(np.float32) for name in file.files}


def judge(depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor, weights: dict | None = None) -> Judgement:
    """Judges what is around a centre.

    Args:
        depth_mm: [B, H, W], frames or crops, 0 = no reading.
        intrinsics: [B, 4] (of crops: `crop.crop_intrinsics`).
        center_mm: [B, 3] camera space, z > 0.
        weights: in place of the shipped ones.
    """
    weights = load_weights() if weights is None else weights
    cropped_mm = crop.crop_frame(depth_mm, intrinsics, center_mm, CUBE_MM, IMAGE_SIZE)
    value = crop.normalize_depth(cropped_mm, center_mm, CUBE_MM)
    for name, _, _ in CONVOLUTIONS:
        value = tf.nn.conv2d(value, weights[f"{name}/kernel"], 2, "SAME") + weights[f"{name}/bias"]
        value = tf.nn.leaky_relu(value, LEAK)
    value = tf.reshape(value, [-1, weights["dense0/kernel"].shape[0]])
    value = tf.nn.leaky_relu(value @ weights["dense0/kernel"] + weights["dense0/bias"], LEAK)
    value = value @ weights["dense1/kernel"] + weights["dense1/bias"]
    return Judgement(value[:, 0], value[:, 1], OFFSET_MM * value[:, 2:5], OFFSET_MM * value[:, 5:8])


def new_weights(seed: int) -> dict[str, np.ndarray]:
    """Weights to start training from (He et al., 2015)."""
    rng = np.random.default_rng(seed)
    channels, size, weights = 1, IMAGE_SIZE, {}
    for name, kernel, width in CONVOLUTIONS:
        scale = np.sqrt(2.0 / (kernel * kernel * channels))
        weights[f"{name}/kernel"] = scale * rng.standard_normal((kernel, kernel, channels, width))
        weights[f"{name}/bias"] = np.zeros(width)
        channels, size = width, size // 2
    inputs = size * size * channels
    for name, width in DENSE:
        weights[f"{name}/kernel"] = np.sqrt(2.0 / inputs) * rng.standard_normal((inputs, width))
        weights[f"{name}/bias"] = np.zeros(width)
        inputs = width
    return {name: value.astype(np.float32) for name, value in weights.items()}
