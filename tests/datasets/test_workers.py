"""Processes and threads that read frames ahead: in order, not too far, and without TensorFlow."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from lsps_tf.datasets import hand_crops
from lsps_tf.datasets.workers import Pool, read_ahead

ROOT = Path(__file__).resolve().parents[2]


def test_the_pool_keeps_the_order_and_reads_only_so_far_ahead():
    taken = []

    def tasks():
        for number in range(40):
            taken.append(number)
            yield (number,)

    with Pool(2) as pool:
        results = pool.map(abs, tasks())
        assert next(results) == 0
        assert len(taken) <= 8
        assert list(results) == list(range(1, 40))


def test_reading_ahead_keeps_the_order_its_distance_and_its_errors():
    read = []

    def remember(item):
        read.append(item)
        return 1 / item

    results = read_ahead(remember, range(40, -1, -1))
    assert next(results) == 1 / 40
    assert len(read) <= 10
    assert list(itertools.islice(results, 39)) == [1 / item for item in range(39, 0, -1)]
    with pytest.raises(ZeroDivisionError):
        next(results)
    results = read_ahead(remember, range(1, 40))
    next(results)
    results.close()
    assert max(read[41:]) <= 10


def test_readers_load_no_tensorflow():
    modules = "lsps_tf.datasets.workers, lsps_tf.datasets.public.nyu, lsps_tf.datasets.public.icvl"
    code = f"import sys, {modules}; print('tensorflow' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "False"
    assert "tensorflow" in sys.modules and hand_crops.tf
