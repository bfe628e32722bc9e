"""A thread that reads ahead: in order, not too far, and its errors."""

import itertools

import pytest

from lsps_tf.datasets.reading_ahead import read_ahead


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
