"""Requests that arrive at about the same time, run together: as many rows as fit, or as came in a short while.

The words and their meaning are TensorFlow Serving's (`max_batch_size`, `batch_timeout_micros`). One difference: where
a batch fails, its requests run again one by one, so that a damaged frame fails its own request only.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Union

import numpy as np

from export.serving.errors import ServingError, invalid, of_exception
from export.serving.formats import Arrays
from export.serving.metrics import Metrics
from export.serving.servable import Signature
from export.serving.settings import Settings
from export.serving.threads import in_thread

Outcome = Union[Arrays, ServingError]


@dataclasses.dataclass(eq=False)
class _Task:
    """A request; `rows` is 0 where it runs alone, `waits` tells whether it counts as being in the queue."""

    inputs: Arrays
    rows: int
    outcome: asyncio.Future
    waits: bool = False


@dataclasses.dataclass(eq=False)
class _Batch:
    """Tasks that run together. `due` is the loop's time from which it need not wait for more."""

    signature: Signature
    due: float
    tasks: list[_Task] = dataclasses.field(default_factory=list)
    rows: int = 0


class Batcher:
    """The queue before the models, and the threads that run them. Its methods belong to one event loop."""

    def __init__(self, settings: Settings, metrics: Metrics):
        self._settings, self._metrics = settings, metrics
        self._open: dict[Hashable, _Batch] = {}
        self._ready: collections.deque[_Batch] = collections.deque()
        self._changed = asyncio.Event()
        self._waiting = 0
        self._pool = ThreadPoolExecutor(settings.batch_threads, "batch")
        self._workers = [asyncio.ensure_future(self._work()) for _ in range(settings.batch_threads)]

    async def close(self) -> None:
        """Ends the threads; what is in the queue is dropped, so call it when nothing is."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._pool.shutdown()

    def check_room(self) -> None:
        """ServingError 429 where the queue is full."""
        if self._waiting >= self._settings.max_queue:
            raise ServingError(429, f"the queue is full ({self._settings.max_queue} requests wait); try again later")

    async def run(self, signature: Signature, inputs: Arrays, kind: Hashable = None) -> Arrays:
        """Runs a request and gives its outputs. Cancelled, it leaves the queue.

        Args:
            signature: what to run.
            inputs: by name; where these have more rows than run together, they run as several batches, one by one.
            kind: requests run together only where this is equal, besides signature and shapes of their rows.

        Raises:
            ServingError: 429 where the queue is full, else what the model raised.
        """
        self.check_room()
        rows, most = _rows_of(signature, inputs), self._settings.max_batch_size
        if rows <= most:
            return await self._run_task(signature, inputs, rows, kind)
        parts = []
        for start in range(0, rows, most):
            part = {name: array[start : start + most] for name, array in inputs.items()}
            parts.append(await self._run_task(signature, part, min(most, rows - start), kind))
        return _joined(parts)

    async def _run_task(self, signature: Signature, inputs: Arrays, rows: int, kind: Hashable) -> Arrays:
        task = _Task(inputs, rows, asyncio.get_running_loop().create_future())
        self._set_waiting(task, True)
        self._enqueue(signature, task, kind)
        try:
            outcome = await task.outcome
        finally:
            self._set_waiting(task, False)
        if isinstance(outcome, ServingError):
            raise outcome
        return outcome

    def _enqueue(self, signature: Signature, task: _Task, kind: Hashable) -> None:
        now, wait_s = asyncio.get_running_loop().time(), self._settings.batch_timeout_micros * 1e-6
        if not task.rows:
            self._ready.append(_Batch(signature, now, [task]))
        else:
            shapes = tuple(sorted((name, array.shape[1:]) for name, array in task.inputs.items()))
            key = (signature, shapes, kind)
            batch = self._open.get(key)
            if batch is not None and batch.rows + task.rows > self._settings.max_batch_size:
                self._ready.append(self._open.pop(key))
                batch = None
            if batch is None:
                batch = self._open[key] = _Batch(signature, now + wait_s)
            batch.tasks.append(task)
            batch.rows += task.rows
            if batch.rows == self._settings.max_batch_size:
                self._ready.append(self._open.pop(key))
        self._changed.set()

    async def _work(self) -> None:
        while True:
            # A call of its own, so that nothing of a batch stays alive until the next one comes.
            await self._run_tasks(await self._next_batch())

    async def _run_tasks(self, batch: _Batch) -> None:
        tasks = [task for task in batch.tasks if not task.outcome.done()]
        for task in tasks:
            self._set_waiting(task, False)
        if not tasks:
            return
        inputs = [task.inputs for task in tasks]
        try:
            outcomes = await in_thread(self._run_batch, batch.signature, inputs, pool=self._pool)
        except Exception as error:
            # A worker goes on whatever happens: nobody else takes what waits.
            outcomes = [of_exception(error)] * len(tasks)
        for task, outcome in zip(tasks, outcomes):
            if not task.outcome.done():
                task.outcome.set_result(outcome)

    async def _next_batch(self) -> _Batch:
        loop = asyncio.get_running_loop()
        while True:
            if self._ready:
                return self._ready.popleft()
            now = loop.time()
            due = {key: batch.due for key, batch in self._open.items()}
            key = min(due, key=due.get, default=None)
            if key is not None and due[key] <= now:
                return self._open.pop(key)
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), None if key is None else due[key] - now)
            except asyncio.TimeoutError:
                continue

    def _run_batch(self, signature: Signature, requests: list[Arrays]) -> list[Outcome]:
        """Runs in a thread: the requests together, or one by one where that fails."""
        self._metrics.batch_requests.observe(len(requests))
        if len(requests) > 1:
            try:
                with self._metrics.run_seconds.time():
                    return _run_together(signature, requests)
            except Exception:
                self._metrics.split_batches.inc()
        return [self._run_alone(signature, inputs) for inputs in requests]

    def _run_alone(self, signature: Signature, inputs: Arrays) -> Outcome:
        try:
            with self._metrics.run_seconds.time():
                return signature.run(inputs)
        except Exception as error:
            return of_exception(error)

    def _set_waiting(self, task: _Task, waits: bool) -> None:
        self._waiting += int(waits) - int(task.waits)
        task.waits = waits
        self._metrics.queue.set(self._waiting)


def _rows_of(signature: Signature, inputs: Arrays) -> int:
    """Rows that may run together with others; 0 where a request has to run alone."""
    sizes = {array.shape[:1] for array in inputs.values()}
    return sizes.pop()[0] if signature.batches and len(sizes) == 1 and () not in sizes else 0


def _joined(parts: list[Arrays]) -> Arrays:
    try:
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    except ValueError:
        raise invalid("the outputs of several batches cannot be joined; send fewer rows in a request") from None


def _run_together(signature: Signature, requests: list[Arrays]) -> list[Arrays]:
    rows = [len(next(iter(inputs.values()))) for inputs in requests]
    outputs = signature.run({name: np.concatenate([inputs[name] for inputs in requests]) for name in requests[0]})
    if any(array.shape[:1] != (sum(rows),) for array in outputs.values()):
        raise ValueError("an output has another number of rows than the inputs")
    ends = np.cumsum(rows)[:-1]
    parts = {name: np.split(array, ends) for name, array in outputs.items()}
    return [{name: arrays[number] for name, arrays in parts.items()} for number in range(len(requests))]
