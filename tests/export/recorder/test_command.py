"""The command record.py with a camera that is none: what it writes trains, and what it says is what it saw."""

import itertools

import numpy as np
import pytest
from PIL import Image

from export.recorder.cameras import LiveCamera
from export.recorder.command import record_command
from lsps_tf.camera import NYU, Camera
from lsps_tf.datasets.own.frame_folder import open_recording
from lsps_tf.depth_files import read_counts
from lsps_tf.distortion import NO_DISTORTION

PLAIN = ["--camera", "opencv", "--intrinsics"]


class Stand(LiveCamera):
    """Gives the same frame at 30 frames a second of a clock that only it moves."""

    name, camera, distortion, depth_unit_mm = "Stand-in", NYU, NO_DISTORTION, 0.5

    def __init__(self, frame_mm, stop_at=None):
        self.now, self.closed, self._stop_at = 0.0, False, stop_at
        self._counts = np.rint(frame_mm / self.depth_unit_mm).astype(np.uint16)

    def close(self):
        self.closed = True

    def _next(self):
        self.now += 1 / 30
        if self._stop_at is not None and self.now > self._stop_at:
            raise KeyboardInterrupt
        return self._counts


def record(command, camera, *arguments):
    return command(lambda given: record_command(given, lambda *_: camera, lambda: camera.now), *arguments)


def test_what_is_recorded_can_be_opened_for_training(command, model_dir, frame_mm, tmp_path):
    camera, folder = Stand(frame_mm), tmp_path / "mine"
    options = ["--hand", "right", "--seconds", "2", "--countdown", "2", "--model", model_dir / "lsps.tflite"]
    status, out, err = record(command, camera, folder, *options)
    assert (status, err, camera.closed) == (0, "", True)
    lines = out.splitlines()
    assert lines[1] == f"What is seen: {folder / '.preview.png'}"
    assert lines[2:4] == ["2 ...", "1 ..."]
    assert sum("a hand" in line and " s " in line for line in lines) == 2
    assert "60 frames; a whole hand in 100%" in out or "61 frames; a whole hand in 100%" in out
    assert "record longer" in out and "open, close and turn the hand" in out
    with Image.open(folder / ".preview.png") as picture:
        assert picture.size == (640, 480)
    own = open_recording(folder)
    # The picture is no frame.
    assert len(own.frames) == len(list(folder.glob("[0-9]*.png")))
    assert own.camera == Camera(NYU.fx, NYU.fy, NYU.cx, NYU.cy, 640, 480)
    assert (own.camera_file.depth_unit_mm, own.camera_file.hand) == (0.5, "right")
    assert [frame.name for frame in own.frames][:2] == ["000000.png", "000001.png"]
    np.testing.assert_array_equal(read_counts(folder / "000003.png"), np.rint(frame_mm / 0.5).astype(np.uint16))


def test_ctrl_c_ends_it_and_keeps_what_was_taken(command, model_dir, frame_mm, tmp_path):
    camera = Stand(frame_mm, stop_at=0.5)
    options = ["--hand", "auto", "--countdown", "0", "--model", model_dir / "lsps.tflite"]
    status, out, _ = record(command, camera, tmp_path / "mine", *options)
    assert status == 0
    assert "Train: python training/run.py --dataset frames" in out
    assert 13 <= len(list((tmp_path / "mine").glob("[0-9]*.png"))) <= 15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hand", "right", "--seconds", "-1"], "--seconds -1: give seconds"),
        (["--hand", "right", "--seconds", "0", "--countdown", "0"], "no frame was recorded"),
        (["--hand", "right", "--preview", "a.jpg"], "--preview a.jpg: the picture is a PNG"),
        (["--hand", "right", "--number", "1"], "--number 1: it is for --camera opencv"),
        (["--hand", "right", "--camera", "orbbec", "--depth-unit", "1"], "--depth-unit 1.0: it is for --camera opencv"),
        (["--hand", "right", "--camera", "opencv", "--depth-unit", "1"], "--intrinsics is missing"),
        (["--hand", "right", *PLAIN, "9,9,4"], "--depth-unit is missing"),
        (["--hand", "right", *PLAIN, "9,9,4", "--depth-unit", "1"], "'9,9,4' has 3 numbers"),
        (["--hand", "right", *PLAIN, "9,0,4,3", "--depth-unit", "1"], "fx and fy are pixels, more than 0"),
        (["--hand", "right", *PLAIN, "9,9,4,3", "--depth-unit", "0"], "--depth-unit 0: it is the mm"),
        (["--hand", "right", *PLAIN, "9,9,4,3", "--depth-unit", "1", "--number", "-1"], "--number -1: cameras are"),
    ],
)
def test_mistakes_are_one_line(command, model_dir, frame_mm, tmp_path, options, message):
    given = [tmp_path / "mine", "--model", model_dir / "lsps.tflite", *options]
    status, _, err = record(command, Stand(frame_mm), *given)
    assert status == 2
    assert message in err and err.count("\n") == 1


def test_a_folder_that_is_not_empty_is_left_alone(command, frame_mm, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    status, _, err = record(command, Stand(frame_mm), tmp_path, "--hand", "right")
    assert status == 2
    assert "something is there already" in err
    assert next(itertools.islice(tmp_path.iterdir(), 1, None), None) is None


def test_a_preview_within_the_recording_would_be_a_frame(command, frame_mm, tmp_path):
    folder = tmp_path / "mine"
    status, _, err = record(command, Stand(frame_mm), folder, "--hand", "right", "--preview", folder / "a.png")
    assert status == 2
    assert "there it would count as a frame" in err
    assert not folder.exists()


def test_help_says_that_no_camera_was_there(capsys):
    with pytest.raises(SystemExit):
        record_command(["--help"])
    assert "untested on hardware" in " ".join(capsys.readouterr().out.split())
