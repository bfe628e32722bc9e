"""Batching with a signature whose runs the test lets go: what runs together, what fails, and what has to wait."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from export.serving.batching import Batcher
from export.serving.errors import ServingError
from export.serving.metrics import Metrics
from export.serving.settings import Settings


class Doubler:
    """Doubles `x` and refuses negative values; holds every run until `go` is set."""

    def __init__(self, batches: bool = True):
        self.batches = batches
        self.calls: list[list[float]] = []
        self.go, self.running = threading.Event(), threading.Event()

    def run(self, inputs):
        x = inputs["x"]
        self.calls.append(x.ravel().tolist())
        self.running.set()
        assert self.go.wait(30)
        if (x < 0).any():
            raise ValueError("x is negative")
        return {"y": 2 * x}


def run(scenario, **settings):
    """Runs `scenario(batcher)` in an event loop of its own."""

    async def main():
        batcher = Batcher(Settings(model_dir=None, **{"batch_timeout_micros": 0, **settings}), Metrics())
        try:
            return await scenario(batcher)
        finally:
            await batcher.close()

    return asyncio.run(main())


def rows(*values: float) -> dict[str, np.ndarray]:
    return {"x": np.array(values, np.float32)}


def submit(batcher, signature, *requests, kind=None):
    return [asyncio.ensure_future(batcher.run(signature, inputs, kind)) for inputs in requests]


async def blocked(batcher, signature):
    """A first request that runs, and holds the only thread."""
    [first] = submit(batcher, signature, rows(100))
    await asyncio.get_running_loop().run_in_executor(None, signature.running.wait, 30)
    return first


def test_requests_that_wait_run_together_and_each_gets_its_rows():
    signature = Doubler()

    async def scenario(batcher):
        first = await blocked(batcher, signature)
        others = submit(batcher, signature, rows(1), rows(2, 3), rows(4))
        await asyncio.sleep(0)
        signature.go.set()
        return await asyncio.gather(first, *others)

    outputs = run(scenario)
    assert [output["y"].tolist() for output in outputs] == [[200], [2], [4, 6], [8]]
    assert signature.calls == [[100], [1, 2, 3, 4]]


def test_no_batch_is_larger_than_allowed():
    signature = Doubler()

    async def scenario(batcher):
        first = await blocked(batcher, signature)
        others = submit(batcher, signature, rows(1, 2), rows(3, 4), rows(5), rows(6), rows(7))
        await asyncio.sleep(0)
        signature.go.set()
        await asyncio.gather(first, *others)

    run(scenario, max_batch_size=3)
    assert signature.calls == [[100], [1, 2], [3, 4, 5], [6, 7]]


def test_requests_of_other_kinds_shapes_and_signatures_run_apart():
    signature, other = Doubler(), Doubler()
    other.go.set()

    async def scenario(batcher):
        first = await blocked(batcher, signature)
        tasks = submit(batcher, signature, rows(1), rows(2), kind="small")
        tasks += submit(batcher, signature, rows(3), kind="large")
        tasks += submit(batcher, signature, {"x": np.ones((1, 2), np.float32)}, kind="small")
        tasks += submit(batcher, other, rows(4), kind="small")
        await asyncio.sleep(0)
        signature.go.set()
        await asyncio.gather(first, *tasks)

    run(scenario)
    assert signature.calls == [[100], [1, 2], [3], [1, 1]]
    assert other.calls == [[4]]


def test_a_request_that_fails_does_not_fail_the_others():
    signature = Doubler()

    async def scenario(batcher):
        first = await blocked(batcher, signature)
        others = submit(batcher, signature, rows(1), rows(-2), rows(3))
        await asyncio.sleep(0)
        signature.go.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    _, good, bad, also_good = run(scenario)
    assert (good["y"].tolist(), also_good["y"].tolist()) == ([2], [6])
    assert isinstance(bad, ServingError)
    assert (bad.status, bad.message) == (400, "x is negative")
    assert signature.calls == [[100], [1, -2, 3], [1], [-2], [3]]


def test_signature_without_a_batch_axis_runs_alone():
    signature = Doubler(batches=False)

    async def scenario(batcher):
        first = await blocked(batcher, signature)
        others = submit(batcher, signature, rows(1), rows(2))
        await asyncio.sleep(0)
        signature.go.set()
        await asyncio.gather(first, *others)

    run(scenario)
    assert signature.calls == [[100], [1], [2]]


def test_full_queue_is_429_and_room_comes_back():
    signature = Doubler()

    async def scenario(batcher):
        first = await blocked(batcher, signature)
        waiting = submit(batcher, signature, rows(1), rows(2))
        await asyncio.sleep(0)
        with pytest.raises(ServingError, match="queue is full") as refused:
            await batcher.run(signature, rows(3))
        assert refused.value.status == 429
        signature.go.set()
        await asyncio.gather(first, *waiting)
        return await batcher.run(signature, rows(4))

    assert run(scenario, max_queue=2)["y"].tolist() == [8]


def test_request_that_is_given_up_never_runs():
    signature = Doubler()

    async def scenario(batcher):
        first = await blocked(batcher, signature)
        [late] = submit(batcher, signature, rows(1))
        await asyncio.sleep(0)
        first.cancel()
        late.cancel()
        await asyncio.gather(first, late, return_exceptions=True)
        signature.go.set()
        return await batcher.run(signature, rows(2))

    assert run(scenario)["y"].tolist() == [4]
    assert signature.calls == [[100], [2]]


def test_more_rows_than_a_batch_run_as_several():
    signature = Doubler()
    signature.go.set()

    async def scenario(batcher):
        return await batcher.run(signature, rows(1, 2, 3, 4, 5))

    assert run(scenario, max_batch_size=2)["y"].tolist() == [2, 4, 6, 8, 10]
    assert signature.calls == [[1, 2], [3, 4], [5]]


def test_first_batch_that_fails_ends_a_request_of_several():
    signature = Doubler()
    signature.go.set()

    async def scenario(batcher):
        with pytest.raises(ServingError, match="x is negative"):
            await batcher.run(signature, rows(1, 2, -3, 4, 5, 6))

    run(scenario, max_batch_size=2)
    assert signature.calls == [[1, 2], [-3, 4]]


def test_outputs_without_rows_of_several_batches_are_an_error():
    signature = Doubler()
    signature.run = lambda inputs: {"y": inputs["x"].sum()}

    async def scenario(batcher):
        with pytest.raises(ServingError, match="send fewer rows") as refused:
            await batcher.run(signature, rows(1, 2, 3))
        assert refused.value.status == 400

    run(scenario, max_batch_size=2)


@pytest.mark.parametrize("inputs", [{"x": np.ones(1), "z": np.ones(2)}, {"x": np.array(3.0)}, {"x": np.ones((0, 2))}])
def test_inputs_without_common_rows_run_alone(inputs):
    signature = Doubler()

    async def scenario(batcher):
        first = await blocked(batcher, signature)
        waiting = submit(batcher, signature, rows(1), inputs)
        await asyncio.sleep(0)
        signature.go.set()
        await asyncio.gather(first, *waiting)

    run(scenario)
    assert sorted(map(len, signature.calls)) == sorted([1, 1, np.size(inputs["x"])])


@pytest.mark.parametrize("error", [StopIteration(), MemoryError()])
def test_whatever_a_model_raises_is_answered_and_the_next_one_runs(error):
    signature, broken = Doubler(), Doubler()
    signature.go.set()

    def fail(inputs):
        raise error

    broken.run = fail

    async def scenario(batcher):
        with pytest.raises(ServingError):
            await asyncio.wait_for(batcher.run(broken, rows(1)), 10)
        return await asyncio.wait_for(batcher.run(signature, rows(2)), 10)

    assert run(scenario)["y"].tolist() == [4]


def test_a_batch_waits_for_its_time():
    signature = Doubler()
    signature.go.set()

    async def scenario(batcher):
        [first] = submit(batcher, signature, rows(1))
        await asyncio.sleep(0.05)
        [second] = submit(batcher, signature, rows(2))
        return await asyncio.gather(first, second)

    run(scenario, batch_timeout_micros=10_000_000, max_batch_size=2)
    assert signature.calls == [[1, 2]]
