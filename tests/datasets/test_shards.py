"""Stores in shards: read as one file is, made shard by shard, and what is said where one is missing or damaged."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import camera
from lsps_tf.datasets import simulated, simulator
from lsps_tf.datasets.feeds import Stream
from lsps_tf.datasets.frame_sources import Batch
from lsps_tf.datasets.importing import Target, import_store
from lsps_tf.datasets.store import create_store, is_store, open_store, store_suffix
from lsps_tf.errors import InputError
from lsps_tf.pipeline import build_pipeline

SIZE = 16
COUNTS = {"real/train": 23, "synthetic/train": 10}


class NumberedSource:
    """Frames that are their numbers, in jobs of 4; some cannot be read."""

    batch = 4

    def __init__(self, count, seed, broken=()):
        self.count, self.seed, self.broken, self.made = count, seed, broken, []

    def __len__(self):
        return self.count

    def digest(self):
        return f"{self.seed}"

    def name_of(self, position):
        return f"{position}.png"

    def job(self, positions):
        assert positions.start // 4 == (positions.stop - 1) // 4

        def read():
            self.made.append(positions)
            good = np.array([p for p in positions if p not in self.broken], np.int64)
            rng = [np.random.default_rng([self.seed, p]) for p in good]
            values = {"depth_mm": np.array([r.uniform(400, 900, (24, 24)) for r in rng])}
            values["joints_mm"] = np.array([r.normal(0, 50, (36, 3)) for r in rng]).reshape(-1, 36, 3)
            values["center_mm"] = values["joints_mm"][:, 0]
            values.update(cube_mm=np.full(len(good), 250.0), extent_mm=np.full(len(good), 375.0))
            values.update(subject=good % 3, frame=good)
            return Batch(values, [(p, "broken") for p in positions if p in self.broken])

        return read


def sources(**options):
    return {split: NumberedSource(count, seed, **options) for seed, (split, count) in enumerate(COUNTS.items())}


def make(folder, shard_frames, frames=None, **options):
    path = folder / f"a{store_suffix(shard_frames)}"
    target = Target(path, "nyu", camera.NYU, SIZE, 250.0, {"made_by": "test"}, shard_frames)
    import_store(target, sources() if frames is None else frames, **options)
    return path


def assert_same(path, other):
    with open_store(path) as a, open_store(other) as b:
        assert a.info == b.info and a.splits() == b.splits() and list(a.splits()) == list(b.splits())
        rng = np.random.default_rng(0)
        for split, count in a.splits().items():
            order = rng.permutation(count)
            rows = b.read(split, order)
            for name, value in a.read(split, order).items():
                assert value.dtype == rows[name].dtype
                np.testing.assert_array_equal(value, rows[name])


@pytest.fixture
def one_file(tmp_path):
    return make(tmp_path / "one", None)


@pytest.mark.parametrize("shard_frames", [1, 6, 8, 100])
def test_shards_read_as_one_file_does_and_give_the_same_batches(one_file, tmp_path, shard_frames):
    path = make(tmp_path, shard_frames)
    assert_same(one_file, path)
    with open_store(path) as store:
        files = {split: [count for _, count in store.files_of(split)] for split in COUNTS}
        assert store.shard_frames == shard_frames and store.count("real/test") == 0
    assert all(sum(counts) == COUNTS[split] and set(counts[:-1]) <= {shard_frames} for split, counts in files.items())
    streams = {"real": Stream("real/train", 5), "poses": Stream("synthetic/train", 3, images=False)}
    read, expected = (build_pipeline(store, streams, seed=4, start_step=2).take(9) for store in (path, one_file))
    for batch, wanted in zip(read.as_numpy_iterator(), expected.as_numpy_iterator()):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, wanted)


def test_frames_left_out_leave_no_hole(tmp_path):
    paths = [make(tmp_path / str(n), n, sources(broken=(0, 7, 8, 9, 10, 11)), skip_bad=True) for n in (4, 9)]
    one = make(tmp_path, None, sources(broken=(0, 7, 8, 9, 10, 11)), skip_bad=True)
    for path in paths:
        assert_same(one, path)
    with open_store(paths[0]) as store:
        assert store.count("real/train") == 17 and store.info.source["skipped"]["real/train"]["frames"] == 6


def test_a_killed_import_goes_on_at_the_first_unfinished_shard(one_file, tmp_path):
    class Killed(BaseException):
        pass

    def kill(done, total):
        if done >= 14:
            raise Killed

    with pytest.raises(Killed):
        make(tmp_path, 6, progress=kill)
    path = tmp_path / "a.shards"
    assert not is_store(path) and len(list(path.glob("*.h5"))) == 2
    with pytest.raises(InputError, match="its shards are not all made, so it has no index"):
        open_store(path)
    again = sources()
    make(tmp_path, 6, again)
    assert again["real/train"].made[0] == range(12, 16)
    assert_same(one_file, path)


def test_shards_are_copied_into_one_file(one_file, tmp_path):
    with open_store(make(tmp_path, 6)) as store, create_store(tmp_path / "b.h5", "nyu", camera.NYU, 24, {}) as copy:
        for split in COUNTS:
            copy.append_stored(split, store)
        copy.set_source(store.info.source)
    assert_same(one_file, tmp_path / "b.h5")


def test_a_shard_may_lie_on_another_disk(one_file, tmp_path):
    path = make(tmp_path, 6)
    (tmp_path / "disk").mkdir()
    shutil.move(path / "real-train-00001.h5", tmp_path / "disk")
    (path / "real-train-00001.h5").symlink_to(tmp_path / "disk" / "real-train-00001.h5")
    assert_same(one_file, path)


def test_missing_and_damaged_shards_are_named(tmp_path):
    path = make(tmp_path, 6)
    shard = path / "real-train-00001.h5"
    content = shard.read_bytes()

    def read(split="real/train"):
        with open_store(path) as store:
            store.read(split, np.arange(10))

    for damage, said in (
        (lambda: shard.unlink(), f"{shard}: this shard of the store is missing; mount its disk"),
        (lambda: shard.write_bytes(content[:-2000]), f"{shard}: the store is cut short"),
        (lambda: shutil.copy(path / "real-train-00003.h5", shard), f"{shard}: this is not the shard that .* 6 frames"),
        (lambda: shutil.copy(path / "synthetic-train-00000.h5", shard), f"{shard}: this is not the shard that"),
        (lambda: (path / "index.json").write_text("{"), "index.json: the index is damaged .*keeps the shards"),
        (lambda: (path / "index.json").write_text("[1]"), "index.json: the index is damaged"),
        (
            lambda: (path / "index.json").write_text('{"format": "lsps-shards", "version": 9}'),
            "version 9 of lsps-shards",
        ),
        (
            lambda: (path / "index.json").write_text('{"format": "lsps-shards", "version": 1}'),
            "index.json: the index is",
        ),
        (lambda: (path / "index.json").unlink(), "a.shards: its shards are not all made"),
    ):
        damage()
        with pytest.raises(InputError, match=said):
            read()
        shard.write_bytes(content)
    # The command that made it makes again what is not there.
    shard.unlink()
    again = sources()
    make(tmp_path, 6, again)
    assert [range(6, 8), range(8, 12)] == again["real/train"].made and not read()
    assert again["synthetic/train"].made == []
    with pytest.raises(InputError, match=r"a\.shards: there is no split 'real/test' in this store; it has: real/train"):
        read("real/test")


def test_a_simulated_store_grows_in_shards(tmp_path, monkeypatch):
    simulation = simulator.Simulation("structured-light", "nyu", 16, 250.0)

    class Numbers:
        def __init__(self, split):
            self.split = split

        def batch(self, number):
            return NumberedSource(10**6, number).job(range(0, 4))().rows

    monkeypatch.setattr(simulated, "BATCH", 4)
    monkeypatch.setattr(simulated.SimulatedSource, "batch", 4)
    monkeypatch.setattr(simulated, "cached_simulator", lambda simulation, split: Numbers(split))
    seen = []

    def ensure(root, counts, shard_frames=10):
        return simulated.ensure_store(
            simulation, root, counts, lambda *done: seen.append(done), shard_frames=shard_frames
        )

    path = ensure(tmp_path, {"real/test": 13})
    assert path.name.endswith("-16px-250mm.shards")
    with open_store(path) as before:
        grown = ensure(tmp_path, {"real/test": 24, "real/train": 5})
        assert before.count("real/test") == 13 and before.read("real/test", [12])["depth_mm"].shape == (1, 24, 24)
    assert_same(ensure(tmp_path / "one", {"real/test": 24, "real/train": 5}, None), grown)
    # What is there stays, and nothing is made again.
    seen.clear()
    assert ensure(tmp_path, {"real/test": 4}) == path and not seen
    assert json.loads((path / "index.json").read_text())["splits"]["real/test"][-1] == ["real-test-00002.h5", 4]
    with pytest.raises(InputError, match=r"this store was made with other options, such as another --shard-frames"):
        ensure(tmp_path, {"real/test": 50}, shard_frames=11)
