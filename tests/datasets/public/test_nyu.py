"""The NYU importer on small trees in the official format, and on the real first test frame where it is present."""

import re
import shutil

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from lsps_tf import camera, skeleton
from lsps_tf.datasets.public import nyu
from lsps_tf.datasets.public.folders import find_folder
from lsps_tf.datasets.public.recording import check_recordings
from lsps_tf.datasets.public.source import RecordedSource
from lsps_tf.errors import InputError
from tests.datasets.official_trees import (
    PUBLISHED,
    REAL_NYU,
    encode_nyu,
    nyu_labels,
    random_labels,
    write_nyu,
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree") / "nyu"
    return folder, write_nyu(folder, train=20, test=4)


def test_splits_are_the_official_ones_and_the_tail_validates(tree):
    folder, labels = tree
    splits = nyu.recordings(folder)
    assert {split: list(recording.numbers) for split, recording in splits.items()} == {
        "synthetic/train": list(range(19)),
        "synthetic/validation": [19],
        "real/train": list(range(19)),
        "real/validation": [19],
        "real/test": list(range(4)),
    }
    assert splits["real/train"].name_of(2) == "train/depth_1_0000003.png"
    assert splits["synthetic/validation"].name_of(0) == "train/synthdepth_1_0000020.png"
    assert splits["real/test"].name_of(3) == "test/depth_1_0000004.png"
    for split, uvd in (("real/train", labels["train"][:19]), ("real/test", labels["test"])):
        back = camera.mm_to_uvd(splits[split].joints_mm.astype(np.float64), camera.NYU.intrinsics.astype(np.float64))
        np.testing.assert_allclose(back, uvd, atol=1e-3)
    check_recordings(splits, skip_bad=False)
    limited = nyu.recordings(folder, limit=3, synthetic=False)
    assert {split: list(recording.numbers) for split, recording in limited.items()} == {
        "real/train": [0, 1],
        "real/validation": [2],
        "real/test": [0, 1, 2],
    }


def test_y_is_down_whereas_joint_xyz_has_it_up(tree):
    folder, _ = tree
    xyz = scipy.io.loadmat(folder / "test" / "joint_data.mat")["joint_xyz"][0]
    np.testing.assert_allclose(nyu.recordings(folder)["real/test"].joints_mm, xyz * [1, -1, 1], atol=1e-3)


def test_the_encoding_and_the_code_for_no_reading(tmp_path):
    depth_mm = np.array([[0, 255, 256, 2000], [735, 2001, 1999, 40000]], np.uint16)
    Image.fromarray(encode_nyu(depth_mm)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(nyu.read_frame(tmp_path / "a.png"), [[0, 255, 256, 2000], [735, 0, 1999, 0]])


def test_joints_lie_on_the_hand_of_the_imported_crop(tree):
    folder, _ = tree
    for split in ("real/test", "synthetic/train"):
        assert_joints_on_hand(nyu.recordings(folder)[split], 4, deepest_mm=25.0, share=0.6)


@pytest.mark.skipif(not REAL_NYU.is_file(), reason=f"{REAL_NYU} is missing: it is not part of the project")
def test_the_real_frame_and_its_labels(tmp_path):
    write_nyu(tmp_path, train=2, test=1, labels=np.repeat(nyu_labels(1), 3, axis=0))
    shutil.copy(REAL_NYU, tmp_path / "test" / "depth_1_0000001.png")
    recording = nyu.recordings(tmp_path)["real/test"]
    rows = assert_joints_on_hand(recording, 1, deepest_mm=30.0, share=0.9)
    published_mm = np.loadtxt(PUBLISHED / "nyu" / "centers_test_xyz_mm.txt", max_rows=1) * [1, -1, 1]
    assert np.linalg.norm(rows["center_mm"][0] - published_mm) < 25.0
    # Wherever the search starts, it ends near the same place.
    centered = recording.replace(start_mm=published_mm[None].astype(np.float32))
    moved = RecordedSource(centered, nyu.CUBE_MM, 128).job(range(1))().rows
    np.testing.assert_allclose(moved["center_mm"], rows["center_mm"], atol=6.0)
    assert np.abs((rows["joints_mm"] - rows["center_mm"][:, None]) / (0.5 * nyu.CUBE_MM)).max() < 1.0


def assert_joints_on_hand(recording, count, deepest_mm, share):
    rows = RecordedSource(recording, nyu.CUBE_MM, 128).job(range(count))().rows
    size, extent = 192, rows["extent_mm"][0]
    for depth_mm, joints, (x, y, z) in zip(rows["depth_mm"], rows["joints_mm"], rows["center_mm"]):
        # By the definition of a crop: rays through its pixels' centres, `extent` wide at the centre's depth.
        column = np.clip(((joints[:, 0] / joints[:, 2] - x / z) * z / extent + 0.5) * size, 0, size - 1).astype(int)
        row = np.clip(((joints[:, 1] / joints[:, 2] - y / z) * z / extent + 0.5) * size, 0, size - 1).astype(int)
        assert np.mean(np.abs(depth_mm[row, column] - joints[:, 2]) < deepest_mm) >= share
    return rows


def test_published_centers_start_the_search_and_an_invalid_one_does_not(tree, tmp_path):
    folder, _ = tree
    means = nyu.recordings(folder)["real/test"].start_mm
    centers = tmp_path / "centers.txt"
    centers.write_text("1.5 -20 700\ninvalid invalid invalid\n-3 4 800\n0 0 750\n")
    start_mm = nyu.recordings(folder, centers_path=centers)["real/test"].start_mm
    np.testing.assert_allclose(start_mm, [[1.5, 20, 700], means[1], [-3, -4, 800], [0, 0, 750]])
    assert len(nyu.recordings(folder, limit=2, centers_path=centers)["real/test"].start_mm) == 2
    centers.write_text("1 2 3\n")
    with pytest.raises(InputError, match="1 centres for 4 frames"):
        nyu.recordings(folder, centers_path=centers)
    centers.write_text("1 2\n")
    with pytest.raises(InputError, match="line 1 is no centre"):
        nyu.recordings(folder, centers_path=centers)


def test_half_copied_folders_are_counted(tmp_path):
    write_nyu(tmp_path, train=20, test=4)
    for number in (2, 5, 6, 7):
        (tmp_path / "train" / f"depth_1_{number:07d}.png").unlink()
    (tmp_path / "test" / "depth_1_0000004.png").unlink()
    with pytest.raises(InputError) as error:
        check_recordings(nyu.recordings(tmp_path), skip_bad=False)
    text = str(error.value)
    assert re.search(
        r"4 of 19 frames of real/train: the file is missing \(train/depth_1_0000002\.png, .*\.\.\.\)", text
    )
    assert "1 of 4 frames of real/test: the file is missing (test/depth_1_0000004.png)" in text
    assert "synthetic" not in text
    check_recordings(nyu.recordings(tmp_path), skip_bad=True)
    shutil.rmtree(tmp_path / "test")
    with pytest.raises(InputError, match="test: the folder is missing"):
        nyu.recordings(tmp_path)


def test_labels_of_other_frames_are_refused(tmp_path):
    write_nyu(tmp_path, train=4, test=2)
    shutil.copy(tmp_path / "test" / "joint_data.mat", tmp_path / "train" / "joint_data.mat")
    with pytest.raises(
        InputError, match=r"labels of 2 frames, but there is a depth_1_0000004\.png|synthdepth_1_0000004"
    ):
        nyu.recordings(tmp_path)
    (tmp_path / "train" / "joint_data.mat").unlink()
    with pytest.raises(InputError, match=r"train.joint_data\.mat: the file is missing"):
        nyu.recordings(tmp_path)


def test_labels_that_are_no_places_are_named(tmp_path):
    labels = random_labels(6, 36, camera.NYU, 750.0, 0)
    labels[1, 7, 1] = np.nan
    labels[3, 0, 2] = 0.0
    write_nyu(tmp_path, train=6, test=2, labels=np.concatenate([labels, random_labels(2, 36, camera.NYU, 750.0, 1)]))
    splits = nyu.recordings(tmp_path)
    with pytest.raises(InputError, match=r"2 of 5 frames of real/train: its label holds NaN, .*depth_1_0000002\.png"):
        check_recordings(splits, skip_bad=False)
    batch = RecordedSource(splits["real/train"], nyu.CUBE_MM, 16).job(range(5))()
    assert list(batch.rows["frame"]) == [0, 2, 4] and [position for position, _ in batch.unusable] == [1, 3]


@pytest.mark.parametrize(
    "content, message",
    [
        ({"joint_uvd": np.zeros((36, 3))}, r"shape \(36, 3\) and not \(3 cameras, frames, 36 joints, 3\)"),
        ({"joint_uvd": np.zeros((3, 5, 14, 3))}, r"shape \(3, 5, 14, 3\)"),
        ({"joint_xyz": np.zeros((3, 5, 36, 3))}, "no 'joint_uvd'"),
        (b"MATLAB 5.0 MAT-file, cut", "no MATLAB file, or a damaged one"),
        (b"", "no MATLAB file, or a damaged one"),
    ],
)
def test_labels_of_other_shapes_are_refused(tmp_path, content, message):
    path = tmp_path / "joint_data.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        scipy.io.savemat(path, content)
    with pytest.raises(InputError, match=message):
        nyu.read_labels(path)


def test_matlab_files_of_version_7_3(tmp_path):
    labels = np.random.default_rng(0).uniform(1, 900, (3, 5, 36, 3))
    path = tmp_path / "joint_data.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["joint_uvd"] = labels.transpose()
        file["few"] = labels[0].transpose()
    header = b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02" + b"IM"
    with path.open("r+b") as file:
        file.write(header)
    np.testing.assert_array_equal(nyu.read_labels(path), labels[0].astype(np.float32))
    with h5py.File(path, "a") as file:
        del file["joint_uvd"]
        file["joint_uvd"] = labels[0].transpose()
    with pytest.raises(InputError, match=r"shape \(5, 36, 3\)"):
        nyu.read_labels(path)


def test_synthetic_frames_for_another_skeleton(tree):
    folder, _ = tree
    own = nyu.recordings(folder)["synthetic/train"].joints_mm
    splits = nyu.synthetic_recordings(folder, skeleton.ICVL_FROM_NYU)
    assert list(splits) == ["synthetic/train", "synthetic/validation"]
    np.testing.assert_array_equal(splits["synthetic/train"].joints_mm, own[:, list(skeleton.ICVL_FROM_NYU)])


def test_subjects_of_the_test_set_change_where_its_hands_do():
    assert nyu.SUBJECT_CHANGE == 2440
    labels = PUBLISHED / "nyu"
    if not labels.is_dir():
        pytest.skip(f"{labels} is missing: the published labels are not part of the project")
    middle = [np.loadtxt(labels / f"joints36_{a}.csv", delimiter=",", usecols=(14, 17))[2400:2480] for a in "uvd"]
    joints_mm = camera.uvd_to_mm(np.stack(middle, axis=-1), camera.NYU.intrinsics.astype(np.float64))
    length_mm = np.linalg.norm(joints_mm[:, 0] - joints_mm[:, 1], axis=-1)
    assert abs(np.median(length_mm[:40]) - np.median(length_mm[40:])) > 3.0 * np.std(length_mm[:40])


def test_where_a_folder_is_looked_for(tree, tmp_path, monkeypatch):
    folder, _ = tree
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LSPS_DATA", raising=False)
    with pytest.raises(InputError) as error:
        find_folder(nyu.LAYOUT)
    for part in ("data/nyu", "$LSPS_DATA is not set", "NYU Hand Pose Dataset", "joint_data.mat", "--data-root"):
        assert part in str(error.value)
    monkeypatch.setenv("LSPS_DATA", str(folder.parent))
    assert find_folder(nyu.LAYOUT) == folder
    (tmp_path / "data" / "nyu" / "dataset" / "train").mkdir(parents=True)
    assert str(find_folder(nyu.LAYOUT)) == "data/nyu/dataset"
    assert find_folder(nyu.LAYOUT, folder) == folder == find_folder(nyu.LAYOUT, folder.parent)
    with pytest.raises(InputError, match="elsewhere"):
        find_folder(nyu.LAYOUT, tmp_path / "elsewhere")
