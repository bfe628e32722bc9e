"""Frames of a store for a training, read by this process or by others: the same batches."""

import numpy as np
import pytest

from lsps_tf.datasets.feeds import StoreFeed, Stream, shuffled_indices
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.jobs import Workers

WHOLE, SHARE = slice(None), slice(1, None, 2)
STREAMS = {
    "real": Stream("real/train", 3),
    "labelled": Stream("real/train", 2, indices=(1, 3, 6), joints_mm=np.full((8, 36, 3), 7.0, np.float32)),
    "poses": Stream("real/test", 5, images=False),
}


def taken(feed, steps, rows):
    return list(feed.batches(STREAMS, 4, ((step, rows) for step in steps)))


def test_batches_are_those_of_the_step_whoever_reads(hands_store):
    with open_store(hands_store) as store, Workers(2).engine(0) as engine:
        here, there = taken(StoreFeed(store), range(6), WHOLE), taken(StoreFeed(store, engine), range(2, 6), WHOLE)
        shares = taken(StoreFeed(store), range(6), SHARE)
        stored = {name: store.read(stream.split, np.arange(8)) for name, stream in STREAMS.items()}
    for step, batch in enumerate(here):
        # Streams are salted by their order.
        for salt, name in enumerate(sorted(STREAMS)):
            stream = STREAMS[name]
            count = 8 if stream.indices is None else len(stream.indices)
            frames = shuffled_indices(step, stream.batch, count, (4, salt))
            frames = frames if stream.indices is None else np.array(stream.indices)[frames]
            for column in stream.columns:
                value = stored[name][column][frames]
                expected = value if column != "joints_mm" or stream.joints_mm is None else np.full_like(value, 7.0)
                np.testing.assert_array_equal(batch[name][column], expected)
    assert "depth_mm" not in here[0]["poses"]
    for rows, batches, others in ((WHOLE, here[2:], there), (SHARE, here, shares)):
        assert len(batches) == len(others)
        for wanted, batch in zip(batches, others):
            for name in STREAMS:
                for column in STREAMS[name].columns:
                    np.testing.assert_array_equal(batch[name][column], wanted[name][column][rows])


def test_a_split_without_frames_is_said(hands_store):
    with (
        open_store(hands_store) as store,
        pytest.raises(InputError, match="'synthetic/train' has no frames to train on"),
    ):
        StoreFeed(store).check({"synthetic": Stream("synthetic/train", 2)})
