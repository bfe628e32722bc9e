"""The nodes of a Ray cluster. Ray is an extra of the package: pip install lsps-tf[cluster]."""

from __future__ import annotations

import collections
import functools
import hashlib
import importlib.util
import pathlib
import pickle
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lsps_tf.errors import InputError
from lsps_tf.jobs.processes import prepare_worker

# Jobs per core of the cluster that are handed over before the result of the first is asked for.
_AHEAD = 3
# How often Ray runs a job again whose process or node went away.
_RETRIES = 10
_ANSWER_S = 5.0
_CLIENT = "ray://"


class RayCluster:
    """Runs jobs on the cores of a cluster; Ray moves them, and runs them again where a node is lost."""

    def __init__(self, address: str):
        """Connects; InputError where Ray is missing, the address does not answer, or Ray refuses it."""
        check_cluster(address)
        import ray

        self._address, self._ray = address, ray
        try:
            ray.init(address, log_to_driver=False, logging_level="ERROR")
        except Exception as error:
            raise InputError(f"--cluster {address}: Ray cannot connect ({_first_line(error)})") from error
        self._run = ray.remote(num_cpus=1, max_retries=_RETRIES)(_run_pickled)

    def run(self, jobs: Iterable[Callable[[], Any]]) -> Iterator[Any]:
        """As of `Engine`."""
        waiting: collections.deque = collections.deque()
        for job in jobs:
            waiting.append(self._run.remote(pickle.dumps(job), code_digest()))
            if len(waiting) > _AHEAD * max(1, int(self._ray.cluster_resources().get("CPU", 1))):
                yield self._result(waiting.popleft())
        while waiting:
            yield self._result(waiting.popleft())

    def _result(self, reference: Any) -> Any:
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except exceptions.RayTaskError as error:
            # Ray's error holds the text of the traceback; the job's own is what it was.
            if isinstance(error.cause, Exception):
                raise error.cause from None
            raise
        except exceptions.RayError as error:
            raise InputError(
                f"--cluster {self._address}: the cluster lost a job {_RETRIES} times ({_first_line(error)}); look at "
                "its nodes and start again, what is made is kept"
            ) from error

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()


def check_cluster(address: str) -> None:
    """Raises InputError where Ray is not installed, or nothing answers at an address (HOST:PORT, ray://HOST:PORT)."""
    host, _, port = address.removeprefix(_CLIENT).rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"--cluster {address}: give HOST:PORT of the cluster's head, such as head:6379")
    if importlib.util.find_spec("ray") is None:
        raise InputError("--cluster: Ray is not installed here; pip install lsps-tf[cluster]")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--cluster {address}: nothing answers there ({_first_line(error)}); check the address, and that the head "
            "runs (ray start --head)"
        ) from error


@functools.lru_cache(maxsize=1)
def code_digest() -> str:
    """Changes with the package's code."""
    digest = hashlib.sha256()
    package = pathlib.Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _run_pickled(job: bytes, digest: str) -> Any:
    """Runs a job on a node. It comes pickled, so that what it loads is loaded by a process that is ready for it."""
    if code_digest() != digest:
        raise InputError(
            f"--cluster: the node {socket.gethostname()} has another version of lsps_tf than this machine; install "
            "the same on both"
        )
    prepare_worker()
    return pickle.loads(job)()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
