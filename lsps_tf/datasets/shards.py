"""A store in shards: a folder of store files, each with a number of frames of one split, and an index of them.

    NAME.shards/
      index.json              what holds for all: skeleton, camera, size, source, and the shards in order
      real-train-00000.h5     frames 0 to N - 1 of "real/train"; links to other disks will do
      real-train-00001.h5     frames N to 2 N - 1, ...

The index is written last. A folder without one is a store that is being made.
"""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from lsps_tf import skeleton
from lsps_tf.camera import Camera
from lsps_tf.datasets.store_columns import column_shapes
from lsps_tf.datasets.store_file import StoreFile, StoreInfo, depth_to_mm, open_file
from lsps_tf.errors import InputError
from lsps_tf.files import parse_json, read_text, write_json

FORMAT = "lsps-shards"
VERSION = 1
# Files that are open at a time; systems allow a process some 1,000.
_OPEN_FILES = 256


def index_path(folder: pathlib.Path) -> pathlib.Path:
    """Where the index of a folder of shards is."""
    return folder / "index.json"


def write_index(
    folder: pathlib.Path,
    info: StoreInfo,
    shard_frames: int,
    shards: dict[str, list[tuple[str, int]]],
) -> None:
    """Writes the index, with which a folder of shards becomes a store; by split the shards' names and frames."""
    camera = info.camera
    values = {
        **{"format": FORMAT, "version": VERSION, "skeleton": info.skeleton.name, "size": info.size},
        "camera": [camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height],
        "source": info.source,
        "shard_frames": shard_frames,
        "splits": {split: [list(shard) for shard in of_split] for split, of_split in shards.items()},
    }
    write_json(index_path(folder), values)


class ShardedStore:
    """A store in shards, open for reading; the same to its readers as `StoreFile`.

    Attributes:
        path: of the folder.
        info: what holds for the whole store.
        shard_frames: how many frames of its split a shard stands for.
    """

    def __init__(self, path: pathlib.Path):
        """Raises: InputError where the index is missing or damaged, or a shard is missing."""
        self.path = path
        index = _read_index(path)
        try:
            fx, fy, cx, cy, width, height = index["camera"]
            self.info = StoreInfo(
                skeleton=skeleton.SKELETONS[index["skeleton"]],
                camera=Camera(float(fx), float(fy), float(cx), float(cy), int(width), int(height)),
                size=int(index["size"]),
                source=dict(index["source"]),
            )
            self.shard_frames = int(index["shard_frames"])
            self._shards = {
                split: [(path / str(name), int(count)) for name, count in shards]
                for split, shards in index["splits"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(path, error) from error
        self._ends = {split: np.cumsum([count for _, count in shards]) for split, shards in self._shards.items()}
        self._open: collections.OrderedDict[pathlib.Path, StoreFile] = collections.OrderedDict()
        self._columns: dict[tuple[str, str], np.ndarray] = {}
        for shards in self._shards.values():
            for file, _ in shards:
                if not file.is_file():
                    raise InputError(
                        f"{file}: this shard of the store is missing; mount its disk or bring it back; or delete "
                        f"{index_path(path).name} and give the command that made the store, which makes the shard again"
                    )

    def splits(self) -> dict[str, int]:
        """Frames per split, in the order of the names, as one file has them."""
        return {split: self.count(split) for split in sorted(self._shards)}

    def count(self, split: str) -> int:
        """Frames in a split, 0 where there is none."""
        return int(self._ends[split][-1]) if self._shards.get(split) else 0

    def read(self, split: str, indices: np.ndarray) -> dict[str, np.ndarray]:
        """As of `StoreFile`; InputError, naming the shard, where one is damaged or gone."""
        indices = np.asarray(indices, np.int64)
        rows = {name: self.column(split, name)[indices] for name in column_shapes(0) if name != "depth"}
        depth = np.empty((len(indices), self.info.size, self.info.size), np.uint16)
        shards = np.searchsorted(self._ends[split], indices, side="right")
        for shard in np.unique(shards):
            mine = np.flatnonzero(shards == shard)
            path, count = self._shards[split][shard]
            first = self._ends[split][shard] - count
            depth[mine] = self._file(split, path, count).read_depth(split, indices[mine] - first)
        return {"depth_mm": depth_to_mm(depth), **rows}

    def column(self, split: str, name: str) -> np.ndarray:
        """One column of a split, whole; kept in memory, so not for `depth`."""
        if split not in self._shards:
            known = ", ".join(self.splits()) or "none"
            raise InputError(f"{self.path}: there is no split '{split}' in this store; it has: {known}")
        if (split, name) not in self._columns:
            parts = [file.read_column(split, name)[:count] for file, count in self.files_of(split)]
            self._columns[split, name] = np.concatenate(parts)
        return self._columns[split, name]

    def files_of(self, split: str) -> Iterator[tuple[StoreFile, int]]:
        """The shards of a split, in order, and how many of its frames each holds."""
        for path, count in self._shards.get(split, ()):
            yield self._file(split, path, count), count

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def __enter__(self) -> ShardedStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _file(self, split: str, path: pathlib.Path, count: int) -> StoreFile:
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        file = open_file(path)
        ours = self.info.skeleton, self.info.size
        # A shard may hold more: a store that grows replaces its last one before the index says so.
        if file.count(split) < count or (file.info.skeleton, file.info.size) != ours:
            file.close()
            raise InputError(
                f"{path}: this is not the shard that {index_path(self.path)} names, with {count} frames of '{split}'; "
                "bring that one back, or make the store again"
            )
        self._open[path] = file
        if len(self._open) > _OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        return file


def _read_index(folder: pathlib.Path) -> dict[str, Any]:
    path = index_path(folder)
    if not path.is_file():
        what = "there is no such store" if not folder.exists() else "its shards are not all made, so it has no index"
        raise InputError(f"{folder}: {what}; check the path, or give the command that makes it again")
    try:
        values = parse_json(read_text(path))
        known = values["format"], values["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the disk and who may read it") from error
    if known != (FORMAT, VERSION):
        raise InputError(f"{path}: version {known[1]} of {known[0]}, this program reads {VERSION} of {FORMAT}")
    return values


def _damaged(folder: pathlib.Path, error: Exception) -> InputError:
    return InputError(
        f"{index_path(folder)}: the index is damaged ({type(error).__name__} {error}); delete it and give the command "
        "that made the store again, which keeps the shards"
    )
