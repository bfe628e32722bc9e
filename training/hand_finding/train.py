"""Training of the hand finder's networks on the simulator's views: made once, drawn from and changed at every step."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tqdm import tqdm

from lsps_tf.files import atomic_path
from lsps_tf.hand_finding import networks
from training.hand_finding.blocks import as_views, ensure_blocks, read_block
from training.hand_finding.losses import Losses, crop_losses, frame_losses
from training.hand_finding.views import Views

LEARNING_RATE = 2e-3
BATCHES = {"frame": 32, "crop": 128}
LOSSES = {"frame": frame_losses, "crop": crop_losses}
# So often, in steps, the weights are written and the views kept out of training looked at.
INTERVAL = 500
# Blocks that batches are drawn from at a time, and batches drawn from them before one of the blocks is changed.
_OPEN, _DRAWS = 6, 16
_HELD_OUT = 2


def train_finder(
    output: pathlib.Path, views: int, steps: dict[str, int], seed: int, cache: pathlib.Path
) -> None:
    """Trains both networks and writes their weights, float16, by name.

    Args:
        output: the file of weights; those of a network that is not trained stay.
        views: how many to train on.
        steps: by the network's name; 0 leaves it as it is.
        seed: of the views, the weights and the order.
        cache: the folder of the views. What it has already is not made again.
    """
    paths = ensure_blocks(cache, views, seed)
    for name, count in steps.items():
        if count:
            _train(name, paths, count, seed, output)


def _train(name: str, paths: list[pathlib.Path], steps: int, seed: int, output: pathlib.Path) -> None:
    weights = {key: tf.Variable(value) for key, value in networks.new_weights(name, seed).items()}
    optimizer = keras.optimizers.legacy.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps))
    held_out = paths[:_HELD_OUT] if len(paths) > _HELD_OUT else []
    batches = draw_batches(paths[len(held_out) :], BATCHES[name], seed)
    step_function = _build_step(weights, optimizer, LOSSES[name])
    evaluate = tf.function(lambda batch, key: LOSSES[name](batch, key, weights))
    with tqdm(total=steps, desc=name, mininterval=10.0) as bar:
        for step in range(steps):
            losses = step_function(next(batches), tf.constant([seed, step]))
            bar.update()
            if (step + 1) % INTERVAL == 0 or step + 1 == steps:
                _write(output, name, {key: value.numpy() for key, value in weights.items()})
                found = [evaluate(batch, tf.constant([-1, k])) for k, batch in enumerate(_all(held_out, BATCHES[name]))]
                means = {key: f"{np.mean([float(each[key]) for each in found or [losses]]):.3f}" for key in losses}
                bar.write(f"{name} after {step + 1} steps, on views held out: {means}")


def draw_batches(paths: list[pathlib.Path], size: int, seed: int) -> Iterator[Views]:
    """Batches of views of a few blocks at a time, in random order, without end."""
    rng = np.random.default_rng(seed)
    order: list[pathlib.Path] = []
    blocks: list[dict[str, np.ndarray]] = []
    while True:
        order = order or list(rng.permutation(np.array(paths, object)))
        blocks = [*blocks[-(_OPEN - 1) :], read_block(order.pop())]
        counts = [len(block["depth_mm"]) for block in blocks]
        for _ in range(max(1, _DRAWS * 32 // size)):
            numbers = rng.integers(len(blocks), size=size)
            parts = [
                as_views(block, rng.integers(counts[number], size=int(np.sum(numbers == number))))
                for number, block in enumerate(blocks)
            ]
            yield Views(*(tf.concat(values, axis=0) for values in zip(*parts)))


def _all(paths: list[pathlib.Path], size: int) -> Iterator[Views]:
    for path in paths:
        block = read_block(path)
        for first in range(0, len(block["depth_mm"]) - size + 1, size):
            yield as_views(block, np.arange(first, first + size))


def _write(output: pathlib.Path, name: str, trained: dict[str, np.ndarray]) -> None:
    values = {}
    if output.exists():
        with np.load(output) as file:
            values = {key: file[key] for key in file.files if not key.startswith(f"{name}/")}
    values.update({key: value.astype(np.float16) for key, value in trained.items()})
    with atomic_path(output) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **values)


def _build_step(
    weights: dict[str, tf.Variable], optimizer: keras.optimizers.Optimizer, losses_of: Callable
) -> Callable:
    @tf.function(reduce_retracing=True)
    def step(views: Views, seed: tf.Tensor) -> Losses:
        with tf.GradientTape() as tape:
            losses = losses_of(views, seed, weights)
        variables = list(weights.values())
        gradients, _ = tf.clip_by_global_norm(tape.gradient(losses["loss"], variables), 5.0)
        optimizer.apply_gradients(zip(gradients, variables))
        return losses

    return step
