"""The simulator as a feed without end and without a disk: every step has frames that no step had before."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from lsps_tf.datasets.feeds import Feed, Part, Rows, Stream
from lsps_tf.datasets.simulated import cached_simulator, camera_of
from lsps_tf.datasets.simulator import BATCH, SUBJECTS, Simulation
from lsps_tf.datasets.store import stored_size
from lsps_tf.datasets.store_parts import info_of
from lsps_tf.errors import InputError
from lsps_tf.jobs import Engine


class SimulatedFeed(Feed):
    """Frames number step * B onwards of each stream's split, for batches of B; the seed says which frames these are."""

    def __init__(self, simulation: Simulation, engine: Engine):
        """Args: simulation: what to simulate. engine: who renders."""
        size = stored_size(simulation.image_size)
        self.info = info_of(simulation.skeleton, camera_of(simulation), size, simulation.source)
        self._simulation, self._engine = simulation, engine

    def check(self, streams: dict[str, Stream]) -> None:
        for stream in streams.values():
            if stream.split not in SUBJECTS or stream.indices is not None or stream.joints_mm is not None:
                raise InputError(f"--stream: what is asked of '{stream.split}' takes a store; leave --stream out")

    def batches(self, streams: dict[str, Stream], seed: int, wanted: Iterable[Part]) -> Iterator[dict[str, Rows]]:
        asked, kept = itertools.tee(wanted)
        rendered = self._engine.run(self._jobs(streams, seed, asked))
        held: dict[str, dict[int, Rows]] = {name: {} for name in streams}
        for step, rows in kept:
            batch = {}
            for name, stream in sorted(streams.items()):
                numbers = _numbers(step, stream.batch)
                held[name] = {n: held[name][n] if n in held[name] else next(rendered) for n in numbers}
                first = step * stream.batch - numbers.start * BATCH
                batch[name] = _cut(list(held[name].values()), slice(first, first + stream.batch), rows)
            yield batch

    def _jobs(self, streams: dict[str, Stream], seed: int, wanted: Iterable[Part]) -> Iterator[SimulateBatch]:
        """What is rendered for the steps, in the order in which it is needed first."""
        made = dict.fromkeys(streams, -1)
        for step, _ in wanted:
            for name, stream in sorted(streams.items()):
                for number in _numbers(step, stream.batch):
                    if number > made[name]:
                        made[name] = number
                        yield SimulateBatch(self._simulation, stream.split, seed, number, stream.images)


@dataclasses.dataclass(frozen=True)
class SimulateBatch:
    """The job of a batch of the simulator; the attributes are those of `Simulator.streamed`."""

    simulation: Simulation
    split: str
    seed: int
    number: int
    images: bool

    def __call__(self) -> Rows:
        return cached_simulator(self.simulation, self.split).streamed(self.number, self.seed, self.images)


def _numbers(step: int, batch: int) -> range:
    """The numbers of the simulator's batches that a step's frames are in."""
    return range(step * batch // BATCH, ((step + 1) * batch - 1) // BATCH + 1)


def _cut(parts: list[Rows], batch: slice, rows: slice) -> Rows:
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {name: value[batch][rows] for name, value in whole.items()}
