import pathlib
import subprocess
import sys

import numpy as np
import pytest

from lsps_tf.datasets import simulated, simulator
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[2]

SIMULATION = simulator.Simulation("structured-light", "nyu", 32, 250.0)
COUNTS = {"synthetic/train": 70, "real/test": 10}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return simulated.ensure_store(SIMULATION, tmp_path_factory.mktemp("sim"), COUNTS)


def whole(path):
    with open_store(path) as store:
        return {split: store.read(split, np.arange(count)) for split, count in store.splits().items()}


def assert_same(a, b):
    for split in a:
        for column in a[split]:
            np.testing.assert_array_equal(a[split][column], b[split][column])


def test_no_subject_is_in_two_parts():
    parts = {}
    for split, subjects in simulator.SUBJECTS.items():
        # "real/empty" are the hands of "real/test" again.
        if split.startswith("real/") and split != "real/empty":
            parts[split] = set(subjects)
            assert 0 not in subjects
    assert len(set.union(*parts.values())) == sum(len(subjects) for subjects in parts.values())


def test_frames_are_hands_in_their_crops(path):
    rows = whole(path)
    assert set(rows["synthetic/train"]["subject"]) == {0}
    assert set(rows["real/test"]["subject"]) <= set(simulator.SUBJECTS["real/test"])
    for split in rows.values():
        offset = (split["joints_mm"] - split["center_mm"][:, None]) / 125.0
        assert np.mean(np.abs(offset) < 1.0) > 0.99
        near = np.abs(split["depth_mm"] - split["center_mm"][:, 2, None, None]) < 125.0
        assert np.all(near.mean(axis=(1, 2)) > 0.01)
        np.testing.assert_allclose(split["extent_mm"], 375.0)


@pytest.mark.slow
def test_a_store_that_grew_in_parts_equals_one_made_at_once(path, tmp_path):
    simulated.ensure_store(SIMULATION, tmp_path, {"synthetic/train": 20})

    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulated.ensure_store(SIMULATION, tmp_path, COUNTS, stop)
    # What trains on the store goes on undisturbed.
    with open_store(SIMULATION.store_path(tmp_path)) as store:
        assert store.splits() == {"synthetic/train": 20}
    seen = []
    grown = simulated.ensure_store(SIMULATION, tmp_path, COUNTS, lambda done, total: seen.append((done, total)))
    assert_same(whole(path), whole(grown))
    assert seen[-1][0] == seen[-1][1] > 0
    before = grown.stat().st_mtime_ns
    simulated.ensure_store(SIMULATION, tmp_path, {"synthetic/train": 5})
    assert grown.stat().st_mtime_ns == before


def test_a_damaged_partial_store_is_made_again(path, tmp_path):
    partial = SIMULATION.store_path(tmp_path).with_suffix(".h5.partial")
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"killed in the middle of a write")
    made = simulated.ensure_store(SIMULATION, tmp_path, {"real/test": 10})
    assert_same({"real/test": whole(path)["real/test"]}, whole(made))


@pytest.mark.slow
def test_processes_that_want_one_store_make_it_once(path, tmp_path):
    """Every run ends with exit 0; the others wait."""
    code = (
        "import sys, dataclasses\nfrom lsps_tf.datasets import simulated\n"
        f"simulation = simulated.{SIMULATION!r}\n"
        "done = []\n"
        "simulated.ensure_store(simulation, sys.argv[1], {'real/test': int(sys.argv[2])},"
        " lambda now, total: done.append(now), print)\n"
        "print('made', done)\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), count], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for count in ("10", "10", "4")
    ]
    said = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    made = [
        int(line.split("[")[1].strip("]").split(", ")[-1] or 0)
        for text in said
        for line in text.splitlines()
        if "made" in line
    ]
    assert sum(made) == 10
    assert_same({"real/test": whole(path)["real/test"]}, whole(SIMULATION.store_path(tmp_path)))
    assert [entry.name for entry in (tmp_path / "sim").iterdir()] == [SIMULATION.store_path(tmp_path).name]


@pytest.mark.slow
def test_icvl_has_its_sixteen_joints():
    nyu = simulator.Simulator(SIMULATION, "real/validation").batch(1)
    icvl = simulator.Simulator(simulator.Simulation("structured-light", "icvl", 32, 250.0), "real/validation").batch(1)
    palm_and_thumb = [34, 28, 26, 24]
    np.testing.assert_allclose(icvl["joints_mm"][:, :4], nyu["joints_mm"][:, palm_and_thumb], atol=1e-3)
    assert icvl["joints_mm"].shape == (simulated.BATCH, 16, 3)


def test_an_unknown_sensor_is_refused():
    with pytest.raises(InputError, match="sonar"):
        simulator.Simulation("sonar", "nyu", 32, 250.0)
