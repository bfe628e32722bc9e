import numpy as np
import pytest

from lsps_tf import camera, skeleton
from lsps_tf.datasets.own import labels as joints_csv
from lsps_tf.errors import InputError

INTRINSICS = camera.SR305.intrinsics
NAMES = [f"{i}.png" for i in range(20)]


def write(folder, header, lines):
    (folder / joints_csv.JOINTS_FILE).write_text("\n".join([",".join(header), *(",".join(line) for line in lines)]))
    return joints_csv.read_labels(folder, NAMES, INTRINSICS)


def columns(kind, endings):
    return [f"{joint}_{axis}" for joint in kind.joint_names for axis in endings]


@pytest.mark.parametrize("kind", [skeleton.NYU, skeleton.ICVL])
def test_labels_in_mm_and_in_pixels_say_the_same(tmp_path, kind):
    joints_mm = np.random.default_rng(0).normal([10.0, -20.0, 500.0], 60, (2, kind.num_joints, 3))
    uvd = camera.mm_to_uvd(joints_mm, INTRINSICS.astype(np.float64))
    for endings, values in (("xyz", joints_mm), ("uvd", uvd)):
        lines = [[NAMES[i], *(repr(v) for v in values[i].ravel().tolist())] for i in range(2)]
        labels = write(tmp_path, ["frame", *columns(kind, endings)], lines)
        assert labels.skeleton is kind
        for i in range(2):
            np.testing.assert_allclose(labels.joints_mm[NAMES[i]], joints_mm[i], atol=1e-3)


def test_the_21_joints_are_labels_of_nyu_s_places(tmp_path):
    joints_mm = np.random.default_rng(0).normal([10.0, -20.0, 500.0], 60, (21, 3)).round(3)
    header = ["frame", "split", *columns(skeleton.HAND21, "xyz")]
    labels = write(tmp_path, header, [["3.png", "train", *(repr(v) for v in joints_mm.ravel().tolist())]])
    assert labels.skeleton is skeleton.NYU
    chosen = list(skeleton.HAND21_FROM_NYU)
    np.testing.assert_allclose(labels.joints_mm["3.png"][chosen], joints_mm, atol=1e-4)
    assert np.isfinite(labels.joints_mm["3.png"]).all(axis=1).sum() == 21
    # The pose VAE knows whole hands alone.
    assert not labels.trainable


def test_joints_without_columns_or_values_have_no_label(tmp_path):
    header = ["frame", "palm_z", "palm_x", "palm_y", "index_tip_x", "index_tip_y", "index_tip_z"]
    labels = write(
        tmp_path, header, [["3.png", "500", "1", "2", "", "", ""], ["4.png", "500", "1", "2", "3", "4", "5"]]
    )
    assert labels.skeleton is skeleton.NYU
    palm, tip = skeleton.NYU.joint_names.index("palm"), skeleton.NYU.joint_names.index("index_tip")
    np.testing.assert_array_equal(labels.joints_mm["3.png"][palm], [1.0, 2.0, 500.0])
    assert np.isfinite(labels.joints_mm["3.png"]).sum() == 3
    np.testing.assert_array_equal(labels.joints_mm["4.png"][tip], [3.0, 4.0, 5.0])


def test_the_last_labelled_frames_are_held_out_in_one_piece():
    parts = joints_csv.split_labelled(NAMES)
    assert [parts[name] for name in NAMES] == ["train"] * 14 + ["validation"] * 2 + ["test"] * 4
    assert set(joints_csv.split_labelled(NAMES[:2]).values()) == {"test"}
    assert sorted(joints_csv.split_labelled(NAMES[:3]).values()) == ["test", "train", "validation"]


def test_a_column_says_what_a_frame_is_for(tmp_path):
    header = ["frame", "split", "palm_x", "palm_y", "palm_z"]
    labels = write(tmp_path, header, [["3.png", "test", "1", "2", "500"], ["9.png", "train", "1", "2", "500"]])
    assert labels.parts == {"3.png": "test", "9.png": "train"}


PALM = ["palm_x", "palm_y", "palm_z"]


@pytest.mark.parametrize(
    "header, line, message",
    [
        (["frame", "thumb_tipp_x"], ["1.png", "1"], "unknown column 'thumb_tipp_x'; the nearest one is 'thumb_tip_x'"),
        (["frame", "palm_x", "palm_y"], ["1.png", "1", "2"], "'palm' needs all three of its columns, x, y, z"),
        (["frame", *PALM, "palm_z"], ["1.png", "1", "2", "3", "4"], "stands there twice"),
        (["frame"], ["1.png"], "no column names a joint"),
        (["name", *PALM], ["1.png", "1", "2", "3"], "it needs a first line 'frame,"),
        (["frame", *PALM], ["21.png", "1", "2", "3"], "there is no frame '21.png'"),
        (["frame", *PALM], ["1.png", "1", "2"], "line 2 has 3 fields, the first line 4"),
        (["frame", *PALM], ["1.png", "1", "2", "far"], "'far' is no number"),
        (["frame", *PALM], ["1.png", "1", "2", "-3"], "not in front of the camera"),
        (["frame", *PALM], ["1.png", "", "", ""], "labels no joint"),
        (["frame", "split", *PALM], ["1.png", "dev", "1", "2", "3"], "split 'dev'; choose one of train, validation"),
    ],
)
def test_mistakes_are_named(tmp_path, header, line, message):
    with pytest.raises(InputError, match=r"joints\.csv") as raised:
        write(tmp_path, header, [line])
    assert message in str(raised.value)


def test_a_frame_labelled_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match="line 3: the frame '1.png' is labelled twice"):
        write(tmp_path, ["frame", *PALM], [["1.png", "1", "2", "3"]] * 2)


def test_without_a_file_there_are_no_labels(tmp_path):
    assert joints_csv.read_labels(tmp_path, NAMES, INTRINSICS).joints_mm == {}


PLAIN = "frame,palm_x,palm_y,palm_z\n3.png,1.5,2,500\n4.png,,,\n".replace("4.png,,,", "4.png,1,2,400")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode(),
        b"\xff\xfe" + PLAIN.replace(",", "\t").encode("utf-16-le"),
        PLAIN.replace(",", ";").replace("1.5", "1,5").encode(),
        b"sep=;\n" + PLAIN.replace(",", ";").replace("1.5", "1,5").encode(),
        PLAIN.replace("\n", ",,\n").encode() + b",,,,,\n,,,,,\n",
        PLAIN.replace(",", " , ").replace("\n", "  \n").encode(),
        PLAIN.replace("3.png", ".\\\\3.png".replace("\\\\", "\\")).replace("4.png", "./4.PNG").encode(),
    ],
)
def test_labels_are_read_as_spreadsheets_write_them(tmp_path, content):
    (tmp_path / joints_csv.JOINTS_FILE).write_bytes(content)
    labels = joints_csv.read_labels(tmp_path, NAMES, INTRINSICS)
    palm = skeleton.NYU.joint_names.index("palm")
    assert {name: joints[palm].tolist() for name, joints in labels.joints_mm.items()} == {
        "3.png": [1.5, 2.0, 500.0],
        "4.png": [1.0, 2.0, 400.0],
    }
