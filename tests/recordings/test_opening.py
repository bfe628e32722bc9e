"""Which files are recordings, and what is said of those whose depth is lost."""

import sys

import pytest

from lsps_tf.depth_files import read_counts
from lsps_tf.errors import InputError
from lsps_tf.recordings.opening import bag_folder, is_recording, open_recording


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.avi", "compression destroys depth"),
        ("a.MP4", "compression destroys depth"),
        ("a.oni", "OpenNI"),
        ("a.xef", "Kinect Studio"),
        ("a.svo", "ZED"),
        ("a.txt", "no recording that can be read"),
        ("a.bag", "empty"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path, name, reason):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=reason) as error:
        open_recording(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path / name))


def test_a_frame_of_a_video_is_refused_alike(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    with pytest.raises(InputError, match="compression destroys depth"):
        read_counts(tmp_path / "a.mp4")


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        open_recording(tmp_path / "a.bag")


@pytest.mark.parametrize(("name", "package"), [("a.bag", "rosbags"), ("a.mcap", "rosbags"), ("a.mkv", "av")])
def test_a_missing_package_is_named_with_what_installs_it(tmp_path, monkeypatch, name, package):
    # A head that passes for Matroska, as the file is looked at first.
    (tmp_path / name).write_bytes(bytes.fromhex("1a45dfa380 18538067ff"))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"pip install lsps-tf\[recordings\]"):
        open_recording(tmp_path / name)


def test_recordings_by_name(tmp_path):
    assert is_recording(tmp_path / "a.BAG")
    assert not is_recording(tmp_path / "a.png")
    assert not is_recording(tmp_path)
    (tmp_path / "metadata.yaml").write_text("")
    assert is_recording(tmp_path)
    assert bag_folder(tmp_path / "a_0.db3") == tmp_path
    assert bag_folder(tmp_path / "a_0.bag") is None
