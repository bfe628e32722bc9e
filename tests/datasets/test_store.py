import errno
import os
import pathlib
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from lsps_tf import camera
from lsps_tf.datasets import store as stores
from lsps_tf.datasets.store_file import SPARE_BYTES
from lsps_tf.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[2]


def rows(count, size=8, joints=36):
    rng = np.random.default_rng(count)
    return {
        "depth_mm": np.where(rng.random((count, size, size)) < 0.5, 0, rng.uniform(400, 1500, (count, size, size))),
        "joints_mm": rng.normal(0, 50, (count, joints, 3)),
        "center_mm": rng.normal(0, 50, (count, 3)),
        "cube_mm": np.full(count, 250.0),
        "extent_mm": np.full(count, 375.0),
        "subject": np.arange(count),
        "frame": np.arange(count) + 2**33,
    }


@pytest.fixture
def path(tmp_path):
    with stores.create_store(tmp_path / "sub" / "a.h5", "nyu", camera.NYU, 8, {"made_by": "test"}) as store:
        store.append("real/train", rows(5))
        store.append("real/train", rows(3))
    return tmp_path / "sub" / "a.h5"


def test_rows_come_back_in_the_order_asked_for(path):
    with stores.open_store(path) as store:
        assert store.splits() == {"real/train": 8} and store.count("real/test") == 0
        assert store.info.camera == camera.NYU and store.info.skeleton.name == "nyu"
        assert store.info.source == {"made_by": "test"}
        read = store.read("real/train", np.array([6, 0, 6]))
        expected = {name: np.concatenate([rows(5)[name], rows(3)[name]])[[6, 0, 6]] for name in rows(1)}
        np.testing.assert_allclose(read["depth_mm"], expected["depth_mm"], atol=0.0501)
        assert np.array_equal(read["depth_mm"] == 0, expected["depth_mm"] == 0)
        np.testing.assert_allclose(read["joints_mm"], expected["joints_mm"], rtol=1e-6)
        np.testing.assert_array_equal(read["frame"], expected["frame"])


def test_rows_of_another_size_are_refused(path):
    with stores.open_store(path, "a") as store, pytest.raises(ValueError, match="joints_mm"):
        store.append("real/train", rows(2, joints=16))


def test_bad_stores_are_named(path, tmp_path):
    with pytest.raises(InputError, match=r"none\.h5: there is no such store"):
        stores.open_store(tmp_path / "none.h5")
    text = tmp_path / "text.h5"
    text.write_text("no hdf5")
    with pytest.raises(InputError, match="no HDF5"):
        stores.open_store(text)
    cut = tmp_path / "cut.h5"
    cut.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match="cut short"):
        stores.open_store(cut)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="no LSPS store"):
        stores.open_store(tmp_path / "other.h5")
    with h5py.File(path, "a") as file:
        file.attrs["version"] = 9
    with pytest.raises(InputError, match="version 9, this program reads version 1"):
        stores.open_store(path)


def test_columns_of_unequal_length_are_refused(path):
    with h5py.File(path, "a") as file:
        file["real/train/subject"].resize(2, axis=0)
    with pytest.raises(InputError, match="columns of split 'real/train' do not match"):
        stores.open_store(path)


def test_a_disk_without_room_for_more_frames(path, monkeypatch):
    usage = shutil.disk_usage(path)._replace(free=SPARE_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with (
        pytest.raises(InputError, match=r"a\.h5: the disk is full; free some space"),
        stores.growing_store(path) as partial,
        stores.open_store(partial, "a") as store,
    ):
        store.append("real/train", rows(2))
    for left in (path, partial):
        with stores.open_store(left) as store:
            assert store.count("real/train") == 8


def test_what_stands_under_the_final_name_is_always_whole_and_may_be_read(path):
    with pytest.raises(KeyboardInterrupt), stores.growing_store(path) as partial:
        with stores.open_store(path) as reading, stores.open_store(partial, "a") as store:
            store.append("real/train", rows(1))
            assert (reading.count("real/train"), store.count("real/train")) == (8, 9)
        raise KeyboardInterrupt
    with stores.growing_store(path) as again, stores.open_store(again) as store:
        assert again == partial and store.count("real/train") == 9
    partial.write_bytes(b"cut")
    with stores.growing_store(path) as partial, stores.open_store(partial, "a") as store:
        store.append("real/train", rows(2))
    with stores.open_store(path) as store:
        assert store.count("real/train") == 11
    assert not partial.exists()


def test_a_whole_store_that_cannot_be_opened_is_not_to_be_deleted(path, monkeypatch):
    with h5py.File(path, "a"):
        code = (
            "import sys\nfrom lsps_tf.datasets.store import open_store\n"
            "try:\n    open_store(sys.argv[1])\nexcept ValueError as error:\n    print(error)\n"
        )
        command = [sys.executable, "-c", code, str(path)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT).stdout
    assert said == f"{path}: another process writes this store at the moment; wait for it\n"
    for number, message in ((errno.ENOLCK, "the disk has no file locks"), (errno.EACCES, "check the disk and who may")):
        error = OSError(number, os.strerror(number))

        def fail(*arguments, error=error, **options):
            raise error

        with monkeypatch.context() as patch, pytest.raises(InputError, match=message) as caught:
            patch.setattr(h5py, "File", fail)
            patch.setattr(pathlib.Path, "open", fail)
            stores.open_store(path)
        assert "delete" not in str(caught.value)


@pytest.mark.parametrize("name", [b"TREE", b"HEAP", b"SNOD"])
def test_damage_within_a_store_is_one_line(tmp_path, name):
    """HDF5's own structures: h5py raises another error for each."""
    path = tmp_path / "a.h5"
    with stores.create_store(path, "nyu", camera.NYU, 8, {}) as store:
        store.append("real/test", rows(4))
    content = path.read_bytes()
    assert content.count(name)
    path.write_bytes(content.replace(name, b"ZZZZ"))
    with pytest.raises(InputError, match=rf"^{path}: .*(damaged|cannot be read)"), stores.open_store(path) as store:
        store.read("real/test", np.arange(4))


def test_frames_without_depth_are_seen(tmp_path):
    with stores.create_store(tmp_path / "a.h5", "nyu", camera.NYU, 8, {}) as store:
        store.append("real/test", rows(4))
        assert store.has_all_frames()
        store._file["real/test/depth"].resize(5, axis=0)
        assert not store.has_all_frames()


def test_a_column_that_says_more_than_it_holds_is_not_whole(tmp_path):
    """As a kill leaves it between the two: HDF5 would give zeros for what was never written."""
    path = tmp_path / "a.h5"
    with stores.create_store(path, "nyu", camera.NYU, 8, {}) as store:
        store.append("real/test", rows(4))
    with h5py.File(path, "a") as file:
        for column in file["real/test"].values():
            column.resize(5000, axis=0)
    with pytest.raises(InputError, match=r"'real/test/\w+' is not whole; delete the store and make it again"):
        stores.open_store(path)
