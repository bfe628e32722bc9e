"""A store in the making: finished parts in a folder, joined in one step when all are there, or named by an index.

A part is a store of one block of one split. It takes its name when it is whole, and the final store does so too, so a
kill at any moment costs the block in progress and nothing else, and leaves no trace in what is made in the end. The
parts of a store in shards are its shards.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
from collections.abc import Iterator

import numpy as np

from lsps_tf import skeleton
from lsps_tf.camera import Camera
from lsps_tf.datasets.shards import index_path, write_index
from lsps_tf.datasets.store_file import StoreFile, StoreInfo, create_store, open_file
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path, disk_errors

# Frames of a part that is joined: few, since a stop costs those in progress.
BLOCK = 256


class Parts:
    """The parts of one store, which the caller holds against other processes (`files.locked`).

    Attributes:
        path: of the final store.
        block: frames of its split that a part stands for.
    """

    def __init__(self, path: pathlib.Path, info: StoreInfo, shard_frames: int | None = None):
        """Args: path: of the final store. info: what it is made from. shard_frames: None for a store in one file."""
        self.path, self._info, self._shard_frames = path, info, shard_frames
        self.block = BLOCK if shard_frames is None else shard_frames
        self._folder = _parts_folder(path) if shard_frames is None else path

    def begin(self) -> None:
        """Makes the folder, and empties it of parts of anything else; InputError where it cannot be written."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._start_over_if_other()
        except OSError as error:
            raise InputError(f"{self._folder}: cannot be written ({error.strerror}); choose a --store-dir") from error

    def blocks(self, frames: int) -> int:
        """How many parts hold so many frames."""
        return -(-frames // self.block)

    def finished(self, split: str, block: int, frames: int) -> bool:
        """Whether a block of so many frames is there, and without unusable ones, which may have been mended since."""
        return self._part_path(split, block).exists() and self._found(split, block) == (frames, [])

    @contextlib.contextmanager
    def writing(self, split: str, block: int) -> Iterator[PartWriter]:
        """Gives the block's writer; the part is there when the context ends well."""
        with atomic_path(self._part_path(split, block)) as partial:
            writer = PartWriter(split, self._create(partial, {}))
            try:
                yield writer
                writer.finish()
            except OSError as error:
                # HDF5 says what the system said in its text alone.
                if "No space left" in str(error):
                    raise InputError(f"{self.path}: the disk is full; free some space and start again") from error
                raise
            finally:
                writer.store.close()

    def unusable(self, blocks: dict[str, int]) -> dict[str, list[tuple[int, str]]]:
        """Positions and reasons of unusable frames by split, given how many blocks each has."""
        return {
            split: [found for block in range(count) for found in self._found(split, block)[1]]
            for split, count in blocks.items()
        }

    def finish(self, blocks: dict[str, int], source: dict) -> Iterator[int]:
        """Makes the store of all parts; yields the number of frames in it so far."""
        return self._join(blocks, source) if self._shard_frames is None else self._name(blocks, source)

    def _join(self, blocks: dict[str, int], source: dict) -> Iterator[int]:
        done = 0
        with atomic_path(self.path) as partial, self._create(partial, source) as store:
            for split, count in blocks.items():
                for block in range(count):
                    with open_file(self._part_path(split, block)) as part:
                        store.append_stored(split, part)
                        done += part.count(split)
                    yield done
        delete_parts(self.path)

    def _name(self, blocks: dict[str, int], source: dict) -> Iterator[int]:
        done, shards = 0, {}
        for split, count in blocks.items():
            paths = [self._part_path(split, block) for block in range(count)]
            counts = [self._found(split, block)[0] for block in range(count)]
            shards[split] = [(path.name, frames) for path, frames in zip(paths, counts) if frames]
            done += sum(counts)
            yield done
        info = StoreInfo(self._info.skeleton, self._info.camera, self._info.size, source)
        with disk_errors(self.path):
            write_index(self.path, info, self._shard_frames, shards)

    def _create(self, path: pathlib.Path, source: dict) -> StoreFile:
        return create_store(path, self._info.skeleton.name, self._info.camera, self._info.size, source)

    def _part_path(self, split: str, block: int) -> pathlib.Path:
        return self._folder / f"{split.replace('/', '-')}-{block:05d}.h5"

    def _found(self, split: str, block: int) -> tuple[int, list[tuple[int, str]]]:
        """A part's frames, and what was unusable; (0, []) of one that is damaged."""
        try:
            with open_file(self._part_path(split, block)) as part:
                return part.count(split), [tuple(found) for found in part.info.source["unusable"]]
        except (InputError, KeyError):
            return 0, []

    def _start_over_if_other(self) -> None:
        made_from = self._folder / "source.json"
        text = json.dumps({**self._info.source, "block": self.block}, sort_keys=True)
        if made_from.exists() and made_from.read_text(encoding="utf-8") == text:
            return
        if index_path(self._folder).exists():
            raise InputError(
                f"{self.path}: this store was made with other options, such as another --shard-frames; delete it, or "
                "give the same"
            )
        for path in self._folder.glob("*.h5"):
            path.unlink()
        made_from.write_text(text, encoding="utf-8")


def info_of(skeleton_name: str, camera: Camera, size: int, source: dict) -> StoreInfo:
    """What holds for a store that is to be made."""
    return StoreInfo(skeleton.SKELETONS[skeleton_name], camera, size, source)


def delete_parts(path: pathlib.Path) -> None:
    """Deletes the parts of a store that is made; a kill may have left some."""
    shutil.rmtree(_parts_folder(path), ignore_errors=True)


def _parts_folder(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(path.name + ".parts")


class PartWriter:
    """Collects the frames of one block."""

    def __init__(self, split: str, store: StoreFile):
        self._split, self.store = split, store
        self._unusable: list[tuple[int, str]] = []

    def append(self, rows: dict[str, np.ndarray], unusable: list[tuple[int, str]]) -> None:
        """Adds rows of the store, and (position, reason) of frames that gave none."""
        self._unusable += unusable
        if len(rows["frame"]):
            self.store.append(self._split, rows)

    def finish(self) -> None:
        self.store.set_source({"unusable": self._unusable})
