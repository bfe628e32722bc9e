"""The network of `lsps_tf/hand_finding/networks.py` that says whether a crop shows a hand, in NumPy."""

from __future__ import annotations

import functools

import numpy as np

from lsps_tf.device.crop import crop_frame, normalize_depth
from lsps_tf.errors import InputError
from lsps_tf.hand_finding.constants import CUBE_MM, LEAK, OFFSET_MM, PRESENCE_SIZE, PRESENCE_WIDTHS, WEIGHTS

_CONVOLUTIONS = tuple(f"presence/conv{number}" for number in range(len(PRESENCE_WIDTHS)))
_HIDDEN, _OUTPUT = "presence/hidden", "presence/output"


@functools.lru_cache(maxsize=1)
def load_weights() -> dict[str, np.ndarray]:
    """The shipped weights by name, float32; InputError where they are missing."""
    if not WEIGHTS.is_file():
        raise InputError(f"{WEIGHTS}: the weights that find hands are missing; install the program again")
    with np.load(WEIGHTS) as file:
        return {name: file[name].astype(np.float32) for name in file.files if name.startswith("presence/")}


def judge_presence(
    depth_mm: np.ndarray, intrinsics: np.ndarray, centers_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Judges whether a hand is around each of some centres in a frame.

    Args:
        depth_mm: [H, W], 0 = no reading.
        intrinsics: [4].
        centers_mm: [B, 3] camera space, z > 0.

    Returns:
        presence [B], a logit, above 0 where a hand is around the centre; and middle_mm [B, 3], the mean of the hand's
        joints, without meaning where there is none.
    """
    images = [
        normalize_depth(crop_frame(depth_mm, intrinsics, center_mm, CUBE_MM, PRESENCE_SIZE), center_mm, CUBE_MM)
        for center_mm in centers_mm
    ]
    said = look(np.stack(images))
    return said[:, 0], centers_mm + np.float32(OFFSET_MM) * said[:, 1:4]


def look(images: np.ndarray) -> np.ndarray:
    """What the network says of crops [B, 32, 32, 1], float32 [B, 4]."""
    weights, value = load_weights(), images
    for name in _CONVOLUTIONS:
        value = _leaky(_strided_convolution(value, weights[f"{name}/kernel"]) + weights[f"{name}/bias"])
    value = value.reshape(len(images), -1)
    value = _leaky(value @ weights[f"{_HIDDEN}/kernel"] + weights[f"{_HIDDEN}/bias"])
    return value @ weights[f"{_OUTPUT}/kernel"] + weights[f"{_OUTPUT}/bias"]


def _strided_convolution(value: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """tf.nn.conv2d(value, kernel, 2, "SAME") of images whose sides are even."""
    side, channels, width = kernel.shape[0], kernel.shape[2], kernel.shape[3]
    before, after = (side - 2) // 2, (side - 1) // 2
    padded = np.pad(value, ((0, 0), (before, after), (before, after), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))[:, ::2, ::2]
    batch, height, length = windows.shape[:3]
    rows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, side * side * channels)
    return (rows @ kernel.reshape(-1, width)).reshape(batch, height, length, width)


def _leaky(value: np.ndarray) -> np.ndarray:
    return np.maximum(value, np.float32(LEAK) * value)
