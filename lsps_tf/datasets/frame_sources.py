"""Where an import's frames come from: recorded files or the simulator, as batches of a store's rows.

The centre of a recorded hand is the method's ("a fixed-size 3d cube centered at the center of the hand", section 5):
from a start near the hand, the centre of mass without the forearm, found by the same function that centres what a
trained model sees.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from lsps_tf import crop, hand_finding
from lsps_tf.camera import Camera
from lsps_tf.datasets import simulated
from lsps_tf.datasets.readers import Pool, read_batch
from lsps_tf.datasets.recorded import Recording
from lsps_tf.datasets.store import MARGIN, stored_size

READ_BATCH = 16


class FrameSource(Protocol):
    """What a split is imported from: numbered positions, each a frame."""

    batch: int

    def __len__(self) -> int: ...

    def digest(self) -> str: ...

    def name_of(self, position: int) -> str: ...

    def batches(self, ranges: Iterable[range], pool: Pool | None) -> Iterator[Batch]:
        """The frames of ranges of at most `batch` positions, a batch per range, in order."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Rows of a store (its columns), and (position, reason) of frames that gave none."""

    rows: dict[str, np.ndarray]
    unusable: list[tuple[int, str]]


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


class SimulatedSource:
    """The first `count` frames of a split of the built-in simulator."""

    batch = simulated.BATCH

    def __init__(self, simulation: simulated.Simulation, split: str, count: int):
        self._simulation, self._split, self._count = simulation, split, count

    def __len__(self) -> int:
        return self._count

    def digest(self) -> str:
        return repr((self._simulation.source, self._split))

    def name_of(self, position: int) -> str:
        return f"simulated frame {position}"

    def batches(self, ranges: Iterable[range], pool: Pool | None) -> Iterator[Batch]:
        simulator = simulated.Simulator(self._simulation, self._split)
        for positions in ranges:
            rows = simulator.batch(positions.start // self.batch)
            yield Batch({name: value[: len(positions)] for name, value in rows.items()}, [])


def find_and_crop(
    frames_mm: np.ndarray, camera: Camera, start_mm: np.ndarray, cube_mm: float, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Refines the hands' centres and cuts the crops that a store keeps.

    Args:
        frames_mm: [B, H, W] depth, 0 = no reading.
        camera: that took them.
        start_mm: [B, 3] camera space, within a hand's reach of the hands.
        cube_mm: side of the cube.
        size: pixels of a stored crop's side, which shows the cube with its margin.

    Returns:
        depth_mm [B, size, size] and center_mm [B, 3].
    """
    # On the CPU, so that a store does not depend on where it was made.
    with tf.device("CPU"):
        cropped = _crop_function(size)(frames_mm, camera.intrinsics, np.float32(start_mm), np.float32(cube_mm))
    return tuple(value.numpy() for value in cropped)


@functools.lru_cache(maxsize=4)
def _crop_function(size: int) -> Callable:
    window, window_extent = simulated.WINDOW_SIZE, simulated.WINDOW_EXTENT

    @tf.function(reduce_retracing=True)
    def find_and_crop(
        frames: tf.Tensor, intrinsics: tf.Tensor, start_mm: tf.Tensor, cube_mm: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        depth_mm = tf.cast(frames, tf.float32)
        intrinsics = tf.repeat(intrinsics[None], tf.shape(depth_mm)[0], axis=0)
        extent_mm = window_extent * cube_mm
        window_mm = crop.crop_frame(depth_mm, intrinsics, start_mm, extent_mm, window)
        window_intrinsics = crop.crop_intrinsics(start_mm, extent_mm, window)
        center_mm = hand_finding.refine_center(window_mm, window_intrinsics, start_mm)
        return crop.crop_frame(depth_mm, intrinsics, center_mm, MARGIN * cube_mm, size), center_mm

    return find_and_crop


def _in_this_process(function: Callable, tasks: Iterable[tuple]) -> Iterator[Any]:
    return (function(*task) for task in tasks)
