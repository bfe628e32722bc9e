"""The input pipeline: splits of frames, unpaired, as batches that `fit` takes.

`tf.data` reads, batches and prefetches on the CPU; `Preparation` runs inside the training step, so that the warp of
the augmentation is done on the GPU where there is one. A batch is a pure function of the seed and the step: epochs are
keyed permutations, not shuffle buffers. The position of the pipeline in a checkpoint is therefore the step alone, and
a pipeline that starts at step n goes on as if it had run from 0. `datasets.feeds` has what the frames come from.
"""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from lsps_tf import appearance, augment, randomize
from lsps_tf.config import DataConfig
from lsps_tf.datasets.feeds import Feed, Rows, StoreFeed, Stream
from lsps_tf.datasets.store import Store, open_store
from lsps_tf.errors import InputError
from lsps_tf.replicas import WHOLE, Shares
from lsps_tf.skeleton import Skeleton


def build_pipeline(
    frames: str | pathlib.Path | Feed,
    streams: dict[str, Stream],
    seed: int,
    start_step: int = 0,
    on_unread: Callable[[InputError], None] | None = None,
    shares: Shares = WHOLE,
) -> tf.data.Dataset:
    """Endless batches from step `start_step` on.

    Args:
        frames: what gives the frames, or the path of a store.
        streams: what to draw under which name, each in its own order.
        seed: of the order of the frames and, through the batch's "seed", of all that is random in a step.
        start_step: the position to start at.
        on_unread: is told, in a line, why a batch cannot be read, as where the disk is gone; the pipeline ends there
            with an error of TensorFlow's.
        shares: where several replicas share each batch, those of this process: after one another, step by step.

    Returns:
        A dataset of dicts: per stream `depth_mm` [B, R, R] (unless poses alone), `joints_mm` [B, J, 3],
        `center_mm` [B, 3], `cube_mm` [B] and `extent_mm` [B]; and "seed", int32 [2], the run's seed and the step.
        B is a stream's batch, or a share of it.

    Raises:
        InputError: where a stream's split is missing or empty, or its batch cannot be shared.
    """
    feed = frames if isinstance(frames, Feed) else StoreFeed(open_store(frames))
    feed.check(streams)
    _check_shares(streams, shares)
    read = _InOrder(feed, streams, seed, on_unread, shares)

    def load(number: tf.Tensor) -> dict[str, tf.Tensor | dict[str, tf.Tensor]]:
        names = [(name, column) for name, stream in sorted(streams.items()) for column in stream.columns]
        values = iter(tf.numpy_function(read, [number], [tf.float32] * len(names)))
        batch: dict = {name: {} for name in sorted(streams)}
        for name, column in names:
            shape = streams[name].batch // shares.total, *feed.shape_of(column)
            batch[name][column] = tf.ensure_shape(next(values), shape)
        step = number // shares.own
        return {**batch, "seed": tf.stack([tf.constant(seed, tf.int32), tf.cast(step, tf.int32)])}

    options = tf.data.Options()
    options.deterministic = True
    # There is nothing to tune, and an iterator's end waits for the tuner's next look: a minute, later on.
    options.autotune.enabled = False
    dataset = tf.data.Dataset.range(start_step * shares.own, np.iinfo(np.int64).max)
    # Who distributes it would otherwise ask in each step whether there is another batch.
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return dataset.map(load, num_parallel_calls=1).prefetch(4).with_options(options)


def _check_shares(streams: dict[str, Stream], shares: Shares) -> None:
    for stream in streams.values():
        if stream.batch % shares.total:
            raise InputError(
                f"{stream.batch} frames of '{stream.split}' in each step cannot be shared by {shares.total} replicas; "
                f"give a batch that {shares.total} divides"
            )


class _InOrder:
    """A feed's batches, or shares of them, by their number; quick for those in a row, as a pipeline asks for them."""

    def __init__(
        self,
        feed: Feed,
        streams: dict[str, Stream],
        seed: int,
        on_unread: Callable[[InputError], None] | None,
        shares: Shares,
    ):
        self._feed, self._streams, self._seed, self._on_unread = feed, streams, seed, on_unread
        self._shares = shares
        self._batches: Iterator[dict[str, Rows]] = iter(())
        self._next = -1

    def __call__(self, number: np.int64) -> list[np.ndarray]:
        if int(number) != self._next:
            wanted = (self._part(later) for later in itertools.count(int(number)))
            self._batches = self._feed.batches(self._streams, self._seed, wanted)
        self._next = int(number) + 1
        try:
            batch = next(self._batches)
        except InputError as error:
            # A generator ends with its error; whoever asks again starts another one.
            self._next = -1
            if self._on_unread is not None:
                self._on_unread(error)
            raise
        return [batch[name][column] for name, stream in sorted(self._streams.items()) for column in stream.columns]

    def _part(self, number: int) -> tuple[int, slice]:
        """The step, and the rows of its batch, of what comes under a number."""
        shares = self._shares
        return number // shares.own, slice(shares.first + number % shares.own, None, shares.total)


# A stream of simulated frames as a sensor sees them, beside a recording's labelled or fitted ones.
SIMULATED = "simulated"
# The streams whose images a sensor took, and whose joints are known.
_SENSED = ("labelled", SIMULATED)


class Preparation:
    """Turns what `build_pipeline` yields into what the stages train on; runs in the training step, on its device.

    Streams with depth give `image` [B, S, S, 1]; all but "real" give `joints` [B, J, 3] in half cubes. "real" stands
    for the unlabelled frames, whose joints no stage may see.

    The frames of "synthetic" are randomised (`randomize`) with `strength` above 0, which needs the skeleton of the
    joints: in place of themselves, or with `beside` as "randomized".

    With `shift_mm` above 0 each frame is shifted (`augment.draw_views`). Labelled frames of a sensor change their looks
    by the setting `appearance`.
    """

    def __init__(
        self,
        data: DataConfig,
        skeleton: Skeleton | None = None,
        strength: float = 0.0,
        beside: bool = False,
        shift_mm: float = 0.0,
    ):
        self._data, self._shift_mm = data, shift_mm
        self._skeleton, self._strength = skeleton, strength
        self._randomized = "randomized" if beside else "synthetic"

    def __call__(self, raw: dict) -> dict:
        names = sorted(name for name in raw if name != "seed")
        seeds = tf.unstack(tf.random.split(tf.random.fold_in(raw["seed"], 1), len(names)))
        batch = {name: self._prepare(raw[name], seed, name != "real") for name, seed in zip(names, seeds)}
        if self._strength:
            batch[self._randomized] = self._randomize(batch["synthetic"], raw["synthetic"]["cube_mm"], raw["seed"])
        for number, name in enumerate(_SENSED):
            if self._data.appearance and "image" in batch.get(name, {}):
                seed = tf.random.fold_in(raw["seed"], 4 + number)
                batch[name] = self._change_appearance(batch[name], raw[name]["cube_mm"], seed)
        return {**batch, "seed": raw["seed"]}

    def _change_appearance(
        self, frames: dict[str, tf.Tensor], cube_mm: tf.Tensor, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        image, joints = appearance.change_appearance(
            frames["image"], frames["joints"], cube_mm, self._data.appearance, seed
        )
        return {"image": image, "joints": joints}

    def _randomize(self, frames: dict[str, tf.Tensor], cube_mm: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        seed = tf.random.fold_in(seed, 3)
        image, joints = randomize.randomize(
            frames["image"], frames["joints"], cube_mm, self._skeleton, self._strength, seed
        )
        return {"image": image, "joints": joints}

    def _prepare(self, rows: dict[str, tf.Tensor], seed: tf.Tensor, labels: bool) -> dict[str, tf.Tensor]:
        data = self._data
        count = rows["joints_mm"].shape[0]
        angle, shift_mm = augment.draw_views(count, seed, data.rotation_degrees, data.translation_mm, self._shift_mm)
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


def labelled_indices(store: Store, split: str, labels: float, seed: int, count: int | None = None) -> tuple[int, ...]:
    """A uniform sample of a split's labelled frames ("we uniformly sample m % of the real data", section 5).

    Smaller samples of the same seed are subsets of larger ones.

    Args:
        store: the store.
        split: of it.
        labels: a fraction of the labelled frames up to 1, of which at least one is taken, or above 1 their number.
        seed: of the sample.
        count: take it of the split's first frames only.

    Raises:
        InputError: where no frame has labels, or fewer than asked for.
    """
    joints_mm = store.column(split, "joints_mm")[:count]
    labelled = np.flatnonzero(np.isfinite(joints_mm).all(axis=(1, 2)))
    if labels > 0 and not len(labelled):
        raise InputError(f"{store.path}: no frame of '{split}' has labels, so leave out --labels, or say --labels 0")
    if labels > max(1, len(labelled)):
        raise InputError(f"--labels {labels:g}: {store.path} has labels of {len(labelled)} frames of '{split}'")
    order = np.random.default_rng([seed, 17]).permutation(labelled)
    wanted = labels if labels > 1 else 0 if labels == 0 else max(1, round(labels * len(labelled)))
    return tuple(int(index) for index in order[: int(wanted)])
