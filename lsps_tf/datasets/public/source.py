"""Recorded frames as a source of an import: read, centred and cropped by jobs."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from lsps_tf.camera import Camera
from lsps_tf.datasets.frame_sources import Batch
from lsps_tf.datasets.hand_crops import find_and_crop
from lsps_tf.datasets.public.recording import Recording
from lsps_tf.datasets.store import MARGIN, stored_size
from lsps_tf.errors import InputError

READ_BATCH = 8
_LONGEST_REASON = 120


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

    def job(self, positions: range) -> ReadFrames:
        """As of `FrameSource`."""
        recording, rows = self._recording, slice(positions.start, positions.stop)
        unusable = {p: recording.unusable[p] for p in positions if p in recording.unusable}
        columns = {
            "start_mm": recording.start_mm[rows],
            "joints_mm": recording.joints_mm[rows],
            "subject": recording.subjects[rows],
            "frame": recording.numbers[rows],
        }
        paths = {p: recording.path_of(p) for p in positions if p not in unusable}
        return ReadFrames(
            recording.read,
            recording.camera,
            recording.mirrored,
            positions,
            paths,
            unusable,
            columns,
            self._cube_mm,
            self._size,
        )


@dataclasses.dataclass(frozen=True)
class ReadFrames:
    """The job of a batch of recorded frames.

    Attributes:
        read, camera, mirrored: of the `Recording`.
        positions: of the batch.
        paths: of the files, by position.
        unusable: why a frame has no path, by position.
        columns: what is known of the frames, a row per position: start_mm, joints_mm, subject, frame.
        cube_mm: side of the crops' cube.
        size: pixels of a stored crop's side.
    """

    read: Callable[[pathlib.Path], np.ndarray]
    camera: Camera
    mirrored: bool
    positions: range
    paths: dict[int, pathlib.Path]
    unusable: dict[int, str]
    columns: dict[str, np.ndarray]
    cube_mm: float
    size: int

    def __call__(self) -> Batch:
        shape = self.camera.height, self.camera.width
        frames, reasons = read_frames(self.read, list(self.paths.values()), shape)
        unusable = {**self.unusable, **{p: why for p, why in zip(self.paths, reasons) if why}}
        usable = [row for row, position in enumerate(self.positions) if position not in unusable]
        if not usable:
            return Batch({"frame": np.empty(0, np.int64)}, sorted(unusable.items()))
        return Batch(self._rows(frames, usable), sorted(unusable.items()))

    def _rows(self, frames: np.ndarray, usable: list[int]) -> dict[str, np.ndarray]:
        known = {name: column[usable] for name, column in self.columns.items()}
        joints_mm, count = known["joints_mm"], len(usable)
        depth_mm, center_mm = find_and_crop(frames, self.camera, known["start_mm"], self.cube_mm, self.size)
        if self.mirrored:
            depth_mm = depth_mm[:, :, ::-1]
            center_mm, joints_mm = center_mm * [-1.0, 1.0, 1.0], joints_mm * [-1.0, 1.0, 1.0]
        return {
            "depth_mm": depth_mm,
            "joints_mm": joints_mm,
            "center_mm": center_mm,
            "cube_mm": np.full(count, self.cube_mm),
            "extent_mm": np.full(count, self.cube_mm * MARGIN),
            "subject": known["subject"],
            "frame": known["frame"],
        }


def read_frames(
    read: Callable[[pathlib.Path], np.ndarray], paths: Sequence[pathlib.Path], shape: tuple[int, int]
) -> tuple[np.ndarray, list[str]]:
    """Reads frames.

    Returns:
        uint16 [M, H, W] of those that could be read, and per path why it could not, "" where it could.
    """
    frames, reasons = [], []
    for path in paths:
        try:
            frame = read(path)
            if frame.shape != shape:
                size = " x ".join(str(side) for side in frame.shape[::-1])
                raise InputError(f"{path}: its size is {size} pixels, the camera's is {shape[1]} x {shape[0]}")
            if not frame.any():
                raise InputError(f"{path}: no pixel has a reading; copy the file again")
            frames.append(frame)
            reasons.append("")
        except InputError as error:
            reason = str(error)
            reason = reason[len(f"{path}: ") :] if reason.startswith(f"{path}: ") else reason
            reasons.append(reason[:_LONGEST_REASON])
    return np.stack(frames) if frames else np.empty((0, *shape), np.uint16), reasons
