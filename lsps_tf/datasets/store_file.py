"""One HDF5 file of frames: what `store` opens, by itself or as one of several shards.

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
from typing import TYPE_CHECKING

import h5py
import numpy as np

from lsps_tf import skeleton
from lsps_tf.camera import Camera
from lsps_tf.datasets.store_columns import DEPTH_UNIT_MM, FORMAT, VERSION, check_file, column_shapes, first_line
from lsps_tf.errors import InputError
from lsps_tf.files import parse_json

if TYPE_CHECKING:
    from lsps_tf.datasets.store import Store

# For what HDF5 writes beside the frames: chunks of the small columns, and its index of them.
SPARE_BYTES = 1 << 20
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclasses.dataclass(frozen=True)
class StoreInfo:
    """What holds for a whole store."""

    skeleton: skeleton.Skeleton
    camera: Camera
    size: int
    source: dict


class StoreFile:
    """An open file. Use `store.open_store` or `create_store`."""

    def __init__(self, file: h5py.File, path: pathlib.Path):
        self._file = file
        self._columns: dict[tuple[str, str], np.ndarray] = {}
        self.path = path
        attributes = file.attrs
        self.info = StoreInfo(
            skeleton=skeleton.SKELETONS[attributes["skeleton"]],
            camera=Camera(*[float(v) for v in attributes["camera"][:4]], *[int(v) for v in attributes["camera"][4:]]),
            size=int(attributes["size"]),
            source=parse_json(attributes["source"]),
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
        indices = np.asarray(indices, np.int64)
        rows = {name: self.column(split, name)[indices] for name in column_shapes(0) if name != "depth"}
        return {"depth_mm": depth_to_mm(self.read_depth(split, indices)), **rows}

    def read_depth(self, split: str, indices: np.ndarray) -> np.ndarray:
        """The depth of rows, uint16 [N, R, R] in units of DEPTH_UNIT_MM; InputError as of `read`."""
        stored = self._require(split)["depth"]
        depth = np.empty((len(indices), self.info.size, self.info.size), np.uint16)
        with self._read_errors(split):
            for row, index in enumerate(indices):
                stored.read_direct(depth, np.s_[index], np.s_[row])
        return depth

    def column(self, split: str, name: str) -> np.ndarray:
        """One column of a split, whole; kept in memory, so not for `depth`."""
        if (split, name) not in self._columns:
            self._columns[split, name] = self.read_column(split, name)
        return self._columns[split, name]

    def read_column(self, split: str, name: str) -> np.ndarray:
        """The same, not kept."""
        with self._read_errors(split):
            return self._require(split)[name][:]

    def files_of(self, split: str) -> Iterator[tuple[StoreFile, int]]:
        """The files that hold a split, in order, and how many of its frames each: this one."""
        if self.count(split):
            yield self, self.count(split)

    @contextlib.contextmanager
    def _read_errors(self, split: str) -> Iterator[None]:
        try:
            yield
        # h5py has an error of Python's own for each kind of damage.
        except Exception as error:
            raise InputError(
                f"{self.path}: frames of '{split}' cannot be read ({first_line(error)}); check the disk, or bring the "
                "store back"
            ) from error

    def append(self, split: str, rows: dict[str, np.ndarray]) -> None:
        """Adds frames: `depth_mm` [N, R, R] and the other columns, in the units of the store.

        Raises:
            OSError: where the disk has no room for them; nothing is added then.
        """
        group = self._file.require_group(split)
        self._columns.clear()
        values = {name: rows[name] for name in column_shapes(0) if name != "depth"}
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
        for file, count in other.files_of(split):
            self._append_file(split, file, count)

    def _append_file(self, split: str, other: StoreFile, count: int) -> None:
        source, group = other._require(split), self._file.require_group(split)
        self._columns.clear()
        self._check_space(sum(source[name].id.get_storage_size() for name in self._shapes()))
        for name in self._shapes():
            column, start = self._grown(group, name, count)
            if name != "depth":
                column[start:] = source[name][:count]
                continue
            # A frame is a chunk, so nothing has to be decompressed.
            for row in range(count):
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

    def __enter__(self) -> StoreFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _shapes(self) -> dict[str, tuple[type, tuple[int, ...]]]:
        return column_shapes(self.info.skeleton.num_joints, self.info.size)

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


def open_file(path: str | pathlib.Path, mode: str = "r") -> StoreFile:
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
        check_file(file, path)
        return StoreFile(file, path)
    except InputError:
        file.close()
        raise
    except Exception as error:
        file.close()
        raise InputError(f"{path}: the store is damaged ({first_line(error)}); delete it and make it again") from error


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


def create_store(path: str | pathlib.Path, skeleton_name: str, camera: Camera, size: int, source: dict) -> StoreFile:
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
    return StoreFile(file, path)


def depth_to_mm(depth: np.ndarray) -> np.ndarray:
    """Stored depth in mm, float32."""
    return depth.astype(np.float32) * np.float32(DEPTH_UNIT_MM)
