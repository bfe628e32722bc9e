"""The HDF5 store that every dataset ends in: crops with margin, joints, centres, subjects, in named splits.

Layout, version 1. Root attributes: `format` ("lsps-store"), `version`, `skeleton`, `camera` (fx, fy, cx, cy, width,
height), `source` (JSON: what made it). A split is a group named "DOMAIN/PART", DOMAIN being "synthetic" or "real" and
PART "train", "validation" or "test", with equally long datasets:

    depth      uint16 [N, R, R]  in units of DEPTH_UNIT_MM, 0 = no reading; R pixels show `extent_mm`
    joints_mm  float32 [N, J, 3] camera space; NaN where a frame has no label
    center_mm  float32 [N, 3]    of the crop, camera space
    cube_mm    float32 [N]       side of the cube that a network sees
    extent_mm  float32 [N]       side of the square that the stored crop shows: cube_mm with margin
    subject    int32 [N]
    frame      int64 [N]         the frame's number in its source

The margin lets a crop turn about its axis and move without running out of pixels.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import shutil
from collections.abc import Iterator

import h5py
import numpy as np

from lsps_tf import skeleton
from lsps_tf.camera import Camera
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path, disk_errors

FORMAT = "lsps-store"
VERSION = 1
DEPTH_UNIT_MM = 0.1
MARGIN = 1.5
# For what HDF5 writes beside the frames: chunks of the small columns, and its index of them.
SPARE_BYTES = 1 << 20
DOMAINS = ("synthetic", "real")
# No crop is larger; a number that says so is damaged.
_LARGEST_SIZE = 4096
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclasses.dataclass(frozen=True)
class StoreInfo:
    """What holds for a whole store."""

    skeleton: skeleton.Skeleton
    camera: Camera
    size: int
    source: dict


def stored_size(image_size: int) -> int:
    """Pixels of a stored crop's side for a network's image size; the pixel pitch is the same."""
    return int(round(image_size * MARGIN / 2)) * 2


class Store:
    """An open store. Use `open_store` or `create_store`."""

    def __init__(self, file: h5py.File, path: pathlib.Path):
        self._file = file
        self._columns: dict[tuple[str, str], np.ndarray] = {}
        self.path = path
        attributes = file.attrs
        self.info = StoreInfo(
            skeleton=skeleton.SKELETONS[attributes["skeleton"]],
            camera=Camera(*[float(v) for v in attributes["camera"][:4]], *[int(v) for v in attributes["camera"][4:]]),
            size=int(attributes["size"]),
            source=json.loads(attributes["source"]),
        )

    def splits(self) -> dict[str, int]:
        """Frames per split."""
        return {
            f"{domain}/{part}": len(group["depth"])
            for domain, parts in self._file.items()
            for part, group in parts.items()
        }

    def count(self, split: str) -> int:
        """Frames in a split, 0 where there is none."""
        return len(self._file[split]["depth"]) if split in self._file else 0

    def has_all_frames(self) -> bool:
        """Whether the depth of every frame was written. A kill while frames are added may leave some without."""
        return all(
            group["depth"].id.get_num_chunks() == len(group["depth"])
            for parts in self._file.values()
            for group in parts.values()
        )

    def read(self, split: str, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Rows of a split in the order asked for; depth as float32 `depth_mm` [N, R, R], the rest as stored.

        Raises:
            InputError: where the file is damaged, or its disk is gone.
        """
        group = self._require(split)
        indices = np.asarray(indices, np.int64)
        depth = np.empty((len(indices), self.info.size, self.info.size), np.uint16)
        with self._read_errors(split):
            stored = group["depth"]
            for row, index in enumerate(indices):
                stored.read_direct(depth, np.s_[index], np.s_[row])
        rows = {name: self.column(split, name)[indices] for name in _column_shapes(0) if name != "depth"}
        return {"depth_mm": depth.astype(np.float32) * np.float32(DEPTH_UNIT_MM), **rows}

    def column(self, split: str, name: str) -> np.ndarray:
        """One column of a split, whole; kept in memory, so not for `depth`."""
        if (split, name) not in self._columns:
            with self._read_errors(split):
                self._columns[split, name] = self._require(split)[name][:]
        return self._columns[split, name]

    @contextlib.contextmanager
    def _read_errors(self, split: str) -> Iterator[None]:
        try:
            yield
        # h5py has an error of Python's own for each kind of damage.
        except Exception as error:
            raise InputError(
                f"{self.path}: frames of '{split}' cannot be read ({_reason(error)}); check the disk, or bring the "
                "store back"
            ) from error

    def append(self, split: str, rows: dict[str, np.ndarray]) -> None:
        """Adds frames: `depth_mm` [N, R, R] and the other columns, in the units of the store.

        Raises:
            OSError: where the disk has no room for them; nothing is added then.
        """
        group = self._file.require_group(split)
        self._columns.clear()
        values = {name: rows[name] for name in _column_shapes(0) if name != "depth"}
        values["depth"] = np.clip(np.rint(rows["depth_mm"] / DEPTH_UNIT_MM), 0, 65535)
        shapes = self._shapes()
        self._check_space(sum(np.dtype(dtype).itemsize * np.size(values[name]) for name, (dtype, _) in shapes.items()))
        for name, (dtype, shape) in shapes.items():
            value = np.asarray(values[name])
            if value.shape[1:] != shape:
                raise ValueError(f"column {name} of {split} has rows of shape {value.shape[1:]}, not {shape}")
            column, start = self._grown(group, name, len(value))
            column[start:] = value.astype(dtype)

    def append_stored(self, split: str, other: Store) -> None:
        """Adds the frames that another store of the same skeleton and size has in a split, as they are stored there."""
        if not other.count(split):
            return
        source, group = other._require(split), self._file.require_group(split)
        self._columns.clear()
        self._check_space(sum(source[name].id.get_storage_size() for name in self._shapes()))
        for name in self._shapes():
            column, start = self._grown(group, name, len(source[name]))
            if name != "depth":
                column[start:] = source[name][:]
                continue
            # A frame is a chunk, so nothing has to be decompressed.
            for row in range(len(source[name])):
                mask, chunk = source[name].id.read_direct_chunk((row, 0, 0))
                column.id.write_direct_chunk((start + row, 0, 0), chunk, mask)

    def set_source(self, source: dict) -> None:
        """Changes what the store says of its making."""
        self._file.attrs["source"] = json.dumps(source, sort_keys=True)
        self.info = dataclasses.replace(self.info, source=source)

    def _check_space(self, size: int) -> None:
        # HDF5 that runs into a full disk may bring the process down, and the file with it.
        if shutil.disk_usage(self.path.parent).free < size + SPARE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _shapes(self) -> dict[str, tuple[type, tuple[int, ...]]]:
        return _column_shapes(self.info.skeleton.num_joints, self.info.size)

    def _grown(self, group: h5py.Group, name: str, count: int) -> tuple[h5py.Dataset, int]:
        """A column of a split with room for `count` more rows, made where it is missing, and where they start."""
        if name not in group:
            dtype, shape = self._shapes()[name]
            chunk = (1, *shape) if name == "depth" else (1024, *shape)
            options = {"compression": "lzf", "shuffle": True} if name == "depth" else {}
            group.create_dataset(name, (0, *shape), dtype, maxshape=(None, *shape), chunks=chunk, **options)
        column = group[name]
        start = len(column)
        column.resize(start + count, axis=0)
        return column, start

    def _require(self, split: str) -> h5py.Group:
        if split not in self._file:
            known = ", ".join(self.splits()) or "none"
            raise InputError(f"{self.path}: there is no split '{split}' in this store; it has: {known}")
        return self._file[split]


def open_store(path: str | pathlib.Path, mode: str = "r") -> Store:
    """Opens a store for reading ("r") or for adding frames ("a").

    Raises:
        InputError: where the file is missing, cannot be opened, is no HDF5, cut short, no store, or of another version.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such store; check the path, or make one with --dataset sim")
    try:
        file = h5py.File(path, mode)
    except OSError as error:
        raise InputError(f"{path}: {_why_not_open(path, error)}") from error
    try:
        return Store(_checked(file, path), path)
    except InputError:
        file.close()
        raise
    except Exception as error:
        file.close()
        raise InputError(f"{path}: the store is damaged ({_reason(error)}); delete it and make it again") from error


def _why_not_open(path: pathlib.Path, error: OSError) -> str:
    """What is wrong with a store that HDF5 cannot open, and what to do. Only a damaged one is to be deleted."""
    if isinstance(error, BlockingIOError):
        return "another process writes this store at the moment; wait for it"
    if error.errno == errno.ENOLCK:
        return "the disk has no file locks; set HDF5_USE_FILE_LOCKING=FALSE, or copy the store to another disk"
    try:
        with path.open("rb") as file:
            is_hdf5 = file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE
    except OSError as reason:
        return f"the store cannot be read ({reason.strerror}); check the disk and who may read it"
    return f"the store is {'cut short' if is_hdf5 else 'no HDF5 file'} and cannot be read; delete it and make it again"


def _checked(file: h5py.File, path: pathlib.Path) -> h5py.File:
    attributes = file.attrs
    if attributes.get("format") != FORMAT:
        raise InputError(f"{path}: this HDF5 file is no LSPS store; give one that this program wrote")
    if attributes.get("version") != VERSION:
        raise InputError(
            f"{path}: the store has version {attributes.get('version')}, this program reads version {VERSION}; "
            "delete it and make it again"
        )
    for name in ("skeleton", "camera", "size", "source"):
        if name not in attributes:
            raise InputError(f"{path}: the store lacks its attribute '{name}'; delete it and make it again")
    for domain, parts in file.items():
        for part, group in parts.items():
            _check_columns(path, f"{domain}/{part}", group, attributes)
    return file


def _check_columns(path: pathlib.Path, split: str, group: h5py.Group, attributes: h5py.AttributeManager) -> None:
    """InputError where a split's columns are not those of its frames, or say that they hold more than they do.

    HDF5 gives zeros for what was never written, as many as a damaged number says.
    """
    size, joints = int(attributes["size"]), skeleton.SKELETONS[attributes["skeleton"]].num_joints
    shapes = _column_shapes(joints, size)
    counts = {len(column) for column in group.values()}
    if len(counts) != 1 or set(group) != set(shapes) or not 0 < size <= _LARGEST_SIZE:
        raise InputError(f"{path}: the columns of split '{split}' do not match; delete the store and make it again")
    for name, (dtype, shape) in shapes.items():
        column = group[name]
        if column.shape[1:] != shape or column.dtype != dtype:
            raise InputError(
                f"{path}: '{split}/{name}' has the shape {column.shape}; delete the store and make it again"
            )
        if name != "depth" and column.id.get_storage_size() < column.nbytes:
            raise InputError(f"{path}: '{split}/{name}' is not whole; delete the store and make it again")


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def create_store(path: str | pathlib.Path, skeleton_name: str, camera: Camera, size: int, source: dict) -> Store:
    """Makes an empty store at `path` (its folder too) and opens it for adding frames."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = h5py.File(path, "w")
    file.attrs["format"] = FORMAT
    file.attrs["version"] = VERSION
    file.attrs["skeleton"] = skeleton_name
    file.attrs["camera"] = [camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height]
    file.attrs["size"] = size
    file.attrs["source"] = json.dumps(source, sort_keys=True)
    return Store(file, path)


@contextlib.contextmanager
def growing_store(path: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives the `.partial` path to write to; it takes the final name only when all went well.

    A copy of an existing store is written to, so that what stands under the final name is always there and whole: a
    training may read it. A partial store that a stop left behind goes on. The caller holds the store (`files.locked`).

    Raises:
        InputError: where the disk is full or the folder cannot be written.
    """
    path = pathlib.Path(path)
    partial = path.with_suffix(path.suffix + ".partial")
    with disk_errors(path):
        if path.exists() and not _holds_more(partial, path):
            with atomic_path(partial) as copy:
                shutil.copyfile(path, copy)
        yield partial
        partial.replace(path)


def _holds_more(partial: pathlib.Path, path: pathlib.Path) -> bool:
    """Whether a partial store has all that the store has, and more."""
    try:
        with open_store(partial) as growing, open_store(path) as whole:
            return all(growing.count(split) >= count for split, count in whole.splits().items())
    except InputError:
        return False


def _column_shapes(num_joints: int, size: int = 0) -> dict[str, tuple[type, tuple[int, ...]]]:
    return {
        "depth": (np.uint16, (size, size)),
        "joints_mm": (np.float32, (num_joints, 3)),
        "center_mm": (np.float32, (3,)),
        "cube_mm": (np.float32, ()),
        "extent_mm": (np.float32, ()),
        "subject": (np.int32, ()),
        "frame": (np.int64, ()),
    }
