"""Who runs jobs, by what was asked for and what the jobs are worth."""

import os

import pytest

from lsps_tf.jobs import HERE, Workers, workers


@pytest.fixture
def started(monkeypatch):
    """How many processes were started, call by call, on a machine with four cores."""
    counts = []

    class Counted:
        def __init__(self, count):
            counts.append(count)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(workers, "Processes", Counted)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)))
    return counts


@pytest.mark.parametrize(
    ("count", "worth", "least", "expected"),
    [
        (None, 0, 0, []),
        (None, 1, 0, []),
        (None, 3, 0, [3]),
        (None, 9, 0, [4]),
        (None, 0, 1, [1]),
        (1, 9, 0, [1]),
        (6, 0, 0, [6]),
        (0, 9, 0, []),
    ],
)
def test_processes_are_started_where_they_are_worth_it_or_asked_for(started, count, worth, least, expected):
    with Workers(count).engine(worth, least):
        pass
    assert started == expected


def test_this_process_runs_jobs_one_by_one():
    ran = []
    with HERE.engine(100) as engine:
        results = engine.run(lambda n=n: ran.append(n) or n for n in range(5))
        assert (next(results), ran) == (0, [0])
        assert list(results) == [1, 2, 3, 4]
