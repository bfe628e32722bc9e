"""Recorded frames as a source of an import: read by worker processes, centred and cropped here."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from lsps_tf.datasets.frame_sources import Batch
from lsps_tf.datasets.hand_crops import find_and_crop
from lsps_tf.datasets.public.recording import Recording
from lsps_tf.datasets.store import MARGIN, stored_size
from lsps_tf.datasets.workers import Pool, read_batch

READ_BATCH = 8


class RecordedSource:
    """Crops of recorded frames."""

    batch = READ_BATCH

    def __init__(self, recording: Recording, cube_mm: float, image_size: int):
        self._recording = recording
        self._cube_mm, self._size = cube_mm, stored_size(image_size)

    def __len__(self) -> int:
        return len(self._recording)

    def digest(self) -> str:
        return self._recording.digest()

    def name_of(self, position: int) -> str:
        return self._recording.name_of(position)

    def batches(self, ranges: Iterable[range], pool: Pool | None) -> Iterator[Batch]:
        ranges = list(ranges)
        tasks = ((self._recording.read, self._paths(positions), self._shape) for positions in ranges)
        run = _in_this_process if pool is None else pool.map
        for positions, (frames, reasons) in zip(ranges, run(read_batch, tasks)):
            known = {p: self._recording.unusable[p] for p in positions if p in self._recording.unusable}
            known.update({p: why for p, why in zip(self._readable(positions), reasons) if why})
            usable = np.array([p for p in positions if p not in known], np.int64)
            yield Batch(self._rows(frames, usable), sorted(known.items()))

    @property
    def _shape(self) -> tuple[int, int]:
        return self._recording.camera.height, self._recording.camera.width

    def _readable(self, positions: range) -> list[int]:
        return [p for p in positions if p not in self._recording.unusable]

    def _paths(self, positions: range) -> list[pathlib.Path]:
        return [self._recording.path_of(p) for p in self._readable(positions)]

    def _rows(self, frames: np.ndarray, positions: np.ndarray) -> dict[str, np.ndarray]:
        recording, count = self._recording, len(positions)
        start_mm, joints_mm = recording.start_mm[positions], recording.joints_mm[positions]
        depth_mm, center_mm = find_and_crop(frames, recording.camera, start_mm, self._cube_mm, self._size)
        if recording.mirrored:
            depth_mm = depth_mm[:, :, ::-1]
            center_mm, joints_mm = center_mm * [-1.0, 1.0, 1.0], joints_mm * [-1.0, 1.0, 1.0]
        return {
            "depth_mm": depth_mm,
            "joints_mm": joints_mm,
            "center_mm": center_mm,
            "cube_mm": np.full(count, self._cube_mm),
            "extent_mm": np.full(count, self._cube_mm * MARGIN),
            "subject": recording.subjects[positions],
            "frame": recording.numbers[positions],
        }


def _in_this_process(function: Callable, tasks: Iterable[tuple]) -> Iterator[Any]:
    return (function(*task) for task in tasks)
