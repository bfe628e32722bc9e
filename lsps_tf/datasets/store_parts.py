"""A store in the making: finished parts in a folder beside it, joined in one step when all are there.

A part is a store of one block of one split. It takes its name when it is whole, and the final store does so too, so a
kill at any moment costs the block in progress and nothing else, and leaves no trace in what is made in the end.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
from collections.abc import Iterator

import numpy as np

from lsps_tf.camera import Camera
from lsps_tf.datasets.store import Store, create_store, open_store
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path


class Parts:
    """The parts of one store, which the caller holds against other processes (`files.locked`).

    Attributes:
        path: of the final store.
        skeleton: name of the joints' layout.
        camera: that the store names.
        size: pixels of a stored crop's side.
        source: what the store is made from; parts of anything else are deleted.
    """

    def __init__(self, path: pathlib.Path, skeleton: str, camera: Camera, size: int, source: dict):
        self.path, self.skeleton, self.camera, self.size, self.source = path, skeleton, camera, size, source
        self._folder = _parts_folder(path)

    def begin(self) -> None:
        """Makes the folder, and empties it of parts of anything else; InputError where it cannot be written."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._start_over_if_other()
        except OSError as error:
            raise InputError(f"{self._folder}: cannot be written ({error.strerror}); choose a --store-dir") from error

    def finished(self, split: str, block: int) -> bool:
        """Whether a block is there, and without unusable frames, which may have been mended since."""
        return self._part_path(split, block).exists() and self._unusable(split, block) == []

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
            split: [found for block in range(count) for found in self._unusable(split, block) or ()]
            for split, count in blocks.items()
        }

    def join(self, blocks: dict[str, int], source: dict) -> Iterator[int]:
        """Makes the store from all parts and deletes them; yields the number of frames joined so far."""
        done = 0
        with atomic_path(self.path) as partial, self._create(partial, source) as store:
            for split, count in blocks.items():
                for block in range(count):
                    with open_store(self._part_path(split, block)) as part:
                        store.append_stored(split, part)
                        done += part.count(split)
                    yield done
        delete_parts(self.path)

    def _create(self, path: pathlib.Path, source: dict) -> Store:
        return create_store(path, self.skeleton, self.camera, self.size, source)

    def _part_path(self, split: str, block: int) -> pathlib.Path:
        return self._folder / f"{split.replace('/', '-')}-{block:05d}.h5"

    def _unusable(self, split: str, block: int) -> list[tuple[int, str]] | None:
        try:
            with open_store(self._part_path(split, block)) as part:
                return [tuple(found) for found in part.info.source["unusable"]]
        except (InputError, KeyError):
            return None

    def _start_over_if_other(self) -> None:
        made_from = self._folder / "source.json"
        text = json.dumps(self.source, sort_keys=True)
        if not made_from.exists() or made_from.read_text(encoding="utf-8") != text:
            for path in self._folder.glob("*.h5"):
                path.unlink()
            made_from.write_text(text, encoding="utf-8")


def delete_parts(path: pathlib.Path) -> None:
    """Deletes the parts of a store that is made; a kill may have left some."""
    shutil.rmtree(_parts_folder(path), ignore_errors=True)


def _parts_folder(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(path.name + ".parts")


class PartWriter:
    """Collects the frames of one block."""

    def __init__(self, split: str, store: Store):
        self._split, self.store = split, store
        self._unusable: list[tuple[int, str]] = []

    def append(self, rows: dict[str, np.ndarray], unusable: list[tuple[int, str]]) -> None:
        """Adds rows of the store, and (position, reason) of frames that gave none."""
        self._unusable += unusable
        if len(rows["frame"]):
            self.store.append(self._split, rows)

    def finish(self) -> None:
        self.store.set_source({"unusable": self._unusable})
