"""Files of poses and codes: what they give, and one line on what is wrong with them."""

import json

import numpy as np
import pytest

from lsps_tf.errors import InputError
from lsps_tf.pose_files import read_codes, read_poses
from lsps_tf.skeleton import ICVL, NYU


@pytest.fixture
def joints_mm():
    """Two point clouds of a hand's size, 600 mm away."""
    points = np.random.default_rng(0).uniform((-50, -40, 540), (70, 80, 660), (2, 36, 3))
    return points.astype(np.float32)


def saved(path, array):
    np.save(path, array)
    return path


def test_arrays_give_what_they_hold(tmp_path, joints_mm):
    np.savez(tmp_path / "a.npz", joints_mm=joints_mm, other=np.zeros(3))
    np.testing.assert_array_equal(read_poses(tmp_path / "a.npz", NYU), joints_mm)
    np.testing.assert_array_equal(read_poses(saved(tmp_path / "b.npy", joints_mm[0]), NYU), joints_mm[:1])


def test_json_of_predict_gives_right_hands(tmp_path, joints_mm):
    hands = [{"side": side, "joints_mm": joints.tolist()} for side, joints in zip(("right", "left"), joints_mm)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"frame": "f", "hands": hands}))
    right, left = read_poses(path, NYU)
    np.testing.assert_allclose(right, joints_mm[0], atol=1e-3)
    middle = joints_mm[1].mean(axis=0)
    np.testing.assert_allclose(left - middle, (joints_mm[1] - middle) * [-1, 1, 1], atol=1e-3)
    path.write_text(json.dumps({"frame": "f", **hands[0]}))
    np.testing.assert_allclose(read_poses(path, NYU), joints_mm[:1], atol=1e-3)


def test_poses_that_do_not_fit(tmp_path, joints_mm):
    path = saved(tmp_path / "a.npy", joints_mm)
    cases = {
        "its poses have 36 joints, the run has icvl's 16": (path, ICVL),
        "there is no such file": (tmp_path / "none.npy", NYU),
        "not of the shape (36,)": (saved(tmp_path / "b.npy", joints_mm[0, :, 0]), NYU),
        "mm from the mean of its joints, which is no hand": (saved(tmp_path / "m.npy", joints_mm / 1000), NYU),
        "pose 1 has joints that are no numbers": (saved(tmp_path / "n.npy", joints_mm * [[[1]], [[np.nan]]]), NYU),
    }
    (tmp_path / "text.npz").write_text("no archive")
    cases["no array of numbers"] = (tmp_path / "text.npz", NYU)
    np.savez(tmp_path / "c.npz", joints=joints_mm)
    cases["it has no array 'joints_mm', but joints"] = (tmp_path / "c.npz", NYU)
    (tmp_path / "a.json").write_text('{"hands": []}')
    cases["no poses as export/predict.py"] = (tmp_path / "a.json", NYU)
    cases["there is no such file; export"] = (tmp_path / "none.json", NYU)
    for message, (file, skeleton) in cases.items():
        with pytest.raises(InputError) as error:
            read_poses(file, skeleton)
        assert message in str(error.value) and str(error.value).startswith(f"{file}: ")
        assert "\n" not in str(error.value)


def test_codes(tmp_path):
    codes = np.random.default_rng(0).normal(size=(3, 20))
    np.savez(tmp_path / "a.npz", codes=codes)
    np.testing.assert_allclose(read_codes(tmp_path / "a.npz", 20), codes, atol=1e-6)
    np.testing.assert_allclose(read_codes(saved(tmp_path / "b.npy", codes[0]), 20), codes[:1], atol=1e-6)
    with pytest.raises(InputError, match="its codes have 20 numbers, the run's have 8"):
        read_codes(tmp_path / "a.npz", 8)
    codes[1, 3] = np.nan
    with pytest.raises(InputError, match="row 1 of the codes holds NaN"):
        read_codes(saved(tmp_path / "c.npy", codes), 20)
