"""The Azure Kinect's Matroska, written by FFmpeg, is read back exactly."""

import numpy as np
import pytest

from lsps_tf.distortion import Distortion
from lsps_tf.recordings.opening import open_recording
from tests.recordings.reading import refusal
from tests.recordings.writers import KINECT, depth_counts, kinect_calibration, write_kinect

pytestmark = pytest.mark.usefixtures("av")


@pytest.mark.parametrize(("size", "side", "corner"), [((320, 288), 512, (96, 90)), ((512, 512), 512, (0, 0))])
def test_frames_times_and_calibration(tmp_path, size, side, corner):
    path = write_kinect(tmp_path / "a.mkv", 3, size, kinect_calibration())
    with open_recording(path) as recording:
        stream, found = recording.stream, list(recording)
        assert (stream.topic, stream.frames, stream.width, stream.height) == ("DEPTH", 3, *size)
        assert stream.depth_unit_mm == 1.0
        for i, frame in enumerate(found):
            np.testing.assert_array_equal(frame.counts, depth_counts(i, np.uint16, *size))
        assert [frame.time_ns for frame in found] == [0, 33_000_000, 67_000_000]
        np.testing.assert_array_equal(recording.read(0).counts, depth_counts(0, np.uint16, *size))
        # As k4a_calibration_get_from_raw computes them: in pixels of the mode, centres at integers.
        expected = [
            KINECT[2] * side,
            KINECT[3] * side,
            KINECT[0] * side - corner[0] - 0.5,
            KINECT[1] * side - corner[1] - 0.5,
        ]
        np.testing.assert_allclose(stream.camera.intrinsics, expected, rtol=1e-6)
        k1, k2, k3, k4, k5, k6 = KINECT[4:10]
        assert stream.distortion == Distortion("rational", (k1, k2, KINECT[13], KINECT[12], k3, k4, k5, k6))


def test_without_a_calibration_the_camera_is_not_guessed(tmp_path):
    with open_recording(write_kinect(tmp_path / "a.mkv")) as recording:
        assert recording.stream.camera is None
        assert "calibration.json" in recording.stream.camera_missing


@pytest.mark.parametrize("share", [0.0005, 0.3, 0.99])
def test_a_cut_file(tmp_path, share):
    path = write_kinect(tmp_path / "a.mkv", calibration=kinect_calibration())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "cut short" in refusal(path)


def test_what_is_no_matroska(tmp_path):
    path = tmp_path / "a.mkv"
    path.write_bytes(b"RIFF" + bytes(100))
    assert "no Matroska file" in refusal(path)


def test_a_video_is_no_depth(tmp_path, av):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((24, 32, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    assert "no track DEPTH" in refusal(path)
    assert "mjpeg" in refusal(path)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (b"{}", "cannot be read"),
        (kinect_calibration(numbers=KINECT[:9]), "cannot be read"),
        (
            kinect_calibration("CALIBRATION_LensDistortionModelTheta"),
            "'CALIBRATION_LensDistortionModelTheta' is not known",
        ),
    ],
)
def test_a_calibration_that_has_no_meaning(tmp_path, calibration, message):
    assert message in refusal(write_kinect(tmp_path / "a.mkv", calibration=calibration))


def test_a_size_that_is_no_mode(tmp_path):
    assert "no mode" in refusal(write_kinect(tmp_path / "a.mkv", 1, (64, 48), kinect_calibration()))
