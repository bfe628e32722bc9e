"""A recording as what a predictor takes: frames in mm of a pinhole camera, with their times.

with lsps_tf.open_recording("hand.bag") as recording:
    for frame in recording:
        hand = predictor(frame.depth_mm, recording.camera)
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from lsps_tf.camera import Camera, as_camera
from lsps_tf.depth_files import counts_to_mm
from lsps_tf.distortion import NO_DISTORTION, undistort_depth
from lsps_tf.errors import InputError
from lsps_tf.recordings.opening import is_recording, open_recording
from lsps_tf.recordings.recording import Recording


@dataclasses.dataclass(frozen=True)
class DepthFrame:
    """A frame of a recording.

    Attributes:
        name: the recording's path, "#" and the frame's number.
        depth_mm: float32 [H, W] of the recording's pinhole camera, 0 = no reading.
        time_s: when it was taken, of the camera's clock.
    """

    name: str
    depth_mm: np.ndarray
    time_s: float


class DepthRecording(Sequence):
    """An open recording whose frames are depth in mm. Not to be shared between threads.

    Attributes:
        recording: the frames as they were recorded, and what it says of them.
        camera: the pinhole camera of its frames; a lens' distortion is undone.
        depth_unit_mm: mm that one count of the recording stands for.
    """

    def __init__(self, recording: Recording, camera: Camera | None, depth_unit_mm: float | None):
        """Args: `camera`, a pinhole's, and `depth_unit_mm` in place of what the recording says; None takes that.

        Raises:
            InputError: where neither says it.
        """
        stream = recording.stream
        self.recording = recording
        self._distortion = stream.distortion if camera is None else NO_DISTORTION
        chosen, unit_mm = camera or stream.camera, depth_unit_mm or stream.depth_unit_mm
        if chosen is None:
            raise InputError(
                f"{recording.path}: {stream.camera_missing}; say what the camera is (--camera, or camera=)"
            )
        if unit_mm is None:
            raise InputError(
                f"{recording.path}: it does not say what a count stands for; give the mm (--depth-unit, or "
                "depth_unit_mm=)"
            )
        self.camera, self.depth_unit_mm = chosen, unit_mm

    def __len__(self) -> int:
        return len(self.recording)

    def __getitem__(self, index: int) -> DepthFrame:
        """A frame; quickly where they are asked for in order. InputError where it is damaged."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        index %= len(self)
        frame = self.recording.read(index)
        depth_mm = counts_to_mm(frame.counts, self.depth_unit_mm)
        if depth_mm.shape != (self.camera.height, self.camera.width):
            height, width = depth_mm.shape
            raise InputError(
                f"{self.recording.path}#{index}: its size is {width} x {height} pixels, not {self.camera.width} x "
                f"{self.camera.height}; record one mode of the camera at a time"
            )
        depth_mm = undistort_depth(depth_mm, self.camera, self._distortion)
        return DepthFrame(f"{self.recording.path}#{index}", depth_mm, frame.time_ns / 1e9)

    def __iter__(self) -> Iterator[DepthFrame]:
        return (self[index] for index in range(len(self)))

    def __enter__(self) -> DepthRecording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self.recording.close()


def open_depth(
    path: str | pathlib.Path,
    topic: str | None = None,
    camera: Camera | str | Sequence[float] | None = None,
    depth_unit_mm: float | None = None,
) -> DepthRecording:
    """Opens a recording.

    Args:
        path: a ROS bag (`.bag`, `.db3`, `.mcap`, or the folder of a ROS 2 bag) or the Azure Kinect's `.mkv`.
        topic: which depth, where there are several.
        camera: a pinhole camera, its name, or fx, fy, cx, cy in pixels, in place of what the recording says.
        depth_unit_mm: mm that one count stands for, in place of what the recording says.

    Raises:
        InputError: where it is missing, damaged, without depth, or lacks what is not given; one line.
    """
    recording = open_recording(path, topic)
    try:
        size = recording.stream.height, recording.stream.width
        return DepthRecording(recording, None if camera is None else as_camera(camera, *size), depth_unit_mm)
    except InputError:
        recording.close()
        raise


def frame_of_recording(name: str | pathlib.Path) -> tuple[pathlib.Path, int] | None:
    """The recording and the number of a frame that is called "hand.bag#12", or "hand.bag" for the first; None else."""
    path, mark, number = str(name).rpartition("#")
    if mark and number.isdigit() and is_recording(pathlib.Path(path)):
        return pathlib.Path(path), int(number)
    return (pathlib.Path(name), 0) if is_recording(pathlib.Path(name)) else None
