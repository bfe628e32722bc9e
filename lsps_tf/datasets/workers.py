"""What reads frames while others are used: a thread, or worker processes.

These load no TensorFlow, and so stay small: this module must not import it.
"""

from __future__ import annotations

import collections
import concurrent.futures
import multiprocessing
import os
import pathlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from lsps_tf.errors import InputError

_BATCHES_AHEAD, _FRAMES_AHEAD = 3, 8
_LONGEST_REASON = 120


class Pool:
    """Worker processes that read frames; InputError where one of them is killed."""

    def __init__(self, workers: int):
        self._executor = concurrent.futures.ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_start_worker
        )
        self._ahead = workers * _BATCHES_AHEAD

    def map(self, function: Callable, tasks: Iterable[tuple]) -> Iterator[Any]:
        """Results in the tasks' order, only so many of them ahead."""
        waiting: collections.deque = collections.deque()
        try:
            for task in tasks:
                waiting.append(self._executor.submit(function, *task))
                if len(waiting) > self._ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise InputError(
                "--workers: a process that reads frames was killed, perhaps for want of memory; start again with fewer"
            ) from error

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)


def read_ahead(read: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """What `read` makes of the items, in order, by a thread that is a few ahead of whoever uses it."""
    executor, waiting = concurrent.futures.ThreadPoolExecutor(1), collections.deque()
    try:
        for item in items:
            waiting.append(executor.submit(read, item))
            if len(waiting) > _FRAMES_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def read_batch(
    read: Callable[[pathlib.Path], np.ndarray], paths: Sequence[pathlib.Path], shape: tuple[int, int]
) -> tuple[np.ndarray, list[str]]:
    """Reads frames; runs in a worker process.

    Returns:
        uint16 [M, H, W] of those that could be read, and per path why it could not, "" where it could.
    """
    frames, reasons = [], []
    for path in paths:
        try:
            frame = read(path)
            if frame.shape != shape:
                size = " x ".join(str(side) for side in frame.shape[::-1])
                raise InputError(f"{path}: its size is {size} pixels, the camera's is {shape[1]} x {shape[0]}")
            if not frame.any():
                raise InputError(f"{path}: no pixel has a reading; copy the file again")
            frames.append(frame)
            reasons.append("")
        except InputError as error:
            reason = str(error)
            reason = reason[len(f"{path}: ") :] if reason.startswith(f"{path}: ") else reason
            reasons.append(reason[:_LONGEST_REASON])
    return np.stack(frames) if frames else np.empty((0, *shape), np.uint16), reasons


def _start_worker() -> None:
    """Readies a worker process: Ctrl-C is its parent's to handle, and it does not outlive its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A killed parent cannot end its workers, and they would wait for tasks for ever.
    multiprocessing.parent_process().join()
    os._exit(1)
