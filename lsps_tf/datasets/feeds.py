"""What a training's frames come from: a store, read by this process or by others. Loads no TensorFlow.

`simulated_stream` has the other one, the simulator without end.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from lsps_tf.datasets.shards import index_path
from lsps_tf.datasets.store import Store, StoreInfo, open_store
from lsps_tf.errors import InputError
from lsps_tf.jobs import Engine

Rows = dict[str, np.ndarray]
# A step, and which rows of its batch are wanted.
Part = tuple[int, slice]
_POSES = ("joints_mm", "center_mm", "cube_mm", "extent_mm")


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

    @property
    def columns(self) -> tuple[str, ...]:
        """What a batch holds of its frames, all float32."""
        return (("depth_mm",) if self.images else ()) + _POSES


class Feed(abc.ABC):
    """Gives batches of frames, each a pure function of the seed and the step.

    Attributes:
        info: what holds for all frames.
    """

    info: StoreInfo

    @abc.abstractmethod
    def check(self, streams: dict[str, Stream]) -> None:
        """Raises InputError where a stream has no frames."""

    @abc.abstractmethod
    def batches(self, streams: dict[str, Stream], seed: int, wanted: Iterable[Part]) -> Iterator[dict[str, Rows]]:
        """Batches by stream: its columns, a row per frame.

        Args:
            streams: what a batch holds.
            seed: of the order of the frames.
            wanted: steps that do not fall, and which rows of their batches.
        """

    def shape_of(self, column: str) -> tuple[int, ...]:
        """The shape of a frame's value."""
        size, joints = self.info.size, self.info.skeleton.num_joints
        return {"depth_mm": (size, size), "joints_mm": (joints, 3), "center_mm": (3,)}.get(column, ())


class StoreFeed(Feed):
    """Frames of a store in an order of their own, epoch after epoch."""

    def __init__(self, store: Store, engine: Engine | None = None):
        """Args: store: to read. engine: who reads it; None for this process."""
        self.info, self._store, self._engine = store.info, store, engine
        self._changed_ns = 0 if engine is None else _changed_ns(store.path)

    def check(self, streams: dict[str, Stream]) -> None:
        for stream in streams.values():
            if not self._count(stream):
                raise InputError(f"{self._store.path}: the split '{stream.split}' has no frames to train on")

    def batches(self, streams: dict[str, Stream], seed: int, wanted: Iterable[Part]) -> Iterator[dict[str, Rows]]:
        drawn = self._drawn(streams, seed, wanted)
        asked, kept = itertools.tee(part for batch in drawn for part in batch.items())
        store = self._store.path, self._changed_ns
        jobs = (ReadRows(*store, streams[name].split, rows, streams[name].images) for name, rows in asked)
        read = (job.read(self._store) for job in jobs) if self._engine is None else self._engine.run(jobs)
        while batch := {name: (next(read), frames) for name, frames in itertools.islice(kept, len(streams))}:
            yield {name: _labelled(rows, frames, streams[name].joints_mm) for name, (rows, frames) in batch.items()}

    def _drawn(self, streams: dict[str, Stream], seed: int, wanted: Iterable[Part]) -> Iterator[dict[str, np.ndarray]]:
        """The frames of each batch by stream."""
        keys = {name: (seed, salt) for salt, name in enumerate(sorted(streams))}
        for step, rows in wanted:
            frames = {}
            for name, stream in sorted(streams.items()):
                order = shuffled_indices(step, stream.batch, self._count(stream), keys[name])[rows]
                frames[name] = order if stream.indices is None else _taken(stream.indices, order)
            yield frames

    def _count(self, stream: Stream) -> int:
        return self._store.count(stream.split) if stream.indices is None else len(stream.indices)


@dataclasses.dataclass(frozen=True)
class ReadRows:
    """The job of some frames of a store.

    Attributes:
        path: of the store.
        changed_ns: when it changed last; a process that has it open from before opens it again.
        split: of it.
        frames: int64 [N], their numbers.
        images: whether depth is read.
    """

    path: pathlib.Path
    changed_ns: int
    split: str
    frames: np.ndarray
    images: bool

    def __call__(self) -> Rows:
        return self.read(_opened(self.path, self.changed_ns))

    def read(self, store: Store) -> Rows:
        """The frames from a store that is open."""
        if self.images:
            return store.read(self.split, self.frames)
        return {name: store.column(self.split, name)[self.frames] for name in _POSES}


def shuffled_indices(step: int, batch: int, count: int, key: tuple[int, int]) -> np.ndarray:
    """Which of `count` frames a step takes, int64 [batch]: epoch after epoch, each a permutation of its own."""
    position = step * batch + np.arange(batch)
    epochs, offsets = position // count, position % count
    return np.array([_permutation(count, key, int(e))[o] for e, o in zip(epochs, offsets)], np.int64)


@functools.lru_cache(maxsize=8)
def _permutation(count: int, key: tuple[int, int], epoch: int) -> np.ndarray:
    return np.random.default_rng([*key, epoch]).permutation(count)


def _labelled(rows: Rows, frames: np.ndarray, joints_mm: np.ndarray | None) -> Rows:
    """Rows with other joints [N, J, 3] of all N frames, where there are some."""
    return rows if joints_mm is None else {**rows, "joints_mm": joints_mm[frames]}


def _taken(indices: Sequence[int], order: np.ndarray) -> np.ndarray:
    return np.array([indices[place] for place in order.tolist()], np.int64)


def _changed_ns(path: pathlib.Path) -> int:
    return (index_path(path) if path.is_dir() else path).stat().st_mtime_ns


@functools.lru_cache(maxsize=1)
def _opened(path: pathlib.Path, changed_ns: int) -> Store:
    """The store that a worker process reads."""
    return open_store(path)
