"""A recording of one's own depth camera: a folder of frames, `camera.toml` and, where there are labels, `joints.csv`.

    camera.toml   fx, fy, cx, cy (pixels), depth_unit_mm (mm of one count), hand ("right", "left" or "auto"); if wanted
                  near_mm and far_mm (what lies outside is not looked at), width and height (pixels, checked),
                  rotation_degrees (0, 90, 180 or 270: how far clockwise the frames are turned to stand upright)
    *.png *.tif *.tiff   one frame per file: 16-bit grayscale, or the NYU dataset's RGB encoding (PNG)
    *.npy *.npz          a frame [H, W] or a video [N, H, W] per file (see `lsps_tf.array_files`)
    joints.csv    see `lsps_tf.datasets.own.labels`

Frames lie in the folder itself or in folders under it, links included; each folder, and each video, is a sequence, in
the order of the names (numbers in them count as numbers). A frame is called by its path in the folder; in a video "#"
and its number follow. Hidden files and folders, and those that systems keep for trash and thumbnails, are not a part.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import os
import pathlib
import re
import sys
from typing import Any

import numpy as np

from lsps_tf import depth_files
from lsps_tf.array_files import VideoReader, open_array
from lsps_tf.camera import Camera
from lsps_tf.datasets.own.folders import list_files
from lsps_tf.errors import InputError
from lsps_tf.files import read_text
from lsps_tf.mirror import HANDS
from lsps_tf.rotation import ROTATIONS, rotate_depth

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CAMERA_FILE = "camera.toml"
HAND_SETTINGS = (*HANDS, "auto")
ENDINGS = (".png", ".tif", ".tiff", ".npy", ".npz")
_EXAMPLE = "fx, fy, cx, cy in pixels, depth_unit_mm and hand (docs/data.md has an example)"


@dataclasses.dataclass(frozen=True)
class CameraFile:
    """What `camera.toml` says.

    Attributes:
        fx, fy, cx, cy: intrinsics in pixels, pixel centres at integers.
        depth_unit_mm: mm that one count stands for.
        hand: "right", "left" or "auto".
        near_mm, far_mm: readings outside are not looked at.
        width, height: of the frames in pixels as they are recorded, 0 where not said.
        rotation_degrees: how far clockwise the frames are turned to stand upright, one of `rotation.ROTATIONS`.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    depth_unit_mm: float
    hand: str
    near_mm: float = 0.0
    far_mm: float = 10_000.0
    width: int = 0
    height: int = 0
    rotation_degrees: int = 0

    def camera(self, width: int, height: int) -> Camera:
        """The camera of frames of this size, as they are recorded."""
        return Camera(self.fx, self.fy, self.cx, self.cy, width, height)


@dataclasses.dataclass(frozen=True)
class FrameFile:
    """A frame in a file: its name, the file, and its place in a video (None: the file holds it alone)."""

    name: str
    path: pathlib.Path
    index: int | None = None


def read_camera_file(folder: str | pathlib.Path) -> CameraFile:
    """Reads and checks `camera.toml` of a folder.

    Raises:
        InputError: where it is missing, no TOML, lacks a key, has an unknown one (the nearest known one is named), or
            holds a value of the wrong type or without meaning.
    """
    path = pathlib.Path(folder) / CAMERA_FILE
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; write one with {_EXAMPLE}")
    try:
        values = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise InputError(f"{path}: this is no TOML ({error}); write {_EXAMPLE}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check who may read it") from error
    fields = {field.name: field for field in dataclasses.fields(CameraFile)}
    for name in values:
        if name not in fields:
            nearest = difflib.get_close_matches(name, fields, n=1, cutoff=0.0)[0]
            raise InputError(f"{path}: unknown key '{name}'; the nearest one is '{nearest}'")
    missing = [name for name, field in fields.items() if field.default is dataclasses.MISSING and name not in values]
    if missing:
        raise InputError(
            f"{path}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; it needs {_EXAMPLE}"
        )
    return _checked(CameraFile(**{name: _typed(path, name, value) for name, value in values.items()}), path)


def _typed(path: pathlib.Path, name: str, value: Any) -> Any:
    if name == "hand":
        value = value.strip() if isinstance(value, str) else value
        if value not in HAND_SETTINGS:
            raise InputError(f"{path}: hand = {value!r}; choose one of {', '.join(HAND_SETTINGS)}, in quotes")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise InputError(f"{path}: {name} = {value!r} is no number; write it without quotes")
    if name == "rotation_degrees" and value not in ROTATIONS:
        raise InputError(f"{path}: rotation_degrees = {value:g}; choose one of {', '.join(map(str, ROTATIONS))}")
    return float(value) if name not in ("width", "height", "rotation_degrees") else int(value)


def _checked(camera: CameraFile, path: pathlib.Path) -> CameraFile:
    for name in ("fx", "fy", "depth_unit_mm"):
        if getattr(camera, name) <= 0:
            what = "mm that one count stands for" if name == "depth_unit_mm" else "focal length in pixels"
            raise InputError(f"{path}: {name} = {getattr(camera, name):g} must be more than 0; it is the {what}")
    if not 0 <= camera.near_mm < camera.far_mm:
        raise InputError(
            f"{path}: near_mm = {camera.near_mm:g} and far_mm = {camera.far_mm:g} hold nothing between them; "
            "near_mm must be the smaller one"
        )
    if camera.width < 0 or camera.height < 0:
        raise InputError(f"{path}: width = {camera.width} and height = {camera.height} must be the frames' pixels")
    return camera


def list_sequences(folder: str | pathlib.Path) -> dict[str, list[FrameFile]]:
    """Every frame of a folder by sequence ("." for the folder itself), in order.

    Raises:
        InputError: where there is no such folder, it holds no frames, a link in it leads nowhere, a folder in it cannot
            be read, or a video cannot be opened.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; give the folder that holds {CAMERA_FILE} and the frames")
    sequences: dict[str, list[FrameFile]] = {}
    for path in sorted(list_files(folder), key=lambda path: _natural(path.relative_to(folder))):
        if path.suffix.lower() not in ENDINGS:
            continue
        name = path.relative_to(folder).as_posix()
        count = _video_length(path)
        if count is None:
            sequences.setdefault(path.parent.relative_to(folder).as_posix(), []).append(FrameFile(name, path))
        else:
            sequences[name] = [FrameFile(f"{name}#{index}", path, index) for index in range(count)]
    if not sequences:
        raise InputError(f"{folder}: there are no frames; record some as {', '.join(ENDINGS)} files")
    return sequences


def to_mm(counts: np.ndarray, camera: CameraFile) -> np.ndarray:
    """Counts as they are recorded to an upright frame, float32 mm, 0 = no reading or outside near_mm to far_mm."""
    depth_mm = depth_files.counts_to_mm(counts, camera.depth_unit_mm)
    depth_mm[(depth_mm < camera.near_mm) | (depth_mm > camera.far_mm)] = 0.0
    return np.ascontiguousarray(rotate_depth(depth_mm, camera.rotation_degrees))


def fingerprint(folder: str | pathlib.Path, sequences: dict[str, list[FrameFile]], hand: str) -> str:
    """Changes when the recording does: names, sizes and times of its frames, its text files' content, the hand."""
    digest = hashlib.sha256(hand.encode())
    for path in sorted({frame.path for names in sequences.values() for frame in names}):
        stat = path.stat()
        digest.update(os.fsencode(path.relative_to(folder)) + f" {stat.st_size} {stat.st_mtime_ns}\n".encode())
    for name in (CAMERA_FILE, "joints.csv"):
        path = pathlib.Path(folder) / name
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
    """Reads the frames of a recording, one at a time; videos quickly where they are read in order."""

    def __init__(self):
        self._video: VideoReader | None = None

    def read(self, frame: FrameFile) -> np.ndarray:
        """The counts [H, W] as they stand in the file; InputError where they cannot be read."""
        if frame.index is None:
            counts = depth_files.read_counts(frame.path)
        elif frame.path.suffix.lower() == ".npy":
            counts = open_array(frame.path).read_frame(frame.index)
        else:
            counts = self._video_of(frame.path).read(frame.index)
        if counts.ndim != 2 or 0 in counts.shape:
            raise InputError(f"{frame.name}: a frame has two axes (height, width), not the shape {counts.shape}")
        return counts

    def close(self) -> None:
        """Closes the video that is open."""
        if self._video is not None:
            self._video.close()
        self._video = None

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _video_of(self, path: pathlib.Path) -> VideoReader:
        if self._video is None or self._video.array.path != path:
            self.close()
            self._video = VideoReader(open_array(path))
        return self._video
