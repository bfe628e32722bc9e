"""Two networks that find hands: one looks at a whole frame, thinned, the other at each place that it names.

The first is fully convolutional, as CenterNet is (Zhou, Wang & Krahenbuhl, "Objects as points", 2019): every cell of a
grid says how much it looks like a hand's middle, where that is, and which hand it is. The second looks at a crop, as
the refinement network of DeepPrior++ does (Oberweger & Lepetit, 2017, section 3.2), and says the same of it more
exactly (`crop_network`). A hand's middle is the mean of its 36 joints.

Both are trained on the simulator alone: `python training/hand_finder.py` makes `trained/hand_finding.npz` and its twin
for devices, `trained/hand_finding.tflite`, again. Everything here has TFLite's own operations, so that they are one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.array_files import read_arrays
from lsps_tf.hand_finding.constants import (
    CELL_PX,
    CROP_SIZE,
    FARTHEST_MM,
    FRAME_HEIGHT,
    FRAME_WIDTH,
    NEAREST_MM,
    OUTPUTS,
    WEIGHTS,
)
from lsps_tf.hand_finding.crop_network import look_at_crop

# Shapes of the frame network's kernels by name. The input is at half, a quarter, an eighth and a sixteenth of its
# size there, and comes back to a quarter.
_INPUTS = 5
FRAME_SHAPES = {
    "frame/half": (5, 5, _INPUTS, 16),
    "frame/quarter0": (3, 3, 16, 24),
    "frame/quarter1": (3, 3, 24, 24),
    "frame/eighth0": (3, 3, 24, 48),
    "frame/eighth1": (3, 3, 48, 48),
    "frame/sixteenth0": (3, 3, 48, 80),
    "frame/sixteenth1": (3, 3, 80, 80),
    "frame/sixteenth2": (3, 3, 80, 80),
    "frame/up_eighth": (1, 1, 80, 48),
    "frame/eighth2": (3, 3, 48, 48),
    "frame/up_quarter": (1, 1, 48, 24),
    "frame/quarter2": (3, 3, 24, 48),
    "frame/output": (1, 1, 48, OUTPUTS),
}
# Scales of the frame's channels: a pixel's side, and relief against the mean of the surroundings, mm.
_PIXEL_MM, _FINE_MM, _COARSE_MM = 5.0, 50.0, 250.0
_FAR_AWAY_MM = 1e5
_LEAK = 0.1

Weights = dict[str, tf.Tensor]


@functools.lru_cache(maxsize=1)
def load_weights() -> dict[str, np.ndarray]:
    """The shipped weights by name, float32."""
    return {name: array.astype(np.float32) for name, array in read_arrays(WEIGHTS).items()}


class Shipped(NamedTuple):
    """Both networks with the shipped weights: `look_at_frame` and `look_at_crop` without their first argument."""

    look_at_frame: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    look_at_crop: Callable[[tf.Tensor], tf.Tensor]


@functools.lru_cache(maxsize=1)
def shipped() -> Shipped:
    """As functions of their own: an exported model that looks at many places holds the weights once."""
    frame = tf.TensorSpec([None, FRAME_HEIGHT, FRAME_WIDTH]), tf.TensorSpec([None])
    crops = tf.TensorSpec([None, CROP_SIZE, CROP_SIZE, 1])
    return Shipped(
        tf.function(lambda depth_mm, focal_px: look_at_frame(load_weights(), depth_mm, focal_px), frame),
        tf.function(lambda images: look_at_crop(load_weights(), images), (crops,)),
    )


def look_at_frame(weights: Weights, depth_mm: tf.Tensor, focal_px: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What the first network says of thinned frames.

    Args:
        weights: by name.
        depth_mm: [B, H, W], 0 = no reading; both sides whole multiples of 16.
        focal_px: [B].

    Returns:
        The network's outputs [B, H / 4, W / 4, OUTPUTS]; and reference_mm [B, H / 4, W / 4], the depth that offsets are
        relative to, the nearest around each cell, 0 where nothing was measured.
    """
    features, reference_mm = _frame_features(depth_mm, focal_px)
    half = _convolve(weights, "frame/half", features, 2)
    quarter = _convolve(weights, "frame/quarter0", half, 2)
    quarter += _convolve(weights, "frame/quarter1", quarter)
    eighth = _convolve(weights, "frame/eighth0", quarter, 2)
    eighth += _convolve(weights, "frame/eighth1", eighth)
    sixteenth = _convolve(weights, "frame/sixteenth0", eighth, 2)
    sixteenth += _convolve(weights, "frame/sixteenth1", sixteenth)
    sixteenth += _convolve(weights, "frame/sixteenth2", sixteenth)
    eighth += _larger(_convolve(weights, "frame/up_eighth", sixteenth))
    eighth += _convolve(weights, "frame/eighth2", eighth)
    quarter += _larger(_convolve(weights, "frame/up_quarter", eighth))
    quarter = _convolve(weights, "frame/quarter2", quarter)
    return _convolve(weights, "frame/output", quarter, linear=True), reference_mm


def anchors(reference_mm: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    """Points [B, rows, columns, 3] in camera space, on the cells' middle rays at their reference depths."""
    first = tf.constant([0.0, 0.0, 0.5 * (CELL_PX - 1), 0.5 * (CELL_PX - 1)])
    return crop.depth_to_points(reference_mm, (intrinsics - first) / CELL_PX)


def _frame_features(depth_mm: tf.Tensor, focal_px: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The first network's input [B, H, W, _INPUTS], and the reference depth of each cell, in mm."""
    depth_mm = depth_mm[..., None]
    valid = tf.cast((depth_mm >= NEAREST_MM) & (depth_mm < FARTHEST_MM), tf.float32)
    depth_mm *= valid
    pixel_mm = depth_mm * (1.0 / (_PIXEL_MM * focal_px))[:, None, None, None]
    cells_mm, cells_valid = (tf.nn.avg_pool2d(value, CELL_PX, CELL_PX, "VALID") for value in (depth_mm, valid))
    fine_mm = _around(cells_mm, cells_valid)
    blocks_mm, blocks_valid = (tf.nn.avg_pool2d(value, 4, 4, "VALID") for value in (cells_mm, cells_valid))
    coarse_mm = _larger(_around(blocks_mm, blocks_valid), 4)
    relief = [
        valid * tf.clip_by_value((depth_mm - _larger(mean_mm, CELL_PX)) * (1.0 / unit_mm), -2.0, 2.0)
        for mean_mm, unit_mm in ((fine_mm, _FINE_MM), (coarse_mm, _COARSE_MM))
    ]
    features = tf.concat([depth_mm * 1e-3, valid, tf.minimum(pixel_mm, 3.0), *relief], axis=-1)
    nearest_mm = tf.where(cells_valid > 0.0, cells_mm / tf.maximum(cells_valid, 1e-6), _FAR_AWAY_MM)
    nearest_mm = -tf.nn.max_pool2d(-nearest_mm, 3, 1, "SAME")[..., 0]
    return features, tf.where(nearest_mm < _FAR_AWAY_MM, nearest_mm, 0.0)


def _around(sums: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Means of the readings in windows of 3 x 3 cells."""
    sums, counts = (tf.nn.avg_pool2d(value, 3, 1, "SAME") for value in (sums, counts))
    return sums / tf.maximum(counts, 1e-6)


def _larger(value: tf.Tensor, times: int = 2) -> tf.Tensor:
    """Images whose every pixel is repeated."""
    height, width = tf.shape(value)[1], tf.shape(value)[2]
    return tf.image.resize(value, [times * height, times * width], "nearest")


def _convolve(weights: Weights, name: str, value: tf.Tensor, stride: int = 1, linear: bool = False) -> tf.Tensor:
    value = tf.nn.conv2d(value, weights[f"{name}/kernel"], stride, "SAME") + weights[f"{name}/bias"]
    return value if linear else tf.nn.leaky_relu(value, _LEAK)
