"""Training of the hand finder's networks on simulated examples: made once, drawn from and changed at every step."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tqdm import tqdm

from lsps_tf.array_files import read_arrays
from lsps_tf.files import atomic_path
from training.hand_finding.blocks import PLACES, VIEWS, Columns, Kind, as_examples, ensure_blocks, read_block
from training.hand_finding.crop_losses import crop_losses
from training.hand_finding.frame_losses import FEWEST_PIXELS, LEAST_SHARE, Losses, frame_losses
from training.hand_finding.initial_weights import new_weights
from training.hand_finding.places import Places
from training.hand_finding.views import Views

LEARNING_RATES = {"frame": 2e-3, "crop": 6e-4}
BATCHES = {"frame": 32, "crop": 64}
KINDS = {"frame": VIEWS, "crop": PLACES}
# So often, in steps, the weights are written and the views kept out of training looked at.
INTERVAL = 500
# Of the running averages that the network of crops ships as.
AVERAGE = 0.998
# Blocks that batches are drawn from at a time, and batches drawn from them before one of the blocks is changed.
_OPEN, _DRAWS = 6, 16
_HELD_OUT = 2
_BORDER_PX = 8.0


def train_finder(
    output: pathlib.Path, views: int, steps: dict[str, int], seed: int, cache: pathlib.Path, resume: bool = False
) -> None:
    """Trains both networks and writes their weights, float16, by name.

    The one of crops is trained on what the shipped ones propose, too.

    Args:
        output: the file of weights; those of a network that is not trained stay.
        views: how many to train on, and how many scenes with proposed places.
        steps: by the network's name; 0 leaves it as it is.
        seed: of the views, the weights and the order.
        cache: the folder of the views. What it has already is not made again.
        resume: start from the weights in `output`, not from new ones.
    """
    for name, count in steps.items():
        if count:
            folder = cache / "places" if KINDS[name] is PLACES else cache
            paths = ensure_blocks(folder, views, seed, KINDS[name])
            weights = read_weights(output, name) if resume else new_weights(name, seed)
            _train(name, weights, paths, count, seed, output)


def read_weights(path: pathlib.Path, name: str) -> dict[str, np.ndarray]:
    """The weights of a network in a file, float32."""
    return {key: array.astype(np.float32) for key, array in read_arrays(path).items() if key.startswith(f"{name}/")}


def _train(
    name: str, start: dict[str, np.ndarray], paths: list[pathlib.Path], steps: int, seed: int, output: pathlib.Path
) -> None:
    weights = {key: tf.Variable(value) for key, value in start.items()}
    if name == "frame":
        weights.update(_gains(start))
    optimizer = keras.optimizers.legacy.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATES[name], steps))
    held_out = paths[:_HELD_OUT] if len(paths) > _HELD_OUT else []
    chosen = clear_views if name == "frame" else all_views
    batches = draw_batches(paths[len(held_out) :], BATCHES[name], seed, chosen, KINDS[name])
    losses_of = frame_losses if name == "frame" else crop_losses
    step_function = _build_step(weights, optimizer, losses_of)
    means = {key: tf.Variable(value) for key, value in weights.items()} if name == "crop" else weights
    evaluate = tf.function(lambda batch, key: losses_of(batch, key, standardized(means)))
    with tqdm(total=steps, desc=name, mininterval=10.0) as bar:
        for step in range(steps):
            losses = step_function(next(batches), tf.constant([seed, step]))
            bar.update()
            if means is not weights:
                _follow(means, weights, step)
            if (step + 1) % INTERVAL == 0 or step + 1 == steps:
                _write(output, name, {key: value.numpy() for key, value in standardized(means).items()})
                rest = _all(held_out, BATCHES[name], KINDS[name])
                found = [evaluate(batch, tf.constant([-1, k])) for k, batch in enumerate(rest)]
                figures = {key: f"{np.mean([float(each[key]) for each in found or [losses]]):.3f}" for key in losses}
                bar.write(f"{name} after {step + 1} steps, on views held out: {figures}")


def _follow(means: dict[str, tf.Variable], weights: dict[str, tf.Variable], step: int) -> None:
    """One step of running averages of the weights; at first they forget faster."""
    kept = min(AVERAGE, (1.0 + step) / (10.0 + step))
    for key, mean in means.items():
        mean.assign(kept * mean + (1.0 - kept) * weights[key])


def standardized(weights: dict[str, tf.Variable]) -> dict[str, tf.Tensor]:
    """The weights as a network has them, from those that are trained.

    Kernels that come with gains have no mean and, but for those, He's deviation: weight standardization, which trains
    as batch normalization does and leaves nothing behind (Qiao et al., 2019; Brock et al., NFNets, 2021).
    """
    found = {}
    for key, value in weights.items():
        if f"{key}/gain" in weights:
            axes = list(range(len(value.shape) - 1))
            mean, variance = tf.nn.moments(value, axes)
            scale = tf.math.rsqrt(variance + 1e-8) * np.float32(np.sqrt(2.0 / np.prod(value.shape[:-1])))
            value = (value - mean) * scale * weights[f"{key}/gain"]
        if not key.endswith("/gain"):
            found[key] = tf.convert_to_tensor(value)
    return found


def _gains(weights: dict[str, np.ndarray]) -> dict[str, tf.Variable]:
    """A gain per channel of each kernel but the output's, so that `standardized` leaves its deviation as it is."""
    gains = {}
    for key, value in weights.items():
        if key.endswith("/kernel") and "/output/" not in key:
            deviation = value.std(axis=tuple(range(value.ndim - 1)))
            gains[f"{key}/gain"] = tf.Variable(deviation / np.float32(np.sqrt(2.0 / np.prod(value.shape[:-1]))))
    return gains


def draw_batches(
    paths: list[pathlib.Path], size: int, seed: int, chosen: Callable[[Columns], np.ndarray], kind: Kind = VIEWS
) -> Iterator[Views | Places]:
    """Batches of the chosen examples of a few blocks at a time, in random order, without end."""
    rng = np.random.default_rng(seed)
    order: list[pathlib.Path] = []
    blocks: list[tuple[Columns, np.ndarray]] = []
    while True:
        order = order or list(rng.permutation(np.array(paths, object)))
        block = read_block(order.pop(), kind)
        blocks = [*blocks[-(_OPEN - 1) :], (block, chosen(block))]
        for _ in range(max(1, _DRAWS * 32 // size)):
            numbers = rng.integers(len(blocks), size=size)
            parts = [
                as_examples(block, rng.choice(rows, size=int(np.sum(numbers == number))), kind)
                for number, (block, rows) in enumerate(blocks)
            ]
            yield kind.example(*(tf.concat(values, axis=0) for values in zip(*parts)))


def all_views(block: Columns) -> np.ndarray:
    """Rows of all examples of a block."""
    return np.arange(len(block["share"]))


def clear_views(block: Columns) -> np.ndarray:
    """Rows of the views that show a hand well inside the view, or none at all: most to learn from."""
    fx, fy, cx, cy = block["intrinsics"].T[:, :, None]
    x, y, z = np.moveaxis(block["middle_mm"], -1, 0)
    size = block["depth_mm"].shape[1]
    u, v = fx * x / z + cx, fy * y / z + cy
    inside = (np.minimum(u, v) > _BORDER_PX) & (np.maximum(u, v) < size - _BORDER_PX)
    clear = inside & (block["pixels"] >= 2.0 * FEWEST_PIXELS) & (block["share"] >= LEAST_SHARE)
    return np.flatnonzero(clear.any(axis=1) | (block["pixels"] == 0.0).all(axis=1))


def _all(paths: list[pathlib.Path], size: int, kind: Kind) -> Iterator[Views | Places]:
    for path in paths:
        block = read_block(path, kind)
        for first in range(0, len(block["share"]) - size + 1, size):
            yield as_examples(block, np.arange(first, first + size), kind)


def _write(output: pathlib.Path, name: str, trained: dict[str, np.ndarray]) -> None:
    values = {}
    if output.exists():
        values = {key: array for key, array in read_arrays(output).items() if not key.startswith(f"{name}/")}
    values.update({key: value.astype(np.float16) for key, value in trained.items()})
    with atomic_path(output) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **values)


def _build_step(
    weights: dict[str, tf.Variable], optimizer: keras.optimizers.Optimizer, losses_of: Callable
) -> Callable:
    @tf.function(reduce_retracing=True)
    def step(views: Views | Places, seed: tf.Tensor) -> Losses:
        with tf.GradientTape() as tape:
            losses = losses_of(views, seed, standardized(weights))
        variables = list(weights.values())
        gradients, _ = tf.clip_by_global_norm(tape.gradient(losses["loss"], variables), 5.0)
        optimizer.apply_gradients(zip(gradients, variables))
        return losses

    return step
