"""Frames of sim-v2: what is around a hand, where its crop's centre is, and what a border of the view cuts."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.datasets import simulated_scenes
from lsps_tf.datasets.simulated import build_simulator
from lsps_tf.datasets.simulator import SUBJECTS, Simulation
from lsps_tf.errors import InputError

SIMULATION = Simulation("stereo", "nyu", 32, 300.0, "sim-v2")


@pytest.fixture(scope="module")
def batches():
    tf.config.run_functions_eagerly(True)
    splits = ("real/test", "real/empty", "real/train", "synthetic/train")
    try:
        yield {split: build_simulator(SIMULATION, split).batch(1) for split in splits}
    finally:
        tf.config.run_functions_eagerly(False)


def test_the_same_hands_are_seen_among_things_and_alone(batches):
    among, alone = batches["real/test"], batches["real/empty"]
    for name in ("joints_mm", "center_mm", "subject", "frame"):
        np.testing.assert_array_equal(among[name], alone[name])
    shown = [(rows["depth_mm"] > 0).mean() for rows in (among, alone)]
    assert shown[0] > 2.0 * shown[1] > 0.0


def test_crops_are_centred_on_the_joints_as_well_as_they_are_found(batches):
    offset_mm = np.concatenate([rows["joints_mm"].mean(axis=1) - rows["center_mm"] for rows in batches.values()])
    assert offset_mm.std() == pytest.approx(simulated_scenes.CENTER_SPREAD_MM, rel=0.15)
    assert np.abs(offset_mm.mean(axis=0)).max() < 3.0


def test_training_alone_has_random_shapes(batches):
    assert set(batches["real/test"]["subject"]) <= set(SUBJECTS["real/test"])
    subjects = batches["real/train"]["subject"]
    assert np.any(subjects >= simulated_scenes.FIRST_RANDOM)
    assert set(subjects[subjects < simulated_scenes.FIRST_RANDOM]) <= set(SUBJECTS["real/train"])
    assert set(batches["synthetic/train"]["subject"]) == {0}


def test_a_border_cuts_one_side_of_some_crops_and_leaves_the_middle():
    count, size = 800, 40
    cut = simulated_scenes.cut_at_border(tf.ones([count, size, size]), tf.constant([1, 2])).numpy()
    lost = cut == 0.0
    changed = lost.any(axis=(1, 2))
    assert changed.mean() == pytest.approx(simulated_scenes.CUT, abs=0.05)
    assert not lost[:, size // 2, size // 2].any()
    for image in lost[changed]:
        # A band of whole rows or of whole columns, on one side.
        line = image[:, 0] if (image == image[:, :1]).all() else image[0]
        assert (image == line[:, None]).all() or (image == line).all()
        assert np.count_nonzero(np.diff(line.astype(int))) == 1
    rows, columns = ((lost == lost[..., :1]).all((1, 2)), (lost == lost[:, :1]).all((1, 2)))
    assert 0.3 < (rows & changed).sum() / changed.sum() < 0.7 and (rows | columns)[changed].all()


def test_all_sensors_take_the_batches_in_turn():
    sensors = Simulation("all", "nyu", 32, 300.0, "sim-v2").sensors
    assert sensors == ("structured-light", "time-of-flight", "stereo")
    with pytest.raises(InputError, match="--sensor all: sim-v1 has one sensor"):
        Simulation("all", "nyu", 32, 300.0)


def test_versions_have_stores_of_their_own(tmp_path):
    older = Simulation("stereo", "nyu", 32, 300.0)
    assert older.store_path(tmp_path) != SIMULATION.store_path(tmp_path)
    assert (older.centering, SIMULATION.centering) == ("mass", "joints")
    assert SIMULATION.source["centering"] == "joints"


def test_a_store_from_before_the_simulator_changed_is_not_added_to(tmp_path, monkeypatch):
    before = SIMULATION.store_path(tmp_path)
    monkeypatch.setattr("lsps_tf.datasets.simulator.REVISION", SIMULATION.source["revision"] + 1)
    assert SIMULATION.store_path(tmp_path) != before and SIMULATION.source["revision"] > 1
    older = Simulation("stereo", "nyu", 32, 300.0)
    assert "revision" not in older.source and older.store_path(tmp_path).name.startswith("sim-v1-stereo")
