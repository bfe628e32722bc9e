"""`--dataset nyu` and `--dataset icvl` from the command line to the store, without training."""

import json

import numpy as np
import pytest

from lsps_tf import camera, skeleton
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.run_folder import RunSettings
from tests.datasets.official_trees import write_icvl, write_nyu
from training.arguments import parse_arguments, resolve_config
from training.data.table import get_dataset

ICVL_OPTIONS = ("--dataset", "icvl", "--sim-synthetic-frames", "70", "--workers", "0")
NYU_OPTIONS = ("--dataset", "nyu", "--workers", "0")


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LSPS_DATA", raising=False)
    return tmp_path / "data"


def resolve(*arguments):
    given = parse_arguments(["--preset", "tiny", *arguments])
    return given, get_dataset(given["dataset"]).resolve(given, resolve_config(given))


def make(tmp_path, *arguments):
    """The store and the run's report of it."""
    given, source = resolve(*arguments)
    settings = RunSettings(source.config, "lsps", source.skeleton, given["dataset"], str(source.store), source.sensor)
    get_dataset(given["dataset"]).make(given, settings, tmp_path / "run")
    return source.store, json.loads((tmp_path / "run" / "dataset.json").read_text())


def test_nyu_is_found_imported_and_used_again(data, tmp_path, capsys):
    write_nyu(data / "nyu", train=4, test=2)
    store, report = make(tmp_path, *NYU_OPTIONS)
    assert store.parent == data / "nyu" and store.name == "nyu-v1-32px-300mm-with-nyu.h5"
    counts = {"real/test": 2, "real/train": 3, "real/validation": 1, "synthetic/train": 3, "synthetic/validation": 1}
    assert report == {"store": str(store), "frames": counts, "skipped": {}}
    assert "real/train" in capsys.readouterr().out
    with open_store(store) as opened:
        assert opened.info.skeleton == skeleton.NYU and opened.info.camera == camera.NYU and opened.info.size == 48
        assert set(opened.column("real/train", "cube_mm")) == {300.0}
    before = store.stat().st_mtime_ns
    make(tmp_path, *NYU_OPTIONS)
    assert store.stat().st_mtime_ns == before
    other, _ = make(tmp_path, *NYU_OPTIONS, "--limit", "2", "--cube-mm", "280", "--store-dir", str(tmp_path / "stores"))
    assert other == tmp_path / "stores" / "nyu-v1-32px-280mm-with-nyu-first2.h5"
    with open_store(other) as opened:
        assert opened.count("real/train") == opened.count("real/validation") == 1


def test_options_of_a_run_follow_from_the_dataset(data):
    write_nyu(data / "nyu", train=2, test=1)
    write_icvl(data / "icvl", train=4, test=2, rotated=False)
    _, source = resolve(*NYU_OPTIONS)
    assert (source.config.network.num_joints, source.config.data.cube_mm, source.skeleton) == (36, 300.0, "nyu")
    _, source = resolve(*ICVL_OPTIONS)
    assert (source.config.network.num_joints, source.config.data.cube_mm, source.skeleton) == (16, 250.0, "icvl")
    for arguments, message in (
        ([*NYU_OPTIONS, "--num-joints", "16"], "--num-joints 16: nyu has 36"),
        ([*NYU_OPTIONS, "--limit", "1"], "--limit 1: it must be at least 2"),
        ([*NYU_OPTIONS, "--synthetic", "icvl"], "--synthetic icvl: --dataset nyu learns from nyu or sim"),
        ([*NYU_OPTIONS, "--rotated"], "--rotated: --dataset nyu has no rotated"),
    ):
        with pytest.raises(InputError, match=message):
            resolve(*arguments)


def test_frames_left_out_are_counted_and_never_unnoticed(data, tmp_path):
    write_nyu(data / "nyu", train=5, test=2)
    broken = data / "nyu" / "train" / "depth_1_0000002.png"
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(InputError, match=r"1 of 12 frames cannot be used \(train/depth_1_0000002\.png: the PNG is"):
        make(tmp_path, *NYU_OPTIONS)
    _, report = make(tmp_path, *NYU_OPTIONS, "--skip-bad")
    assert report["frames"]["real/train"] == 3 and report["skipped"]["real/train"]["frames"] == 1
    assert "depth_1_0000002.png" in report["skipped"]["real/train"]["first"][0]
    with pytest.raises(InputError, match="1 unusable frames were left out of this store"):
        make(tmp_path, *NYU_OPTIONS)
    make(tmp_path, *NYU_OPTIONS, "--skip-bad")


def test_icvl_learns_from_the_simulator_or_from_nyu(data, tmp_path):
    write_icvl(data / "icvl", train=4, test=2, rotated=True)
    simulated, report = make(tmp_path, *ICVL_OPTIONS)
    assert simulated.name == "icvl-v1-32px-250mm-with-sim70.h5"
    assert report["frames"] == {"real/test": 2, "real/train": 2, "real/validation": 2, "synthetic/train": 70}
    write_nyu(data / "nyu", train=3, test=1)
    from_nyu, report = make(tmp_path, *ICVL_OPTIONS, "--rotated")
    assert from_nyu.name == "icvl-v1-32px-250mm-with-nyu-rotated.h5"
    assert report["frames"]["synthetic/train"] == 2 and report["frames"]["real/train"] == 4
    for path in (simulated, from_nyu):
        with open_store(path) as store:
            joints_mm = store.column("synthetic/train", "joints_mm")
            assert joints_mm.shape[1:] == (16, 3) and np.isfinite(joints_mm).all()
            assert store.info.source["mirrored"] is True and store.info.camera == camera.ICVL
    again, _ = make(tmp_path, *ICVL_OPTIONS, "--synthetic", "sim")
    assert again == simulated


def test_another_file_of_centers_does_not_pass_for_the_first(data, tmp_path):
    write_nyu(data / "nyu", train=2, test=2)
    centers = tmp_path / "centers.txt"
    centers.write_text("0 0 750\n0 0 750\n")
    store, _ = make(tmp_path, *NYU_OPTIONS, "--centers", str(centers))
    assert store.name.endswith("-centers.h5")
    centers.write_text("0 0 700\n0 0 750\n")
    with pytest.raises(InputError, match="made with other options"):
        make(tmp_path, *NYU_OPTIONS, "--centers", str(centers))
    with pytest.raises(InputError, match="there is no such file"):
        make(tmp_path, *NYU_OPTIONS, "--centers", str(tmp_path / "none.txt"))


def test_nothing_found_says_where_to_get_it(data):
    with pytest.raises(InputError) as error:
        resolve(*ICVL_OPTIONS)
    for part in ("data/icvl", "$LSPS_DATA", "ICVL Hand Posture Dataset", "labels.txt", "test_seq_2.txt"):
        assert part in str(error.value)
