"""The built-in dataset: simulated hands in the synthetic and the real domain, made on demand into the store.

Stores grow, and never change: `simulator` and `simulated_scenes` fix every frame by its number. A batch of frames is a
job (`lsps_tf.jobs`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Callable

import numpy as np

from lsps_tf.camera import Camera
from lsps_tf.datasets.frame_sources import Batch
from lsps_tf.datasets.importing import make_parts
from lsps_tf.datasets.simulated_scenes import SceneSimulator
from lsps_tf.datasets.simulator import BATCH, VERSIONS, Simulation, Simulator
from lsps_tf.datasets.store import (
    StoreFile,
    create_store,
    growing_store,
    is_store,
    open_store,
    store_suffix,
    stored_size,
)
from lsps_tf.datasets.store_parts import Parts, info_of
from lsps_tf.errors import InputError
from lsps_tf.files import locked
from lsps_tf.jobs import HERE, Workers
from lsps_tf.simulation import sensor

# To render so many batches takes longer than a process takes to start and to build the graphs.
_WORTH_A_PROCESS = 100
Progress = Callable[[int, int], None]


def ensure_store(
    simulation: Simulation,
    data_root: str | pathlib.Path,
    counts: dict[str, int],
    progress: Progress = lambda done, total: None,
    wait: Callable[[str], None] | None = None,
    workers: Workers = HERE,
    shard_frames: int | None = None,
) -> pathlib.Path:
    """Makes the store, or adds what it lacks.

    Args:
        simulation: what to simulate.
        data_root: the folder of stores.
        counts: frames wanted per split; splits may already hold more.
        progress: called with the frames done and the frames to do.
        wait: called with a line where another process makes the store, which is waited for; None does not wait.
        workers: who renders.
        shard_frames: frames of a shard; None for a store in one file.

    Returns:
        The store's path. A stop leaves a `.partial` file, or the shards so far, that the next call goes on with.

    Raises:
        InputError: where the store cannot be read or written, or, without `wait`, another process makes it.
    """
    path = simulation.store_path(data_root, store_suffix(shard_frames))
    if _has(path, counts):
        return path
    with locked(path, wait):
        if not _has(path, counts):
            if shard_frames is None:
                _grow(path, simulation, counts, progress, workers)
            else:
                _grow_shards(path, simulation, counts, progress, workers, shard_frames)
    return path


def _has(path: pathlib.Path, counts: dict[str, int]) -> bool:
    if not is_store(path):
        return False
    with open_store(path) as store:
        return all(store.count(split) >= count for split, count in counts.items())


def _grow(
    path: pathlib.Path, simulation: Simulation, counts: dict[str, int], progress: Progress, workers: Workers
) -> None:
    with growing_store(path) as partial, _open_partial(partial, simulation) as store:
        missing = {split: range(store.count(split), count) for split, count in counts.items()}
        batches = [(split, part) for split, frames in missing.items() for part in _by_batches(frames)]
        done, total = 0, sum(map(len, missing.values()))
        progress(done, total)
        jobs = (SimulateFrames(simulation, split, frames) for split, frames in batches)
        with workers.engine(len(batches) // _WORTH_A_PROCESS) as engine:
            for (split, frames), batch in zip(batches, engine.run(jobs)):
                store.append(split, batch.rows)
                store.flush()
                done += len(frames)
                progress(done, total)


def _grow_shards(
    path: pathlib.Path,
    simulation: Simulation,
    counts: dict[str, int],
    progress: Progress,
    workers: Workers,
    shard_frames: int,
) -> None:
    wanted = dict(counts)
    if is_store(path):
        with open_store(path) as store:
            wanted = {split: max(count, counts.get(split, 0)) for split, count in {**counts, **store.splits()}.items()}
    sources = {split: SimulatedSource(simulation, split, count) for split, count in wanted.items()}
    info = info_of(simulation.skeleton, camera_of(simulation), stored_size(simulation.image_size), simulation.source)
    parts = Parts(path, info, shard_frames)
    make_parts(parts, sources, workers, progress)
    for _ in parts.finish({split: parts.blocks(count) for split, count in wanted.items()}, simulation.source):
        pass


def _open_partial(partial: pathlib.Path, simulation: Simulation) -> StoreFile:
    size = stored_size(simulation.image_size)
    if partial.exists():
        # A kill in the middle of a write may leave less than it says; every frame can be made again.
        with contextlib.suppress(InputError):
            store = open_store(partial, "a")
            if store.has_all_frames():
                return store
            store.close()
        partial.unlink()
    return create_store(partial, simulation.skeleton, camera_of(simulation), size, simulation.source)


def camera_of(simulation: Simulation) -> Camera:
    """The camera that a simulated store names: that of its first sensor."""
    return sensor.SENSORS[simulation.sensors[0]].camera


def _by_batches(frames: range) -> list[range]:
    """The numbers of frames by the simulator's batches that they are in."""
    numbers = range(frames.start // BATCH, -(-frames.stop // BATCH)) if frames else ()
    return [range(max(frames.start, n * BATCH), min(frames.stop, (n + 1) * BATCH)) for n in numbers]


def build_simulator(simulation: Simulation, split: str) -> Simulator:
    """What renders a split's frames in the simulation's version."""
    return (Simulator if simulation.version == VERSIONS[0] else SceneSimulator)(simulation, split)


# The graphs of a process's simulators.
cached_simulator = functools.lru_cache(maxsize=4)(build_simulator)


@dataclasses.dataclass(frozen=True)
class SimulateFrames:
    """The job of frames of one batch of a simulator.

    Attributes:
        simulation: what fixes the frames.
        split: of `simulator.SUBJECTS`.
        frames: their numbers.
    """

    simulation: Simulation
    split: str
    frames: range

    def __call__(self) -> Batch:
        number = self.frames.start // BATCH
        rows = cached_simulator(self.simulation, self.split).batch(number)
        first = number * BATCH
        own = slice(self.frames.start - first, self.frames.stop - first)
        return Batch({name: np.asarray(value[own]) for name, value in rows.items()}, [])


class SimulatedSource:
    """The first `count` frames of a split of the built-in simulator."""

    batch = BATCH

    def __init__(self, simulation: Simulation, split: str, count: int):
        self._simulation, self._split, self._count = simulation, split, count

    def __len__(self) -> int:
        return self._count

    def digest(self) -> str:
        return repr((self._simulation.source, self._split))

    def name_of(self, position: int) -> str:
        return f"simulated frame {position}"

    def job(self, positions: range) -> SimulateFrames:
        """As of `FrameSource`."""
        return SimulateFrames(self._simulation, self._split, positions)
