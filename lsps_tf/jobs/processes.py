"""Worker processes of this machine."""

from __future__ import annotations

import collections
import concurrent.futures
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lsps_tf.errors import InputError

# Jobs per process that are taken before the result of the first is asked for.
_AHEAD = 3


class Processes:
    """Processes that run jobs; they start with the first ones and end with the context."""

    def __init__(self, count: int):
        self._executor = concurrent.futures.ProcessPoolExecutor(
            count, multiprocessing.get_context("spawn"), initializer=_start_worker
        )
        self._ahead = _AHEAD * count

    def run(self, jobs: Iterable[Callable[[], Any]]) -> Iterator[Any]:
        """As of `Engine`; InputError where a process is killed."""
        waiting: collections.deque = collections.deque()
        try:
            for job in jobs:
                waiting.append(self._executor.submit(job))
                if len(waiting) > self._ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise InputError(
                "--workers: a worker process was killed, perhaps for want of memory; start again with fewer"
            ) from error

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)


def prepare_worker() -> None:
    """Readies a process before it loads TensorFlow: one thread, no GPU, no messages.

    The machine's cores are shared out by processes, and the GPU is the training's. A result does not depend on threads.
    """
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _start_worker() -> None:
    """Readies a worker process: Ctrl-C is its parent's to handle, and it does not outlive its parent."""
    prepare_worker()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A killed parent cannot end its workers, and they would wait for jobs for ever.
    multiprocessing.parent_process().join()
    os._exit(1)
