"""The store that every dataset ends in: crops with margin, joints, centres, subjects, in named splits.

A store is one HDF5 file (`store_file`), or a folder of them with an index (`shards`). Both read alike: a frame has the
same number, so that the same seed draws the same batches.
"""

from __future__ import annotations

import contextlib
import pathlib
import shutil
from collections.abc import Iterator

from lsps_tf.datasets.shards import ShardedStore, index_path
from lsps_tf.datasets.store_columns import DEPTH_UNIT_MM, MARGIN, stored_size
from lsps_tf.datasets.store_file import StoreFile, StoreInfo, create_store, open_file
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path, disk_errors

__all__ = [
    "DEPTH_UNIT_MM",
    "MARGIN",
    "SUFFIXES",
    "Store",
    "StoreFile",
    "StoreInfo",
    "create_store",
    "growing_store",
    "is_store",
    "open_store",
    "store_suffix",
    "stored_size",
]

Store = StoreFile | ShardedStore
# What the name of a store ends with: in one file, in shards.
SUFFIXES = FILE, SHARDS = ".h5", ".shards"


def store_suffix(shard_frames: int | None) -> str:
    """What the name of a store ends with, given the frames of a shard; None for a store in one file."""
    return FILE if shard_frames is None else SHARDS


def is_store(path: str | pathlib.Path) -> bool:
    """Whether a store stands at a path, whole or damaged. A folder whose shards are still being made is none."""
    path = pathlib.Path(path)
    return index_path(path).exists() if path.suffix == SHARDS else path.exists()


def open_store(path: str | pathlib.Path, mode: str = "r") -> Store:
    """Opens a store for reading ("r"), or one file for adding frames ("a").

    Raises:
        InputError: where it is missing, cannot be opened, is damaged, no store, or of another version.
    """
    path = pathlib.Path(path)
    if path.suffix == SHARDS or index_path(path).is_file():
        return ShardedStore(path)
    return open_file(path, mode)


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
        with open_file(partial) as growing, open_file(path) as whole:
            return all(growing.count(split) >= count for split, count in whole.splits().items())
    except InputError:
        return False
