"""What feeds a run's training: its store, or the simulator."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from lsps_tf.datasets.feeds import Feed, StoreFeed
from lsps_tf.datasets.shards import ShardedStore
from lsps_tf.datasets.simulated_stream import SimulatedFeed
from lsps_tf.datasets.simulator import DATASETS, Simulation
from lsps_tf.datasets.store import open_store
from lsps_tf.jobs import HERE, Workers
from lsps_tf.run_folder import RunSettings

# Processes that read a store in shards. More read faster than a step takes.
_MOST_READERS = 4


@contextlib.contextmanager
def open_feed(settings: RunSettings, workers: Workers = HERE) -> Iterator[Feed]:
    """Gives what feeds a run's training until the block ends; the workers render, or read a store in shards."""
    cores = len(os.sched_getaffinity(0))
    if settings.stream:
        # Not in this process: a graph of the simulator would wait there for the pipeline that waits for it.
        with workers.engine(cores - 1, least=1) as engine:
            yield SimulatedFeed(_simulation(settings), engine)
        return
    store = open_store(settings.store)
    if not isinstance(store, ShardedStore):
        yield StoreFeed(store)
        return
    # The store is on this machine's disks, so a cluster does not read it.
    with Workers(workers.count).engine(min(_MOST_READERS, cores - 1)) as engine:
        yield StoreFeed(store, engine)


def _simulation(settings: RunSettings) -> Simulation:
    data, version = settings.config.data, DATASETS[settings.dataset]
    return Simulation(settings.sensor, settings.skeleton, data.image_size, data.cube_mm, version)
