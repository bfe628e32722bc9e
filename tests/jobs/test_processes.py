"""Processes that run jobs: in order, not too far ahead, with the errors that the jobs raise."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lsps_tf.errors import InputError
from lsps_tf.jobs.processes import Processes
from lsps_tf.jobs.ray_cluster import check_cluster

ROOT = Path(__file__).resolve().parents[2]


def test_results_keep_the_order_and_jobs_are_taken_only_so_far_ahead():
    taken = []

    def jobs():
        for number in range(40):
            taken.append(number)
            yield functools.partial(abs, -number)

    with Processes(2) as engine:
        results = engine.run(jobs())
        assert next(results) == 0
        assert len(taken) <= 8
        assert list(results) == list(range(1, 40))
        pids = set(engine.run([os.getpid] * 8))
        assert len(pids) <= 2 and os.getpid() not in pids
        # What a job raises is raised here, as it is.
        with pytest.raises(InputError, match=r"^--cluster nowhere: give HOST:PORT"):
            list(engine.run([functools.partial(check_cluster, "nowhere")]))
        said = list(engine.run([functools.partial(os.getenv, name) for name in ("TF_NUM_INTRAOP_THREADS", "HOME")]))
        assert said == ["1", os.environ["HOME"]]
        with pytest.raises(InputError, match="--workers: a worker process was killed"):
            list(engine.run([functools.partial(os._exit, 1)]))


def test_what_reads_a_store_loads_no_tensorflow():
    code = "import sys, lsps_tf.jobs, lsps_tf.datasets.feeds; print('tensorflow' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "False"
