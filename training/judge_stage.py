"""Training of the hand finder's judge: windows once, then centres in them drawn anew at every step."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tqdm import tqdm

from lsps_tf import crop, hand_judge
from lsps_tf.datasets.simulated import SUBJECTS
from lsps_tf.files import atomic_path
from lsps_tf.simulation import sensor, shape
from training.judge_data import CENTERS, HAND_MM, NO_HAND_MM, WINDOW_MM, WINDOW_SIZE, Windows, make_windows

BATCH = 64
LOOKS = 4
JITTER_MM = 4.0
LEARNING_RATE = 2e-3
_RANDOM_SHAPES = 100
# Offsets of centres farther from the hand than this are not asked for.
_REACH_MM = 130.0
_DEPTH_UNIT_MM = 0.1


def train_judge(output: pathlib.Path, count: int, steps: int, seed: int, cache: pathlib.Path | None) -> None:
    """Trains and writes the weights (float16, by name)."""
    windows = _load_or_make(count, seed, cache)
    weights = {name: tf.Variable(value) for name, value in hand_judge.new_weights(seed).items()}
    optimizer = keras.optimizers.legacy.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps))
    step_function = _build_step(weights, optimizer)
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(count) for _ in range(-(-steps * BATCH // count))])
    sums: dict[str, list[float]] = {}
    with tqdm(total=steps, desc="judge", mininterval=1.0) as bar:
        for step in range(steps):
            rows = order[step * BATCH : (step + 1) * BATCH]
            batch = Windows(*(_read(column, rows) for column in windows))
            for name, value in step_function(batch, tf.constant([seed, step])).items():
                sums.setdefault(name, []).append(float(value))
            bar.update()
            if (step + 1) % 100 == 0:
                bar.set_postfix({name: f"{np.mean(values[-100:]):.3g}" for name, values in sums.items()})
    with atomic_path(output) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **{name: value.numpy().astype(np.float16) for name, value in weights.items()})


def judge_losses(windows: Windows, seed: tf.Tensor, weights: dict) -> dict[str, tf.Tensor]:
    """Loss, and the figures beside it, on some centres of windows; half of the windows are mirrored to left hands."""
    count = windows.depth_mm.shape[0]
    look_seed, side_seed, jitter_seed = tf.unstack(tf.random.split(seed, 3))
    right = tf.random.stateless_uniform([count], side_seed) < 0.5
    windows = mirror(windows, ~right)
    chance = tf.random.stateless_uniform([count, CENTERS], look_seed)
    centers_mm = tf.gather(windows.looks_mm, tf.math.top_k(chance, LOOKS).indices, batch_dims=1)
    centers_mm += tf.random.stateless_normal(tf.shape(centers_mm), jitter_seed) * JITTER_MM
    intrinsics = crop.crop_intrinsics(windows.center_mm, WINDOW_MM, WINDOW_SIZE)
    repeated = [tf.repeat(part, LOOKS, 0) for part in (windows.depth_mm, intrinsics)]
    judged = hand_judge.judge(*repeated, tf.reshape(centers_mm, [-1, 3]), weights)
    judged = hand_judge.Judgement(*(tf.reshape(v, [count, LOOKS, *v.shape[1:]]) for v in judged))
    middle_mm, palm_mm = windows.middle_mm[:, None] - centers_mm, windows.palm_mm[:, None] - centers_mm
    distance_mm = tf.norm(middle_mm, axis=-1)
    shown = tf.math.is_finite(distance_mm)
    distance_mm = tf.where(shown, distance_mm, 1e6)
    close, far = distance_mm < HAND_MM, distance_mm > NO_HAND_MM
    near = tf.cast(distance_mm < _REACH_MM, tf.float32)
    presence = _cross_entropy(close, judged.presence) * tf.cast(close | far, tf.float32)
    side = _cross_entropy(tf.broadcast_to(right[:, None], close.shape), judged.right) * tf.cast(close, tf.float32)
    palm = _distance(judged.palm_mm, palm_mm, near)
    middle = _distance(judged.middle_mm, middle_mm, near)
    share = tf.cast(close, tf.float32)
    mean_of = lambda value, weight: tf.reduce_sum(value * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)  # noqa: E731
    loss = tf.reduce_mean(presence) + 0.3 * tf.reduce_mean(side)
    loss += 0.02 * (mean_of(palm, near) + mean_of(middle, near))
    right_side = tf.cast((judged.right > 0.0) == right[:, None], tf.float32)
    right_presence = tf.cast((judged.presence > 0.0) == close, tf.float32)
    return {
        "loss": loss,
        "presence": mean_of(right_presence, tf.cast(close | far, tf.float32)),
        "side": mean_of(right_side, share),
        "palm": mean_of(palm, share),
        "palm15": mean_of(tf.cast(palm < 15.0, tf.float32), share),
        "middle": mean_of(middle, share),
    }


def mirror(windows: Windows, chosen: tf.Tensor) -> Windows:
    """Windows with those that the mask [B] chooses seen in a mirror: x to -x about the camera."""
    depth_mm = tf.where(chosen[:, None, None], windows.depth_mm[:, :, ::-1], windows.depth_mm)
    sign = tf.where(chosen[:, None], tf.constant([-1.0, 1.0, 1.0]), tf.ones([3]))
    points = (windows.center_mm, windows.palm_mm, windows.middle_mm)
    return Windows(depth_mm, *(point * sign for point in points), windows.looks_mm * sign[:, None])


def _build_step(weights: dict[str, tf.Variable], optimizer: keras.optimizers.Optimizer):
    @tf.function
    def step(windows: Windows, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            losses = judge_losses(windows, seed, weights)
        variables = list(weights.values())
        optimizer.apply_gradients(zip(tape.gradient(losses["loss"], variables), variables))
        return losses

    return step


def _load_or_make(count: int, seed: int, cache: pathlib.Path | None) -> list[np.ndarray]:
    if cache is not None and cache.exists():
        with np.load(cache) as file:
            return [file[name] for name in Windows._fields]
    subjects = np.array(SUBJECTS["real/train"])
    shapes = (shape.subject_shape(subjects), shape.sample_shape(tf.constant([seed, 77]), _RANDOM_SHAPES))
    shapes = tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *shapes)
    make = tf.function(lambda name, key: make_windows(name, shapes, BATCH, key))
    made: list[list[np.ndarray]] = [[] for _ in Windows._fields]
    names = list(sensor.SENSORS)
    for number in tqdm(range(-(-count // BATCH)), desc="windows", mininterval=1.0):
        windows = make(names[number % len(names)], tf.constant([seed + 5000, number]))
        for column, value in zip(made, windows):
            value = value.numpy()
            column.append(_stored(value))
    columns = [np.concatenate(column)[:count] for column in made]
    if cache is not None:
        np.savez(cache, **dict(zip(Windows._fields, columns)))
    return columns


def _read(column: np.ndarray, rows: np.ndarray) -> tf.Tensor:
    value = column[rows]
    return tf.constant(value * np.float32(_DEPTH_UNIT_MM) if value.dtype == np.uint16 else value, tf.float32)


def _stored(value: np.ndarray) -> np.ndarray:
    return value if value.shape[-1] == 3 else np.rint(value / _DEPTH_UNIT_MM).astype(np.uint16)


def _cross_entropy(true: tf.Tensor, logit: tf.Tensor) -> tf.Tensor:
    return tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(true, tf.float32), logit)


def _distance(predicted_mm: tf.Tensor, true_mm: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Distances [B, K]; where the weight is 0 the label may be NaN and the distance is 0."""
    true_mm = tf.where(weight[..., None] > 0.0, true_mm, 0.0)
    difference = (predicted_mm - true_mm) * weight[..., None]
    return tf.sqrt(tf.reduce_sum(difference**2, axis=-1) + 1e-6)
