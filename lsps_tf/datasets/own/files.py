"""A recording of one's own depth camera: a folder of frames, `camera.toml` and, where there are labels, `joints.csv`.

    camera.toml   fx, fy, cx, cy (pixels), depth_unit_mm (mm of one count), hand ("right", "left" or "auto"); if wanted
                  near_mm and far_mm (what lies outside is not looked at), width and height (pixels, checked)
    *.png *.tif *.tiff   one frame per file: 16-bit grayscale, or the NYU dataset's RGB encoding (PNG)
    *.npy *.npz          a frame [H, W] or a video [N, H, W] per file; an .npz holds one array, or one named "depth"
    joints.csv    see `lsps_tf.datasets.own.labels`

Frames lie in the folder itself or in folders under it; each folder, and each video, is a sequence, in the order of
the names (numbers in them count as numbers). A frame is called by its path in the folder; in a video "#" and its number
follow.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import pathlib
import re
import sys
import zipfile
import zlib
from typing import Any, BinaryIO

import numpy as np

from lsps_tf import depth_files
from lsps_tf.camera import Camera
from lsps_tf.errors import InputError
from lsps_tf.mirror import HANDS

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
        width, height: of the frames in pixels, 0 where not said.
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

    def camera(self, width: int, height: int) -> Camera:
        """The camera of frames of this size."""
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
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: this is no TOML ({error}); write {_EXAMPLE}") from error
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
        if value not in HAND_SETTINGS:
            raise InputError(f"{path}: hand = {value!r}; choose one of {', '.join(HAND_SETTINGS)}, in quotes")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise InputError(f"{path}: {name} = {value!r} is no number; write it without quotes")
    return float(value) if name not in ("width", "height") else int(value)


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
        InputError: where there is no such folder, it holds no frames, or a video cannot be opened.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; give the folder that holds {CAMERA_FILE} and the frames")
    sequences: dict[str, list[FrameFile]] = {}
    for path in sorted(folder.rglob("*"), key=lambda path: _natural(path.relative_to(folder))):
        if path.suffix.lower() not in ENDINGS or _not_recorded(path.relative_to(folder)) or not path.is_file():
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


def to_mm(counts: np.ndarray, camera: CameraFile, name: str) -> np.ndarray:
    """Counts to float32 mm, 0 = no reading or outside near_mm to far_mm; InputError for values that are no depths."""
    depth_mm = depth_files.counts_to_mm(counts, camera.depth_unit_mm, name)
    depth_mm[(depth_mm < camera.near_mm) | (depth_mm > camera.far_mm)] = 0.0
    return depth_mm


def fingerprint(folder: str | pathlib.Path, sequences: dict[str, list[FrameFile]], hand: str) -> str:
    """Changes when the recording does: names, sizes and times of its frames, its text files' content, the hand."""
    digest = hashlib.sha256(hand.encode())
    for path in sorted({frame.path for names in sequences.values() for frame in names}):
        stat = path.stat()
        digest.update(f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    for name in (CAMERA_FILE, "joints.csv"):
        path = pathlib.Path(folder) / name
        digest.update(path.read_bytes() if path.is_file() else b"-")
    return digest.hexdigest()[:16]


def _not_recorded(path: pathlib.PurePath) -> bool:
    """Hidden files, and what an import that was stopped keeps beside the store, which may lie in the recording."""
    return path.name.startswith(".") or any(part.endswith((".h5.hands", ".h5.parts")) for part in path.parts[:-1])


def _natural(path: pathlib.PurePath) -> list[list[tuple[int, str]]]:
    """Sorts 9.png before 10.png, folder by folder."""
    return [[(int(run or 0), text) for text, run in re.findall(r"(\D*)(\d*)", part)] for part in path.parts]


def _video_length(path: pathlib.Path) -> int | None:
    """Frames of a video; None for a file that is one frame, or that turns out to be broken when it is read."""
    if path.suffix.lower() == ".npz":
        shape, _ = _open_npz(path)
        return shape[0] if len(shape) == 3 else _no_video(path, shape)
    if path.suffix.lower() == ".npy":
        try:
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
        except (ValueError, EOFError, OSError):
            return None
        return shape[0] if len(shape) == 3 else None
    return None


def _no_video(path: pathlib.Path, shape: tuple[int, ...]) -> int:
    raise InputError(f"{path}: its array has the shape {shape}, a video has three axes (frames, height, width)")


def _open_npz(path: pathlib.Path) -> tuple[tuple[int, ...], str]:
    """Shape and member name of the video in an .npz."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".npy")]
            chosen = [name for name in members if name == "depth.npy"] or members
            if len(chosen) != 1:
                raise InputError(f"{path}: it holds {len(members)} arrays; save one, or name the video 'depth'")
            with archive.open(chosen[0]) as file:
                return _npy_header(file)[0], chosen[0]
    except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: the archive is truncated or damaged; save it again, or remove it") from error


def _npy_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if fortran or dtype.kind not in "uif":
        raise ValueError("an array in C order of whole numbers or floats is needed")
    return shape, dtype


class FrameReader:
    """Reads the frames of a recording, one at a time; videos quickly where they are read in order.

    A compressed video can only be read from its beginning on, so going back starts there again. Memory holds a frame.
    """

    def __init__(self):
        self._path: pathlib.Path | None = None
        self._archive: zipfile.ZipFile | None = None

    def read(self, frame: FrameFile) -> np.ndarray:
        """The counts [H, W] as they stand in the file; InputError where they cannot be read."""
        if frame.index is None:
            counts = depth_files.read_counts(frame.path)
        elif frame.path.suffix.lower() == ".npy":
            counts = np.array(np.load(frame.path, mmap_mode="r", allow_pickle=False)[frame.index])
        else:
            counts = self._read_archive(frame)
        if counts.ndim != 2 or 0 in counts.shape:
            raise InputError(f"{frame.name}: a frame has two axes (height, width), not the shape {counts.shape}")
        return counts

    def close(self) -> None:
        """Closes the video that is open."""
        if self._archive is not None:
            self._archive.close()
        self._path = self._archive = None

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_archive(self, frame: FrameFile) -> np.ndarray:
        try:
            if self._path != frame.path or frame.index < self._next:
                self._open(frame.path)
            for _ in range(frame.index - self._next + 1):
                content = self._file.read(self._size)
                self._next += 1
            if len(content) == self._size:
                return np.frombuffer(content, self._dtype).reshape(self._shape)
        except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError):
            self.close()
        raise InputError(f"{frame.name}: the archive is truncated or damaged; save it again")

    def _open(self, path: pathlib.Path) -> None:
        self.close()
        _, member = _open_npz(path)
        self._archive = zipfile.ZipFile(path)
        self._file = self._archive.open(member)
        shape, self._dtype = _npy_header(self._file)
        self._path, self._next, self._shape = path, 0, shape[1:]
        self._size = int(np.prod(self._shape)) * self._dtype.itemsize
