"""Recordings as the Python object gives them: mm, a pinhole camera, times."""

import numpy as np
import pytest

import lsps_tf
from lsps_tf.distortion import Distortion, undistort_depth
from lsps_tf.errors import InputError
from lsps_tf.recordings.depth import frame_of_recording
from tests.recordings.test_bags import realsense_topics
from tests.recordings.writers import BROWN, depth_counts, depth_topics, time_ns, write_bag

pytestmark = pytest.mark.usefixtures("rosbags")


@pytest.mark.parametrize(("encoding", "unit_mm"), [("16UC1", 1.0), ("32FC1", 1000.0)])
def test_frames_in_mm_of_a_pinhole(tmp_path, encoding, unit_mm):
    path = write_bag(tmp_path / "a.bag", 1, depth_topics(1, encoding=encoding))
    with lsps_tf.open_recording(path) as recording:
        assert recording.camera == lsps_tf.Camera(40.0, 41.0, 15.5, 11.25, 32, 24)
        frames = list(recording)
        assert len(frames) == len(recording) == 3
        for i, frame in enumerate(frames):
            counts = depth_counts(i).astype(np.float32) * unit_mm
            expected = undistort_depth(counts, recording.camera, Distortion("brown-conrady", BROWN))
            np.testing.assert_array_equal(frame.depth_mm, expected)
            assert frame.depth_mm.dtype == np.float32
            assert frame.name == f"{path}#{i}"
            assert frame.time_s == pytest.approx(time_ns(i) / 1e9, abs=1e-6)
        np.testing.assert_array_equal(recording[-1].depth_mm, frames[2].depth_mm)
        with pytest.raises(IndexError):
            recording[3]


def test_what_is_given_wins(tmp_path):
    path = write_bag(tmp_path / "a.bag", 1, depth_topics(1))
    with lsps_tf.open_recording(path, camera=(50.0, 50.0, 16.0, 12.0), depth_unit_mm=0.5) as recording:
        assert recording.camera == lsps_tf.Camera(50.0, 50.0, 16.0, 12.0, 32, 24)
        # Intrinsics that are given are a pinhole's.
        np.testing.assert_array_equal(recording[0].depth_mm, depth_counts(0) * np.float32(0.5))


def test_what_is_lacking_is_asked_for(tmp_path):
    path = write_bag(tmp_path / "a.bag", 1, realsense_topics(unit=None))
    with pytest.raises(InputError, match=r"give the mm \(--depth-unit, or depth_unit_mm=\)"):
        lsps_tf.open_recording(path)
    topics = depth_topics(1)
    del topics["/camera/depth/camera_info"]
    with pytest.raises(InputError, match=r"there is no camera_info .*; say what the camera is \(--camera"):
        lsps_tf.open_recording(write_bag(tmp_path / "b.bag", 1, topics))


def test_names_of_frames(tmp_path):
    assert frame_of_recording("a/b.bag#12") == (type(tmp_path)("a/b.bag"), 12)
    assert frame_of_recording("b.mkv") == (type(tmp_path)("b.mkv"), 0)
    assert frame_of_recording("b.png") is None
    assert frame_of_recording("b.png#3") is None
