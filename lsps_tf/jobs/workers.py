"""Who runs jobs: this process, this machine's processes, or a cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from lsps_tf.jobs.processes import Processes

Job = Callable[[], Any]


class Engine(Protocol):
    """What runs jobs."""

    def run(self, jobs: Iterable[Job]) -> Iterator[Any]:
        """What the jobs return, in their order; jobs are taken only so far ahead.

        Raises:
            InputError: what a job raises, or where the engine is lost.
        """


@dataclasses.dataclass(frozen=True)
class Workers:
    """Who runs jobs, as the command line says it.

    Attributes:
        count: processes of this machine; 0 for this process; None for one per core where the work is worth it.
        cluster: the address of a Ray cluster, whose nodes run the jobs instead; None for this machine.
    """

    count: int | None = None
    cluster: str | None = None

    @contextlib.contextmanager
    def engine(self, worth: int, least: int = 0) -> Iterator[Engine]:
        """Gives what runs jobs until the block ends.

        Args:
            worth: how many processes the jobs keep busy for longer than a process takes to start. No more are started
                where nobody said how many.
            least: how many processes there must be; 0 where this process can run the jobs, too.

        Raises:
            InputError: where the cluster does not answer, or Ray is not installed.
        """
        if self.cluster is not None:
            from lsps_tf.jobs.ray_cluster import RayCluster

            with RayCluster(self.cluster) as engine:
                yield engine
            return
        count = max(self._processes(worth), least)
        if not count:
            yield _ThisProcess()
            return
        with Processes(count) as engine:
            yield engine

    def _processes(self, worth: int) -> int:
        if self.count is not None:
            return self.count
        count = min(len(os.sched_getaffinity(0)), worth)
        # One process beside this one, which would wait for it, makes nothing faster.
        return count if count > 1 else 0

    def check(self) -> None:
        """Raises InputError where the cluster does not answer; quick, and before any work is done."""
        if self.cluster is not None:
            from lsps_tf.jobs.ray_cluster import check_cluster

            check_cluster(self.cluster)


class _ThisProcess:
    def run(self, jobs: Iterable[Job]) -> Iterator[Any]:
        return (job() for job in jobs)


# In this process: what functions of the library do where nobody says anything else.
HERE = Workers(0)
