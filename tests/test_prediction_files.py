import numpy as np
import pytest

from lsps_tf import skeleton
from lsps_tf.errors import InputError
from lsps_tf.prediction_files import read_joints_uvd, write_joints_uvd

UVD = np.random.default_rng(0).uniform(1, 900, (5, 14, 3))


def test_the_layout_is_a_row_per_frame_and_u_v_d_per_joint(tmp_path):
    write_joints_uvd(tmp_path / "a.txt", UVD)
    rows = (tmp_path / "a.txt").read_text().splitlines()
    assert len(rows) == 5 and rows[2].split()[3:6] == [f"{value:.3f}" for value in UVD[2, 1]]
    np.testing.assert_allclose(read_joints_uvd(tmp_path / "a.txt", skeleton.NYU), UVD, atol=5.01e-4)


def test_of_all_joints_the_evaluated_ones_are_taken(tmp_path):
    every = np.arange(2 * 36 * 3, dtype=float).reshape(2, 36, 3)
    write_joints_uvd(tmp_path / "a.txt", every)
    read = read_joints_uvd(tmp_path / "a.txt", skeleton.NYU)
    np.testing.assert_array_equal(read, every[:, [0, 3, 6, 9, 12, 15, 18, 21, 24, 25, 27, 30, 31, 32]])


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "0 rows"),
        ("1 2 3\n", "1 rows of 3 numbers; the nyu dataset has 14 evaluated joints, so 42 numbers"),
        (" ".join(["1"] * 48) + "\n", "48 numbers.*check --dataset"),
        (" ".join(["1"] * 42) + "\n" + " ".join(["1"] * 41) + "\n", "no table of numbers.*41"),
        ("image_0000.png " + " ".join(["1"] * 42), "no table of numbers.*image_0000"),
        ("\n".join([" ".join(["1"] * 42)] * 2 + [" ".join(["nan"] * 42)]), "1 rows hold NaN .* row 3"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_joints_uvd(tmp_path / "a.txt", skeleton.NYU)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.txt: there is no such file"):
        read_joints_uvd(tmp_path / "none.txt", skeleton.ICVL)
