"""The simulator as a feed: a pure function of the seed and a frame's number, from any step on."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.datasets import simulated_stream
from lsps_tf.datasets.feeds import Stream
from lsps_tf.datasets.simulated import build_simulator
from lsps_tf.datasets.simulated_stream import SimulatedFeed
from lsps_tf.datasets.simulator import BATCH, VERSIONS, Simulation
from lsps_tf.errors import InputError
from lsps_tf.jobs import HERE

SIMULATION = Simulation("structured-light", "nyu", 16, 250.0)
STREAMS = {"real": Stream("real/train", 24), "synthetic": Stream("synthetic/train", 100, images=False)}


@pytest.fixture
def feed(monkeypatch):
    """Frames are their numbers and their seed; `asked` has the batches that were rendered."""
    asked = []

    class Numbers:
        def __init__(self, split):
            self.split = split

        def streamed(self, number, seed, images):
            asked.append((self.split, number))
            frames = np.arange(number * BATCH, (number + 1) * BATCH)
            return {"frame": frames, "seed": np.full(BATCH, seed), "images": np.full(BATCH, images)}

    monkeypatch.setattr(simulated_stream, "cached_simulator", lambda simulation, split: Numbers(split))
    with HERE.engine(0) as engine:
        feed = SimulatedFeed(SIMULATION, engine)
        feed.asked = asked
        yield feed


@pytest.mark.parametrize(("start", "shares"), [(0, 1), (1, 1), (7, 2)])
def test_a_step_has_the_frames_of_its_number_and_each_is_rendered_once(feed, start, shares):
    wanted = [(step, slice(first, None, shares)) for step in range(start, start + 12) for first in range(shares)]
    for (step, rows), batch in zip(wanted, feed.batches(STREAMS, 5, wanted)):
        for name, stream in STREAMS.items():
            expected = np.arange(step * stream.batch, (step + 1) * stream.batch)[rows]
            np.testing.assert_array_equal(batch[name]["frame"], expected)
            assert set(batch[name]["seed"]) == {5} and set(batch[name]["images"]) == {stream.images}
    assert len(feed.asked) == len(set(feed.asked))


def test_what_has_no_end_cannot_be_chosen_from(feed):
    for stream in (Stream("real/held-out", 4), Stream("real/train", 4, indices=(1, 2))):
        with pytest.raises(InputError, match="--stream: what is asked of 'real/.*' takes a store"):
            feed.check({"real": stream})
    feed.check(STREAMS)
    assert feed.shape_of("depth_mm") == (24, 24) and feed.shape_of("joints_mm") == (36, 3)


@pytest.mark.parametrize("version", VERSIONS)
def test_poses_are_those_of_the_images_and_seeds_have_frames_of_their_own(version):
    tf.config.run_functions_eagerly(True)
    try:
        simulator = build_simulator(Simulation("structured-light", "nyu", 16, 250.0, version), "synthetic/train")
        whole, poses, other = simulator.streamed(3, 5), simulator.streamed(3, 5, False), simulator.streamed(3, 6, False)
        stored = simulator.batch(3)
    finally:
        tf.config.run_functions_eagerly(False)
    assert whole.keys() == stored.keys() and whole.keys() - poses.keys() == {"depth_mm"}
    for name, value in poses.items():
        np.testing.assert_array_equal(value, whole[name])
    np.testing.assert_array_equal(whole["frame"], np.arange(3 * BATCH, 4 * BATCH))
    assert not np.isclose(whole["joints_mm"], other["joints_mm"]).all(axis=(1, 2)).any()
    assert not np.isclose(whole["joints_mm"], stored["joints_mm"]).all(axis=(1, 2)).any()
