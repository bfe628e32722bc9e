"""Two small networks that look at a crop: whether it shows a hand, and where the palm is and of which hand.

They judge what `hand_finding` finds, as the refinement network of DeepPrior++ does (Oberweger & Lepetit, 2017, section
3.2), and are trained on the simulator alone, with both sensors, and with arms, bodies, walls and other things for what
is no hand: `python training/hand_finder.py` makes `trained/hand_finding.npz` again. The first looks at many places of a
frame and is tiny, the second at one hand.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from lsps_tf import crop, mirror
from lsps_tf.hand_finding.constants import CUBE_MM, LEAK, OFFSET_MM, PRESENCE_SIZE, PRESENCE_WIDTHS, WEIGHTS

# Where the palm is looked for from: the given place, and so far from it in all six directions.
_LOOKS_MM = 12.0 * np.concatenate([np.zeros([1, 3]), np.eye(3), -np.eye(3)]).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class NetworkSpec:
    """A network's sizes: strided convolutions of so many channels, a dense layer, and the output.

    Attributes:
        name: of its weights.
        image_size: pixels of the crop's side.
        widths: channels of the convolutions, the first 5 x 5, the others 3 x 3.
        hidden: units of the dense layer.
        outputs: numbers in its output.
    """

    name: str
    image_size: int
    widths: tuple[int, ...]
    hidden: int
    outputs: int


# Its output: a logit, and the offset to the hand's middle (the mean of its joints).
PRESENCE = NetworkSpec("presence", PRESENCE_SIZE, PRESENCE_WIDTHS, 96, 4)
# Its output: a logit for the right hand, and the offset to the palm's centre (NYU's joint "palm").
PALM = NetworkSpec("palm", 64, (32, 64, 96, 128), 256, 4)


@functools.lru_cache(maxsize=1)
def load_weights() -> dict[str, np.ndarray]:
    """The shipped weights by name, float32."""
    with np.load(WEIGHTS) as file:
        return {name: file[name].astype(np.float32) for name in file.files}


def judge_presence(depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Judges whether a hand is around a centre.

    Args:
        depth_mm: [B, H, W], frames or crops, 0 = no reading.
        intrinsics: [B, 4] (of crops: `crop.crop_intrinsics`).
        center_mm: [B, 3] camera space, z > 0.

    Returns:
        presence [B], a logit, above 0 where a hand is around the centre; and middle_mm [B, 3] camera space, the mean
        of the hand's joints, without meaning where there is none.
    """
    output = look(PRESENCE, load_weights(), depth_mm, intrinsics, center_mm)
    return output[:, 0], center_mm + OFFSET_MM * output[:, 1:4]


def judge_palm(depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Judges a hand; arguments as of `judge_presence`.

    It is the mean of looks from several places around the centre, and from the same ones in a mirror, which turns right
    hands into left ones: the network knows both, and errs differently on the two.

    Returns:
        right [B], a logit, above 0 where it looks like a right hand (a single frame often does not tell); and palm_mm
        [B, 3] camera space.
    """
    mirrored = mirror.mirror_intrinsics(intrinsics, tf.shape(depth_mm)[2])
    depth_mm = tf.concat([depth_mm, mirror.mirror_depth(depth_mm)], axis=0)
    intrinsics = tf.concat([intrinsics, mirrored], axis=0)
    center_mm = tf.concat([center_mm, mirror.mirror_points(center_mm)], axis=0)
    places_mm = [center_mm + offset_mm for offset_mm in _LOOKS_MM]
    crops = [_crops(PALM, depth_mm, intrinsics, place_mm) for place_mm in places_mm]
    output = tf.reshape(_run(PALM, load_weights(), tf.concat(crops, axis=0)), [len(crops), -1, PALM.outputs])
    right = tf.reduce_mean(output[..., 0], axis=0)
    palm_mm = tf.reduce_mean(tf.stack(places_mm) + OFFSET_MM * output[..., 1:4], axis=0)
    is_right, is_left = tf.split(right, 2)
    seen_mm, in_mirror_mm = tf.split(palm_mm, 2)
    return 0.5 * (is_right - is_left), 0.5 * (seen_mm + mirror.mirror_points(in_mirror_mm))


def look(
    spec: NetworkSpec, weights: dict, depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor
) -> tf.Tensor:
    """The output [B, outputs] of a network with these weights for the crops around centres."""
    return _run(spec, weights, _crops(spec, depth_mm, intrinsics, center_mm))


def _crops(spec: NetworkSpec, depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor) -> tf.Tensor:
    cropped_mm = crop.crop_frame(depth_mm, intrinsics, center_mm, CUBE_MM, spec.image_size)
    return crop.normalize_depth(cropped_mm, center_mm, CUBE_MM)


def _run(spec: NetworkSpec, weights: dict, value: tf.Tensor) -> tf.Tensor:
    for number in range(len(spec.widths)):
        name = f"{spec.name}/conv{number}"
        value = tf.nn.conv2d(value, weights[f"{name}/kernel"], 2, "SAME") + weights[f"{name}/bias"]
        value = tf.nn.leaky_relu(value, LEAK)
    hidden, output = (f"{spec.name}/{part}" for part in ("hidden", "output"))
    value = tf.reshape(value, [-1, weights[f"{hidden}/kernel"].shape[0]])
    value = tf.nn.leaky_relu(value @ weights[f"{hidden}/kernel"] + weights[f"{hidden}/bias"], LEAK)
    return value @ weights[f"{output}/kernel"] + weights[f"{output}/bias"]


def new_weights(spec: NetworkSpec, seed: int) -> dict[str, np.ndarray]:
    """Weights to start training from, by name (He et al., 2015)."""
    rng = np.random.default_rng(seed)
    shapes, channels = {}, 1
    for number, width in enumerate(spec.widths):
        side = 3 if number else 5
        shapes[f"conv{number}"] = (side, side, channels, width)
        channels = width
    inputs = channels * (spec.image_size >> len(spec.widths)) ** 2
    shapes["hidden"], shapes["output"] = (inputs, spec.hidden), (spec.hidden, spec.outputs)
    weights = {}
    for name, shape in shapes.items():
        scale = np.sqrt(2.0 / np.prod(shape[:-1]))
        weights[f"{spec.name}/{name}/kernel"] = (scale * rng.standard_normal(shape)).astype(np.float32)
        weights[f"{spec.name}/{name}/bias"] = np.zeros(shape[-1], np.float32)
    return weights
