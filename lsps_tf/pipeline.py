"""The input pipeline: a store's splits, shuffled and unpaired, as batches that `fit` takes.

`tf.data` reads, batches and prefetches on the CPU; `Preparation` runs inside the training step, so that the warp of
the augmentation is done on the GPU where there is one. A batch is a pure function of the seed and the step: epochs are
keyed permutations, not shuffle buffers. The position of the pipeline in a checkpoint is therefore the step alone, and
a pipeline that starts at step n goes on as if it had run from 0.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from lsps_tf import augment, randomize
from lsps_tf.config import DataConfig
from lsps_tf.datasets.store import Store, open_store
from lsps_tf.errors import InputError
from lsps_tf.skeleton import Skeleton

_COLUMNS = ("joints_mm", "center_mm", "cube_mm", "extent_mm")


@dataclasses.dataclass(frozen=True)
class Stream:
    """One source of a batch.

    Attributes:
        split: the store's split, such as "real/train".
        batch: frames per step.
        indices: the frames to draw from; None means all.
        images: whether depth is read, or poses alone.
        joints_mm: [N, J, 3] camera space, in place of the N joints that the split has; None for those.
    """

    split: str
    batch: int
    indices: Sequence[int] | None = None
    images: bool = True
    joints_mm: np.ndarray | None = None


def build_pipeline(
    store_path: str | pathlib.Path,
    streams: dict[str, Stream],
    seed: int,
    start_step: int = 0,
    on_unread: Callable[[InputError], None] | None = None,
) -> tf.data.Dataset:
    """Endless batches from step `start_step` on.

    Args:
        store_path: the HDF5 store.
        streams: what to draw under which name, each in its own order.
        seed: of the order of the frames and, through the batch's "seed", of all that is random in a step.
        start_step: the position to start at.
        on_unread: is told, in a line, why a batch cannot be read, as where the disk is gone; the pipeline ends there
            with an error of TensorFlow's.

    Returns:
        A dataset of dicts: per stream `depth_mm` [B, R, R] (unless poses alone), `joints_mm` [B, J, 3],
        `center_mm` [B, 3], `cube_mm` [B] and `extent_mm` [B]; and "seed", int32 [2], the run's seed and the step.

    Raises:
        InputError: where a stream's split is missing or empty.
    """
    store = open_store(store_path)
    readers = {
        name: _Reader(store, stream, (seed, salt), on_unread)
        for salt, (name, stream) in enumerate(sorted(streams.items()))
    }

    def load(step: tf.Tensor) -> dict[str, tf.Tensor | dict[str, tf.Tensor]]:
        batch = {name: reader(step) for name, reader in readers.items()}
        return {**batch, "seed": tf.stack([tf.constant(seed, tf.int32), tf.cast(step, tf.int32)])}

    options = tf.data.Options()
    options.deterministic = True
    # There is nothing to tune, and an iterator's end waits for the tuner's next look: a minute, later on.
    options.autotune.enabled = False
    dataset = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
    return dataset.map(load, num_parallel_calls=1).prefetch(4).with_options(options)


def shuffled_indices(step: int, batch: int, count: int, key: tuple[int, int]) -> np.ndarray:
    """Which of `count` frames a step takes, int64 [batch]: epoch after epoch, each a permutation of its own."""
    position = step * batch + np.arange(batch)
    epochs, offsets = position // count, position % count
    return np.array([_permutation(count, key, int(e))[o] for e, o in zip(epochs, offsets)], np.int64)


@functools.lru_cache(maxsize=8)
def _permutation(count: int, key: tuple[int, int], epoch: int) -> np.ndarray:
    return np.random.default_rng([*key, epoch]).permutation(count)


class _Reader:
    def __init__(
        self,
        store: Store,
        stream: Stream,
        key: tuple[int, int],
        on_unread: Callable[[InputError], None] | None,
    ):
        total = store.count(stream.split)
        indices = np.arange(total) if stream.indices is None else np.asarray(stream.indices, np.int64)
        if not len(indices):
            raise InputError(f"{store.path}: the split '{stream.split}' has no frames to train on")
        self._store, self._stream, self._key = store, stream, key
        self._indices, self._on_unread = indices, on_unread

    def __call__(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        names = (("depth_mm",) if self._stream.images else ()) + _COLUMNS
        values = tf.numpy_function(self._read, [step], [tf.float32] * len(names))
        size, joints, batch = self._store.info.size, self._store.info.skeleton.num_joints, self._stream.batch
        shapes = {"depth_mm": (size, size), "joints_mm": (joints, 3), "center_mm": (3,)}
        return {name: tf.ensure_shape(value, (batch, *shapes.get(name, ()))) for name, value in zip(names, values)}

    def _read(self, step: np.int64) -> list[np.ndarray]:
        frames = self._indices[shuffled_indices(int(step), self._stream.batch, len(self._indices), self._key)]
        try:
            rows = self._rows(frames)
        except InputError as error:
            if self._on_unread is not None:
                self._on_unread(error)
            raise
        return [rows[name] for name in (("depth_mm",) if self._stream.images else ()) + _COLUMNS]

    def _rows(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        if self._stream.images:
            rows = self._store.read(self._stream.split, frames)
        else:
            rows = {name: self._store.column(self._stream.split, name)[frames] for name in _COLUMNS}
        if self._stream.joints_mm is not None:
            rows["joints_mm"] = self._stream.joints_mm[frames]
        return rows


class Preparation:
    """Turns what `build_pipeline` yields into what the stages train on; runs in the training step, on its device.

    Streams with depth give `image` [B, S, S, 1]; all but "real" give `joints` [B, J, 3] in half cubes. "real" stands
    for the unlabelled frames, whose joints no stage may see.

    The frames of "synthetic" are randomised (`randomize`) with `strength` above 0, which needs the skeleton of the
    joints: in place of themselves, or with `beside` as "randomized".
    """

    def __init__(self, data: DataConfig, skeleton: Skeleton | None = None, strength: float = 0.0, beside: bool = False):
        self._data = data
        self._skeleton, self._strength = skeleton, strength
        self._randomized = "randomized" if beside else "synthetic"

    def __call__(self, raw: dict) -> dict:
        names = sorted(name for name in raw if name != "seed")
        seeds = tf.unstack(tf.random.split(tf.random.fold_in(raw["seed"], 1), len(names)))
        batch = {name: self._prepare(raw[name], seed, name != "real") for name, seed in zip(names, seeds)}
        if self._strength:
            batch[self._randomized] = self._randomize(batch["synthetic"], raw["synthetic"]["cube_mm"], raw["seed"])
        return {**batch, "seed": raw["seed"]}

    def _randomize(self, frames: dict[str, tf.Tensor], cube_mm: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        seed = tf.random.fold_in(seed, 3)
        image, joints = randomize.randomize(
            frames["image"], frames["joints"], cube_mm, self._skeleton, self._strength, seed
        )
        return {"image": image, "joints": joints}

    def _prepare(self, rows: dict[str, tf.Tensor], seed: tf.Tensor, labels: bool) -> dict[str, tf.Tensor]:
        data = self._data
        count = rows["joints_mm"].shape[0]
        angle, shift_mm = augment.draw_views(count, seed, data.rotation_degrees, data.translation_mm)
        prepared = {}
        if "depth_mm" in rows:
            prepared["image"] = augment.view_crops(
                rows["depth_mm"],
                rows["center_mm"],
                rows["extent_mm"],
                rows["cube_mm"],
                data.image_size,
                angle,
                shift_mm,
            )
        if labels:
            prepared["joints"] = augment.view_joints(
                rows["joints_mm"], rows["center_mm"], rows["cube_mm"], angle, shift_mm
            )
        return prepared


def labelled_indices(store: Store, split: str, fraction: float, seed: int, count: int | None = None) -> tuple[int, ...]:
    """A uniform sample of a split's labelled frames ("we uniformly sample m % of the real data", section 5).

    Smaller fractions of the same seed are subsets of larger ones. At least one frame where fraction > 0. With `count`,
    of the split's first frames only.
    """
    joints_mm = store.column(split, "joints_mm")[:count]
    labelled = np.flatnonzero(np.isfinite(joints_mm).all(axis=(1, 2)))
    if fraction > 0 and not len(labelled):
        raise InputError(f"{store.path}: no frame of '{split}' has labels, so leave out --labels, or say --labels 0")
    order = np.random.default_rng([seed, 17]).permutation(labelled)
    count = 0 if fraction == 0 else max(1, round(fraction * len(labelled)))
    return tuple(int(index) for index in order[:count])
