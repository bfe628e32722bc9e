"""Training of the hand finder's networks: windows of the simulator once, then crops in them drawn at every step."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tqdm import tqdm

from lsps_tf import crop
from lsps_tf.datasets.simulator import SUBJECTS
from lsps_tf.files import atomic_path, locked
from lsps_tf.hand_finding import networks
from lsps_tf.hand_finding.networks import OFFSET_MM, PALM, PRESENCE, NetworkSpec
from lsps_tf.simulation import sensor, shape
from lsps_tf.skeleton import NYU
from training.hand_finding.windows import CENTERS, HAND_MM, NO_HAND_MM, WINDOW_MM, WINDOW_SIZE, Windows, make_windows

BATCH = 128
LEARNING_RATE = 2e-3
# Centres judged per window and step.
LOOKS = 3
JITTER_MM = 4.0
# How far the hand's middle is from the centre that the palm is looked for from: the error of `find_hand`.
PALM_JITTER_MM = 14.0
PALM_JOINT = NYU.joint_names.index("palm")
_RENDERED = 64
_RANDOM_SHAPES = 100
# Offsets of centres farther from the hand than this are not asked for.
_REACH_MM = 130.0
_DEPTH_UNIT_MM = 0.1
_HELD_OUT = 1024

Losses = dict[str, tf.Tensor]


def train_judges(
    output: pathlib.Path, count: int, steps: dict[str, int], seed: int, cache: pathlib.Path | None
) -> None:
    """Trains both networks and writes their weights, float16, by name.

    Args:
        output: the file of weights; those of a network that is not trained stay.
        count: windows.
        steps: by the network's name; 0 leaves it as it is.
        seed: of the windows, the weights and the order.
        cache: where the windows are kept, None for nowhere.
    """
    windows = _windows(count, seed, cache)
    with_hand = np.isfinite(windows[2]).all(axis=(1, 2))
    for spec, losses_of, chosen in (
        (PRESENCE, presence_losses, np.arange(len(with_hand))),
        (PALM, palm_losses, np.flatnonzero(with_hand)),
    ):
        if steps[spec.name]:
            trained = _train(spec, losses_of, windows, chosen, steps[spec.name], seed)
            with locked(output, tqdm.write):
                _write(output, spec, trained)


def presence_losses(windows: Windows, seed: tf.Tensor, weights: dict) -> Losses:
    """Loss of PRESENCE on some of the windows' centres, and the figures beside it.

    Half of the windows are mirrored, and all are turned by any number of quarter turns: cameras hang upside down, too.
    """
    count = windows.depth_mm.shape[0]
    look_seed, side_seed, jitter_seed, turn_seed = tf.unstack(tf.random.split(seed, 4))
    windows = mirror(windows, tf.random.stateless_uniform([count], side_seed) < 0.5)
    windows = turn(windows, tf.random.stateless_uniform([count], turn_seed, 0, 4, tf.int32))
    chance = tf.random.stateless_uniform([count, CENTERS], look_seed)
    centers_mm = tf.gather(windows.looks_mm, tf.math.top_k(chance, LOOKS).indices, batch_dims=1)
    centers_mm += tf.random.stateless_normal(tf.shape(centers_mm), jitter_seed) * JITTER_MM
    output = _look(PRESENCE, weights, windows, centers_mm)
    true_mm = tf.reduce_mean(windows.joints_mm, axis=1)[:, None] - centers_mm
    distance_mm = tf.norm(true_mm, axis=-1)
    distance_mm = tf.where(tf.math.is_finite(distance_mm), distance_mm, 1e6)
    close, asked = distance_mm < HAND_MM, (distance_mm < HAND_MM) | (distance_mm > NO_HAND_MM)
    near = distance_mm < _REACH_MM
    presence = _cross_entropy(close, output[..., 0])
    error_mm = _distance(OFFSET_MM * output[..., 1:4], true_mm, near)
    return {
        "loss": _mean(presence, asked) + _mean(error_mm, near) / OFFSET_MM,
        "right": _mean((output[..., 0] > 0.0) == close, asked),
        "middle_mm": _mean(error_mm, close),
    }


def palm_losses(windows: Windows, seed: tf.Tensor, weights: dict) -> Losses:
    """Loss of PALM on centres around the hands' middles, half of the windows mirrored, and the figures beside it.

    All joints are asked for, as a network that knows the fingers knows the palm better. Their part of the output is not
    kept.
    """
    count = windows.depth_mm.shape[0]
    side_seed, jitter_seed = tf.unstack(tf.random.split(seed, 2))
    right = tf.random.stateless_uniform([count], side_seed) < 0.5
    windows = mirror(windows, ~right)
    jitter_mm = PALM_JITTER_MM * tf.random.stateless_normal([count, 3], jitter_seed)
    center_mm = tf.reduce_mean(windows.joints_mm, axis=1) + jitter_mm
    output = _look(PALM, weights, windows, center_mm[:, None])[:, 0]
    joints = OFFSET_MM * tf.reshape(output[:, PALM.outputs :], [count, -1, 3])
    error_mm = tf.norm(center_mm + OFFSET_MM * output[:, 1:4] - windows.joints_mm[:, PALM_JOINT], axis=-1)
    joint_error_mm = tf.reduce_mean(tf.norm(center_mm[:, None] + joints - windows.joints_mm, axis=-1), axis=-1)
    side = tf.reduce_mean(_cross_entropy(right, output[:, 0]))
    return {
        "loss": (tf.reduce_mean(error_mm) + tf.reduce_mean(joint_error_mm)) / OFFSET_MM + 0.1 * side,
        "side": _mean((output[:, 0] > 0.0) == right),
        "palm_mm": tf.reduce_mean(error_mm),
        "palm_within_15_mm": _mean(error_mm < 15.0),
        "joints_mm": tf.reduce_mean(joint_error_mm),
    }


def with_joints(spec: NetworkSpec) -> NetworkSpec:
    """A network whose output goes on with the offsets to all joints, as `palm_losses` trains it."""
    return dataclasses.replace(spec, outputs=spec.outputs + 3 * NYU.num_joints)


def mirror(windows: Windows, chosen: tf.Tensor) -> Windows:
    """Windows with those that the mask [B] chooses seen in a mirror: x to -x about the camera."""
    depth_mm = tf.where(chosen[:, None, None], windows.depth_mm[:, :, ::-1], windows.depth_mm)
    sign = tf.where(chosen[:, None], tf.constant([-1.0, 1.0, 1.0]), tf.ones([3]))
    points = (windows.joints_mm, windows.looks_mm)
    return Windows(depth_mm, windows.center_mm * sign, *(point * sign[:, None] for point in points))


def turn(windows: Windows, quarters: tf.Tensor) -> Windows:
    """Windows as a camera sees them that is turned about its axis: by so many quarters [B] each, from x towards y."""
    for step in range(1, 4):
        chosen = quarters >= step
        depth_mm = tf.reverse(tf.transpose(windows.depth_mm, [0, 2, 1]), [2])
        points = windows[1:]
        turned = [tf.stack([-point[..., 1], point[..., 0], point[..., 2]], axis=-1) for point in points]
        windows = Windows(
            tf.where(chosen[:, None, None], depth_mm, windows.depth_mm),
            *(
                tf.where(tf.reshape(chosen, [-1] + [1] * (len(point.shape) - 1)), new, point)
                for point, new in zip(points, turned)
            ),
        )
    return windows


def _train(
    spec: NetworkSpec, losses_of: Callable, columns: list[np.ndarray], chosen: np.ndarray, steps: int, seed: int
) -> dict[str, np.ndarray]:
    trained = with_joints(spec) if spec is PALM else spec
    weights = {name: tf.Variable(value) for name, value in networks.new_weights(trained, seed).items()}
    optimizer = keras.optimizers.legacy.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps))
    step_function = _build_step(weights, optimizer, losses_of)
    number = min(_HELD_OUT, len(chosen) // 8)
    held_out, chosen = chosen[:number], chosen[number:]
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(chosen) for _ in range(-(-steps * BATCH // len(chosen)))])
    evaluate = tf.function(lambda batch, key: losses_of(batch, key, weights))
    with tqdm(total=steps, desc=spec.name, mininterval=5.0) as bar:
        for step in range(steps):
            rows = np.sort(order[step * BATCH : (step + 1) * BATCH])
            step_function(_batch(columns, rows), tf.constant([seed, step]))
            bar.update()
            if (step + 1) % 1000 == 0 or step + 1 == steps:
                found = [
                    evaluate(_batch(columns, held_out[first : first + BATCH]), tf.constant([-1, first]))
                    for first in range(0, max(1, len(held_out) - BATCH + 1), BATCH)
                ]
                means = {name: f"{np.mean([float(f[name]) for f in found]):.3f}" for name in found[0]}
                bar.write(f"{spec.name} after {step + 1} steps, on windows held out: {means}")
    return {name: value.numpy()[..., : _kept(spec, name)] for name, value in weights.items()}


def _kept(spec: NetworkSpec, name: str) -> int | None:
    return spec.outputs if "/output/" in name else None


def _write(output: pathlib.Path, spec: NetworkSpec, trained: dict[str, np.ndarray]) -> None:
    values = {}
    if output.exists():
        with np.load(output) as file:
            values = {name: file[name] for name in file.files if not name.startswith(f"{spec.name}/")}
    values.update({name: value.astype(np.float16) for name, value in trained.items()})
    with atomic_path(output) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **values)


def _build_step(
    weights: dict[str, tf.Variable], optimizer: keras.optimizers.Optimizer, losses_of: Callable
) -> Callable:
    @tf.function
    def step(windows: Windows, seed: tf.Tensor) -> Losses:
        with tf.GradientTape() as tape:
            losses = losses_of(windows, seed, weights)
        variables = list(weights.values())
        optimizer.apply_gradients(zip(tape.gradient(losses["loss"], variables), variables))
        return losses

    return step


def _look(spec: NetworkSpec, weights: dict, windows: Windows, centers_mm: tf.Tensor) -> tf.Tensor:
    """The outputs [B, K, outputs] of a network for K centres [B, K, 3] in each window."""
    count = centers_mm.shape[1]
    intrinsics = crop.crop_intrinsics(windows.center_mm, WINDOW_MM, WINDOW_SIZE)
    repeated = [tf.repeat(part, count, 0) for part in (windows.depth_mm, intrinsics)]
    output = networks.look(spec, weights, *repeated, tf.reshape(centers_mm, [-1, 3]))
    return tf.reshape(output, [-1, count, output.shape[-1]])


def _windows(count: int, seed: int, cache: pathlib.Path | None) -> list[np.ndarray]:
    """The columns of `Windows`, depth in units of 0.1 mm; from the cache, or made and kept there."""
    if cache is None:
        return _make_windows(count, seed)
    with locked(cache, tqdm.write):
        if not cache.exists():
            columns = _make_windows(count, seed)
            with atomic_path(cache) as partial, partial.open("wb") as file:
                np.savez(file, **dict(zip(Windows._fields, columns)))
    with np.load(cache) as file:
        return [file[name] for name in Windows._fields]


def _make_windows(count: int, seed: int) -> list[np.ndarray]:
    subjects = np.array(SUBJECTS["real/train"])
    shapes = (shape.subject_shape(subjects), shape.sample_shape(tf.constant([seed, 77]), _RANDOM_SHAPES))
    shapes = tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *shapes)
    names = list(sensor.SENSORS)
    makers = [tf.function(lambda key, name=name: make_windows(name, shapes, _RENDERED, key)) for name in names]
    columns: list[np.ndarray] = []
    total = -(-count // _RENDERED)
    for number in tqdm(range(total), desc="windows", mininterval=5.0):
        windows = makers[number % len(names)](tf.constant([seed + 5000, number]))
        values = [np.rint(windows.depth_mm / _DEPTH_UNIT_MM).astype(np.uint16), *(v.numpy() for v in windows[1:])]
        columns = columns or [np.empty((total * _RENDERED, *value.shape[1:]), value.dtype) for value in values]
        for column, value in zip(columns, values):
            column[number * _RENDERED : (number + 1) * _RENDERED] = value
    return columns


def _batch(columns: list[np.ndarray], rows: np.ndarray) -> Windows:
    depth, *others = (column[rows] for column in columns)
    return Windows(tf.constant(depth * np.float32(_DEPTH_UNIT_MM)), *(tf.constant(value) for value in others))


def _cross_entropy(true: tf.Tensor, logit: tf.Tensor) -> tf.Tensor:
    true = tf.broadcast_to(tf.cast(true, tf.float32), tf.shape(logit))
    return tf.nn.sigmoid_cross_entropy_with_logits(true, logit)


def _mean(value: tf.Tensor, chosen: tf.Tensor | None = None) -> tf.Tensor:
    value = tf.cast(value, tf.float32)
    weight = tf.ones_like(value) if chosen is None else tf.cast(chosen, tf.float32)
    return tf.reduce_sum(value * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)


def _distance(predicted_mm: tf.Tensor, true_mm: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """Distances [B, K]; where they are not chosen the label may be NaN and the distance is near 0."""
    difference = tf.where(chosen[..., None], predicted_mm - tf.where(chosen[..., None], true_mm, 0.0), 0.0)
    return tf.sqrt(tf.reduce_sum(difference**2, axis=-1) + 1e-6)
