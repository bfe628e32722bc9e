"""A recording of one's own depth camera: a folder of frames, `camera.toml` and, where there are labels, `joints.csv`.

    camera.toml   fx, fy, cx, cy (pixels), depth_unit_mm (mm of one count), hand ("right", "left" or "auto"); if wanted
                  near_mm and far_mm (what lies outside is not looked at), width and height (pixels, checked),
                  rotation_degrees (0, 90, 180 or 270: how far clockwise the frames are turned to stand upright)
    *.png *.tif *.tiff   one frame per file: 16-bit grayscale, or the NYU dataset's RGB encoding (PNG)
    *.pgm *.exr *.csv *.raw   see `lsps_tf.recordings.pictures`
    *.npy *.npz          a frame [H, W] or a video [N, H, W] per file (see `lsps_tf.array_files`)
    *.bag *.db3 *.mcap *.mkv   a camera's recording, which is a video (see `lsps_tf.recordings.opening`)
    joints.csv    see `lsps_tf.datasets.own.labels`

A recording may stand alone in place of the folder, and has its texts beside it then: NAME.camera.toml, NAME.joints.csv.
What recordings, or files beside the frames, say of the camera (see `lsps_tf.datasets.own.described`) need not stand in
`camera.toml`. Where there is a folder "depth" beside one of colors, frames are taken from it alone.

Frames lie in the folder itself or in folders under it, links included; each folder, and each video, is a sequence, in
the order of the names (numbers in them count as numbers). A frame is called by its path in the folder; in a video "#"
and its number follow. Hidden files and folders, and those that systems keep for trash and thumbnails, are not a part.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from lsps_tf import depth_files
from lsps_tf.array_files import VideoReader, open_array
from lsps_tf.datasets.own.camera_file import CAMERA_FILE, CameraFile, Description
from lsps_tf.datasets.own.described import (
    DEPTH_FOLDER,
    TUM_LIST,
    describe_folder,
    describe_recordings,
    stream_of,
)
from lsps_tf.datasets.own.folders import beside, list_files
from lsps_tf.distortion import undistort_depth
from lsps_tf.errors import InputError
from lsps_tf.recordings.opening import bag_folder, check_not_lost, is_recording, open_recording
from lsps_tf.recordings.pictures import is_picture
from lsps_tf.recordings.recording import Recording
from lsps_tf.rotation import rotate_depth

ENDINGS = (".png", ".tif", ".tiff", ".pgm", ".exr", ".npy", ".npz")
_COLOR_FOLDERS = ("color", "rgb")


@dataclasses.dataclass(frozen=True)
class FrameFile:
    """A frame in a file.

    Attributes:
        name: of the frame.
        path: of the file, or of the folder of a ROS 2 bag.
        index: its place in a video; None where the file holds it alone.
        topic: which depth of a recording, "" for others.
    """

    name: str
    path: pathlib.Path
    index: int | None = None
    topic: str = ""


def describe(folder: str | pathlib.Path, sequences: dict[str, list[FrameFile]]) -> Description:
    """What is known of the camera of `list_sequences` without `camera.toml`.

    Raises:
        InputError: where it is damaged, or there are several cameras.
    """
    recordings = {frames[0].path: frames[0].topic for frames in sequences.values() if frames[0].topic}
    if not recordings:
        return describe_folder(pathlib.Path(folder))
    return describe_recordings({path: stream_of(path, topic) for path, topic in recordings.items()})


def list_sequences(folder: str | pathlib.Path, topic: str | None = None) -> dict[str, list[FrameFile]]:
    """Every frame of a recording by sequence ("." for the folder itself), in order.

    Args:
        folder: with the frames, or a camera's recording.
        topic: which depth of a camera's recording, where it has several.

    Raises:
        InputError: where there is no such folder, it holds no frames, a link in it leads nowhere, a folder in it cannot
            be read, or a video cannot be opened.
    """
    folder = pathlib.Path(folder)
    if is_recording(folder) and folder.exists():
        return {folder.name: _recorded_frames(folder.name, folder, topic)}
    if not folder.is_dir():
        check_not_lost(folder)
        raise InputError(f"{folder}: there is no such folder; give the folder that holds {CAMERA_FILE} and the frames")
    sequences: dict[str, list[FrameFile]] = {}
    paths = dict.fromkeys(bag_folder(path) or path for path in list_files(folder))
    for path in sorted(_depth_alone(folder, paths), key=lambda path: _natural(path.relative_to(folder))):
        name = path.relative_to(folder).as_posix()
        if is_recording(path):
            sequences[name] = _recorded_frames(name, path, topic)
        if path.suffix.lower() not in ENDINGS and not is_picture(path):
            continue
        count = _video_length(path)
        if count is None:
            sequences.setdefault(path.parent.relative_to(folder).as_posix(), []).append(FrameFile(name, path))
        else:
            sequences[name] = [FrameFile(f"{name}#{index}", path, index) for index in range(count)]
    if not sequences:
        for path in paths:
            check_not_lost(path)
        raise InputError(f"{folder}: there are no frames; record some as {', '.join(ENDINGS)} files")
    if topic is not None and not any(frames[0].topic for frames in sequences.values()):
        raise InputError(f"--topic {topic}: {folder} has no recording with topics; leave it out")
    return sequences


def _recorded_frames(name: str, path: pathlib.Path, topic: str | None) -> list[FrameFile]:
    stream = stream_of(path, topic)
    return [FrameFile(f"{name}#{index}", path, index, stream.topic) for index in range(stream.frames)]


def _depth_alone(folder: pathlib.Path, paths: Mapping[pathlib.Path, Any]) -> list[pathlib.Path]:
    """Without the pictures in color that programs store beside depth: in another folder, or NAME.png of NAME.raw."""
    paths = [path for path in paths if path.suffix.lower() != ".png" or path.with_suffix(".raw") not in paths]
    depth = folder / DEPTH_FOLDER
    beside_color = any((folder / name).is_dir() for name in _COLOR_FOLDERS) or (folder / TUM_LIST).is_file()
    return [path for path in paths if depth in path.parents] if depth.is_dir() and beside_color else paths


def to_mm(counts: np.ndarray, camera: CameraFile) -> np.ndarray:
    """Counts as they are recorded to an upright frame, float32 mm, 0 = no reading or outside near_mm to far_mm."""
    depth_mm = depth_files.counts_to_mm(counts, camera.depth_unit_mm)
    if camera.distortion:
        height, width = depth_mm.shape
        depth_mm = undistort_depth(depth_mm, camera.camera(width, height), camera.distortion)
    depth_mm[(depth_mm < camera.near_mm) | (depth_mm > camera.far_mm)] = 0.0
    return np.ascontiguousarray(rotate_depth(depth_mm, camera.rotation_degrees))


def fingerprint(
    folder: str | pathlib.Path, sequences: dict[str, list[FrameFile]], hand: str, described: Description | None = None
) -> str:
    """Changes when the recording does: names, sizes and times of its frames, its text files' content, the hand."""
    digest = hashlib.sha256(hand.encode())
    if described is not None and described.values:
        topics = sorted({frames[0].topic for frames in sequences.values()})
        digest.update(repr((topics, sorted(described.values.items()))).encode())
    for path in sorted({frame.path for names in sequences.values() for frame in names}):
        for part in sorted(path.iterdir()) if path.is_dir() else [path]:
            stat = part.stat()
            digest.update(os.fsencode(part.relative_to(folder)) + f" {stat.st_size} {stat.st_mtime_ns}\n".encode())
    for name in (CAMERA_FILE, "joints.csv"):
        path = beside(pathlib.Path(folder), name)
        digest.update(path.read_bytes() if path.is_file() else b"-")
    return digest.hexdigest()[:16]


def _natural(path: pathlib.PurePath) -> list[list[tuple[int, str]]]:
    """Sorts 9.png before 10.png, folder by folder."""
    return [[(int(run or 0), text) for text, run in re.findall(r"(\D*)(\d*)", part)] for part in path.parts]


def _video_length(path: pathlib.Path) -> int | None:
    """Frames of a video; None for a file that is one frame, or that turns out to be broken when it is read."""
    if path.suffix.lower() not in (".npy", ".npz"):
        return None
    try:
        array = open_array(path)
    except InputError:
        # A cut frame is one of many, and may be left out; an archive is a whole recording.
        if path.suffix.lower() == ".npz":
            raise
        return None
    if len(array.shape) not in (2, 3):
        raise InputError(
            f"{path}: its array has the shape {array.stored}, a video has three axes (frames, height, width)"
        )
    if array.frames == 0:
        raise InputError(f"{path}: its array has the shape {array.stored}, so there is no frame in it")
    return array.frames


class FrameReader:
    """Reads the frames of a recording, one at a time; videos quickly where they are read in order.

    A video stays open. One that has changed since is opened again.
    """

    def __init__(self):
        self._video: VideoReader | None = None
        self._recording: Recording | None = None
        self._opened: tuple | None = None

    def read(self, frame: FrameFile) -> np.ndarray:
        """The counts [H, W] as they stand in the file; InputError where they cannot be read."""
        if frame.index is None:
            counts = depth_files.read_counts(frame.path)
        elif frame.path.suffix.lower() == ".npy":
            counts = open_array(frame.path).read_frame(frame.index)
        elif frame.topic:
            counts = self._recording_of(frame).read(frame.index).counts
        else:
            counts = self._video_of(frame.path).read(frame.index)
        if counts.ndim != 2 or 0 in counts.shape:
            raise InputError(f"{frame.name}: a frame has two axes (height, width), not the shape {counts.shape}")
        return counts

    def close(self) -> None:
        """Closes the video that is open."""
        for opened in (self._video, self._recording):
            if opened is not None:
                opened.close()
        self._video = self._recording = None

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _video_of(self, path: pathlib.Path) -> VideoReader:
        if self._is_other(path):
            self._video = VideoReader(open_array(path))
        return self._video

    def _recording_of(self, frame: FrameFile) -> Recording:
        if self._is_other(frame.path, frame.topic):
            self._recording = open_recording(frame.path, frame.topic)
        return self._recording

    def _is_other(self, path: pathlib.Path, topic: str = "") -> bool:
        """Whether a video is not the one that is open, which is closed then."""
        stat = path.stat() if path.exists() else None
        opened = path, topic, stat and (stat.st_mtime_ns, stat.st_size)
        if opened == self._opened and (self._video or self._recording) is not None:
            return False
        self.close()
        self._opened = opened
        return True


# The one of this process: jobs that read the same recording one after another open it once.
SHARED_READER = FrameReader()
