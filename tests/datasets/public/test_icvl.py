"""The ICVL importer on small trees in the official format."""

import numpy as np
import pytest
from PIL import Image

from lsps_tf import camera
from lsps_tf.datasets.public import icvl
from lsps_tf.datasets.public.folders import find_folder
from lsps_tf.datasets.public.recording import check_recordings
from lsps_tf.datasets.public.source import RecordedSource
from lsps_tf.errors import InputError
from tests.datasets.official_trees import write_icvl


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree") / "icvl"
    return folder, *write_icvl(folder, train=8, test=5)


def names(recording):
    return [recording.name_of(position) for position in range(len(recording))]


def test_the_last_sequence_validates_with_its_rotated_copies(tree):
    folder, _, tests = tree
    original = icvl.recordings(folder)
    assert names(original["real/train"]) == [f"Training/Depth/201403121135/image_{k:04d}.png" for k in range(4)]
    assert names(original["real/validation"]) == [f"Training/Depth/201406191014/image_{k:04d}.png" for k in range(4)]
    assert names(original["real/test"]) == [f"Testing/Depth/{name}" for name in tests]
    rotated = icvl.recordings(folder, rotated=True)
    assert len(rotated["real/train"]) == len(rotated["real/validation"]) == 8
    assert {name.split("/")[-2] for name in names(rotated["real/train"])} == {"201403121135"}
    assert {name.split("/")[-2] for name in names(rotated["real/validation"])} == {"201406191014"}
    assert "Training/Depth/22-5/201403121135/image_0000.png" in names(rotated["real/train"])
    check_recordings(rotated, skip_bad=False)
    subjects = {split: set(recording.subjects) for split, recording in rotated.items()}
    assert len(set.union(*subjects.values())) == sum(len(found) for found in subjects.values())


def test_a_single_sequence_is_held_out_by_its_tail(tree):
    folder, _, _ = tree
    limited = icvl.recordings(folder, limit=3)
    assert [len(recording) for recording in limited.values()] == [2, 1, 3]
    assert names(limited["real/validation"]) == ["Training/Depth/201403121135/image_0002.png"]


@pytest.mark.parametrize(
    "name, rotated",
    [
        ("201403121135/image_0000.png", False),
        ("22-5/201403121135/image_0000.png", True),
        ("-67.5/201403121135/image_0000.png", True),
        ("180/201403121135/image_0000.png", True),
        ("0/201403121135/image_0000.png", False),
        ("test_seq_1/image_0000.png", False),
    ],
)
def test_rotated_copies_are_told_by_their_folder(name, rotated):
    assert icvl.is_rotated(name) == rotated


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("201403121135/image_0000.png", "201403121135/image_0000.png"),
        ("201403121135\\image_0000.png", "201403121135/image_0000.png"),
        (".\\22-5\\201403121135\\image_0000.png", "22-5/201403121135/image_0000.png"),
        ("./201403121135//image_0000.png", "201403121135/image_0000.png"),
        ("Depth/22-5/201403121135/image_0000.png", "22-5/201403121135/image_0000.png"),
        ("/data/icvl/Training/Depth/201403121135/image_0000.png", "201403121135/image_0000.png"),
        ("C:\\icvl\\Training\\depth\\-45\\201403121135\\image_0000.png", "-45/201403121135/image_0000.png"),
        ("/data/icvl/22-5/201403121135/image_0000.png", "22-5/201403121135/image_0000.png"),
        ("D:/icvl/201403121135/image_0000.png", "201403121135/image_0000.png"),
        ("../201403121135/image_0000.png", "201403121135/image_0000.png"),
        ('"201403121135/image_0000.png"', "201403121135/image_0000.png"),
        ("test_seq_1\\image_0000.png", "test_seq_1/image_0000.png"),
    ],
)
def test_paths_in_labels_are_read_as_other_systems_write_them(written, path):
    assert icvl.path_below_depth(written) == path


def test_rotated_copies_are_left_out_however_their_paths_are_written(tmp_path):
    """4, 4 and 4 frames, three times."""
    write_icvl(tmp_path)
    labels = tmp_path / "Training" / "labels.txt"
    text = labels.read_text()
    lines = [line for line in text.splitlines() if line.strip()]
    ways = {
        "backslash": lambda line: line.replace("/", "\\"),
        "dot": lambda line: "./" + line,
        "root": lambda line: f"{tmp_path}/Training/Depth/{line}",
        "case": lambda line: line.replace("image", "IMAGE").replace(".png", ".PNG"),
        "blanks": lambda line: f"  {line} \t\r",
    }
    original = icvl.recordings(tmp_path)
    assert {split: len(recording) for split, recording in original.items()} == dict.fromkeys(original, 4)
    for way in ways.values():
        labels.write_bytes(b"\xef\xbb\xbf" + "\n".join(map(way, lines)).encode())
        found = icvl.recordings(tmp_path)
        for split, recording in found.items():
            assert recording.digest() == original[split].digest() and not recording.unusable
            assert [recording.path_of(k) for k in range(4)] == [original[split].path_of(k) for k in range(4)]


def test_labels_round_trip_and_left_hands_become_right_ones(tree):
    folder, lines, tests = tree
    recording = icvl.recordings(folder)["real/test"]
    assert recording.mirrored
    rows = RecordedSource(recording, icvl.CUBE_MM, 128).job(range(5))().rows
    back_mm = rows["joints_mm"].astype(np.float64) * [-1, 1, 1]
    uvd = camera.mm_to_uvd(back_mm, camera.ICVL.intrinsics.astype(np.float64))
    np.testing.assert_allclose(uvd, np.stack(list(tests.values())), atol=1e-3)
    # The stored crop shows the mirrored hand where the mirrored joints are.
    for depth_mm, joints, (x, y, z) in zip(rows["depth_mm"], rows["joints_mm"], rows["center_mm"]):
        extent = rows["extent_mm"][0]
        column = np.clip(((joints[:, 0] / joints[:, 2] - x / z) * z / extent + 0.5) * 192, 0, 191).astype(int)
        row = np.clip(((joints[:, 1] / joints[:, 2] - y / z) * z / extent + 0.5) * 192, 0, 191).astype(int)
        assert np.mean(np.abs(depth_mm[row, column] - joints[:, 2]) < 20.0) > 0.6


def test_codes_of_the_sensor_are_no_readings(tmp_path):
    Image.fromarray(np.array([[0, 350, 31999], [32001, 32002, 65535]], np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(icvl.read_frame(tmp_path / "a.png"), [[0, 350, 31999], [0, 0, 0]])


def test_one_flat_folder_will_do(tree, tmp_path):
    folder, _, _ = tree
    for part in ("Training", "Testing"):
        for path in (folder / part).iterdir():
            if path.name != "Depth":
                (tmp_path / path.name).write_bytes(path.read_bytes())
        for path in (folder / part / "Depth").rglob("*.png"):
            to = tmp_path / path.relative_to(folder / part)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(path.read_bytes())
    assert find_folder(icvl.LAYOUT, tmp_path) == tmp_path
    flat = icvl.recordings(tmp_path)
    for split, recording in icvl.recordings(folder).items():
        assert not flat[split].unusable and flat[split].digest() == recording.digest()


def test_missing_and_damaged_parts_are_named(tmp_path):
    write_icvl(tmp_path, train=8, test=4, rotated=False)
    (tmp_path / "Training" / "Depth" / "201403121135" / "image_0002.png").unlink()
    with pytest.raises(InputError, match=r"1 of 4 frames of real/train: the file is missing \(.*image_0002\.png\)"):
        check_recordings(icvl.recordings(tmp_path), skip_bad=False)
    labels = tmp_path / "Training" / "labels.txt"
    text = labels.read_text()
    labels.write_text(text.replace(" \n", " 17\n", 2))
    with pytest.raises(InputError, match=r"labels\.txt: line 1 is not a path and 48 numbers \(49 are there\)"):
        icvl.recordings(tmp_path)
    first, rest = text.split("\n", 1)
    labels.write_text(" ".join([*first.split()[:-1], "nan"]) + "\n" + rest)
    with pytest.raises(InputError, match="1 of 4 frames of real/train: its label holds NaN"):
        check_recordings(icvl.recordings(tmp_path), skip_bad=False)
    labels.write_text("\n\n")
    with pytest.raises(InputError, match="holds no labels"):
        icvl.recordings(tmp_path)
    labels.unlink()
    with pytest.raises(InputError, match=r"labels\.txt: the file is missing"):
        icvl.recordings(tmp_path)
