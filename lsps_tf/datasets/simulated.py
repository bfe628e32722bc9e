"""The built-in dataset: simulated hands in the synthetic and the real domain, made on demand into the store.

Stores grow, and never change: `simulator` and `simulated_scenes` fix every frame by its number.
"""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable, Iterable, Iterator

from lsps_tf.datasets.frame_sources import Batch
from lsps_tf.datasets.simulated_scenes import SceneSimulator
from lsps_tf.datasets.simulator import BATCH, VERSIONS, Simulation, Simulator
from lsps_tf.datasets.store import Store, create_store, growing_store, open_store, stored_size
from lsps_tf.datasets.workers import Pool
from lsps_tf.errors import InputError
from lsps_tf.files import locked
from lsps_tf.simulation import sensor


def ensure_store(
    simulation: Simulation,
    data_root: str | pathlib.Path,
    counts: dict[str, int],
    progress: Callable[[int, int], None] = lambda done, total: None,
    wait: Callable[[str], None] | None = None,
) -> pathlib.Path:
    """Makes the store, or adds what it lacks.

    Args:
        simulation: what to simulate.
        data_root: the folder of stores.
        counts: frames wanted per split; splits may already hold more.
        progress: called with the frames done and the frames to do.
        wait: called with a line where another process makes the store, which is waited for; None does not wait.

    Returns:
        The store's path. A stop leaves a `.partial` file that the next call goes on with.

    Raises:
        InputError: where the store cannot be read or written, or, without `wait`, another process makes it.
    """
    path = simulation.store_path(data_root)
    if _has(path, counts):
        return path
    with locked(path, wait):
        if not _has(path, counts):
            _grow(path, simulation, counts, progress)
    return path


def _has(path: pathlib.Path, counts: dict[str, int]) -> bool:
    if not path.exists():
        return False
    with open_store(path) as store:
        return all(store.count(split) >= count for split, count in counts.items())


def _grow(
    path: pathlib.Path, simulation: Simulation, counts: dict[str, int], progress: Callable[[int, int], None]
) -> None:
    with growing_store(path) as partial, _open_partial(partial, simulation) as store:
        missing = {split: max(0, count - store.count(split)) for split, count in counts.items()}
        done, total = 0, sum(missing.values())
        progress(done, total)
        for split in counts:
            for rows in _missing_batches(simulation, store, split, counts[split]):
                store.append(split, rows)
                store.flush()
                done += len(rows["frame"])
                progress(done, total)


def _open_partial(partial: pathlib.Path, simulation: Simulation) -> Store:
    size = stored_size(simulation.image_size)
    camera = sensor.SENSORS[simulation.sensors[0]].camera
    if partial.exists():
        # A kill in the middle of a write may leave less than it says; every frame can be made again.
        with contextlib.suppress(InputError):
            store = open_store(partial, "a")
            if store.has_all_frames():
                return store
            store.close()
        partial.unlink()
    return create_store(partial, simulation.skeleton, camera, size, simulation.source)


def _missing_batches(simulation: Simulation, store: Store, split: str, count: int):
    simulator = build_simulator(simulation, split)
    while (start := store.count(split)) < count:
        number, offset = divmod(start, BATCH)
        rows = simulator.batch(number)
        yield {name: value[offset : min(BATCH, count - number * BATCH)] for name, value in rows.items()}


def build_simulator(simulation: Simulation, split: str) -> Simulator:
    """What renders a split's frames in the simulation's version."""
    return (Simulator if simulation.version == VERSIONS[0] else SceneSimulator)(simulation, split)


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

    def batches(self, ranges: Iterable[range], pool: Pool | None) -> Iterator[Batch]:
        simulator = build_simulator(self._simulation, self._split)
        for positions in ranges:
            rows = simulator.batch(positions.start // self.batch)
            yield Batch({name: value[: len(positions)] for name, value in rows.items()}, [])
