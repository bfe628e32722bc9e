"""Where the hand is in every frame of a recording, found before anything is cropped: centre and side, or why not.

Sequences are tracked, so the frames of each are taken in order, a block of them after the other. Sequences do not hang
on each other: the blocks of several are jobs that run beside each other (`lsps_tf.jobs`). What is found is kept in
blocks beside the store until that is made, so a stop costs the blocks in progress.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf.array_files import read_arrays
from lsps_tf.camera import Camera
from lsps_tf.datasets.own.backgrounds import Backgrounds, without_background
from lsps_tf.datasets.own.camera_file import CameraFile
from lsps_tf.datasets.own.files import SHARED_READER, FrameFile, to_mm
from lsps_tf.datasets.reading_ahead import read_ahead
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path
from lsps_tf.hand_finding import search
from lsps_tf.jobs import HERE, Workers
from lsps_tf.rotation import opposite, rotate_camera

BLOCK = 128
# To look at so many frames takes longer than a process takes to start.
_WORTH_A_PROCESS = 500
# Why a frame gives no crop.
USED, BROKEN, NO_HAND, CUT_OFF = range(4)
REASONS = ("", "cannot be read", "no hand in view", "hand cut off by the frame's border")
# Less of the hand's surroundings than this inside the frame, from its centre, and fingers or palm are missing.
_BORDER_MM = 40.0
NOWHERE_MM = np.full(3, np.nan, np.float32)


@dataclasses.dataclass(frozen=True)
class FoundHands:
    """What was found in N frames, in the recording's order.

    Attributes:
        center_mm: float32 [N, 3] camera space, NaN where no crop can be made.
        kind: uint8 [N], index into REASONS.
        detail: str [N], more on what cannot be read.
        tracked: bool [N], whether the centre came from the frame before.
        right: float32 [N], above 0 where the hand looks like a right one; NaN where there is none.
    """

    center_mm: np.ndarray
    kind: np.ndarray
    detail: np.ndarray
    tracked: np.ndarray
    right: np.ndarray


def find_hands(
    sequences: dict[str, list[FrameFile]],
    camera_file: CameraFile,
    camera: Camera,
    folder: pathlib.Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    backgrounds: Backgrounds | None = None,
    workers: Workers = HERE,
) -> FoundHands:
    """Finds the hand in every frame, or goes on where a stop left it.

    Args:
        sequences: of `files.list_sequences`.
        camera_file: of the recording.
        camera: that took the frames, turned upright; frames of another size cannot be used.
        folder: where the blocks are kept; of this recording alone.
        progress: called with the frames done and all frames.
        backgrounds: what stands still, which is not looked at; None where all is.
        workers: who looks. A sequence keeps one of them busy.
    """
    tracks = [_Track(number, frames, folder) for number, frames in enumerate(sequences.values())]
    done, total = sum(track.done for track in tracks), sum(len(frames) for frames in sequences.values())
    progress(done, total)
    unfinished = [track for track in tracks if track.done < len(track.frames)]
    worth = min(len(unfinished), (total - done) // _WORTH_A_PROCESS)
    with workers.engine(worth) as engine, contextlib.closing(SHARED_READER):
        while unfinished:
            jobs = (track.next_job(camera_file, camera, backgrounds or {}) for track in unfinished)
            for track, block in zip(unfinished, engine.run(jobs)):
                track.add(block)
                done += len(block.kind)
                progress(done, total)
            unfinished = [track for track in unfinished if track.done < len(track.frames)]
    return _joined([block for track in tracks for block in track.blocks])


class _Track:
    """What is found in a sequence so far, block by block.

    Attributes:
        frames: of the sequence.
        blocks: what was found in its first frames.
        done: how many frames these are.
    """

    def __init__(self, number: int, frames: list[FrameFile], folder: pathlib.Path):
        self.frames, self._number, self._folder = frames, number, folder
        paths = (self._path(block) for block in range(-(-len(frames) // BLOCK)))
        self.blocks = [_read_block(path) for path in itertools.takewhile(pathlib.Path.is_file, paths)]
        self.done = sum(len(block.kind) for block in self.blocks)

    def next_job(self, camera_file: CameraFile, camera: Camera, backgrounds: Backgrounds) -> FindBlock:
        """The job of the frames that come next."""
        previous_mm = self.blocks[-1].center_mm[-1] if self.blocks else NOWHERE_MM
        own = {number: backgrounds[number] for number in (self._number,) if number in backgrounds}
        frames = self.frames[self.done : self.done + BLOCK]
        return FindBlock(frames, self._number, previous_mm, camera_file, camera, own)

    def add(self, block: FoundHands) -> None:
        """Keeps what was found in the frames that come next."""
        path = self._path(len(self.blocks))
        with atomic_path(path) as partial, partial.open("wb") as file:
            np.savez(file, **dataclasses.asdict(block))
        self.blocks.append(block)
        self.done += len(block.kind)

    def _path(self, block: int) -> pathlib.Path:
        return self._folder / f"{self._number:05d}-{block:05d}.npz"


@dataclasses.dataclass(frozen=True)
class FindBlock:
    """The job of some frames in a row of one sequence.

    Attributes:
        frames: in order.
        sequence: its number.
        previous_mm: [3] where the hand was in the frame before, NaN where there is none.
        camera_file, camera: of the recording.
        backgrounds: of the sequence.
    """

    frames: list[FrameFile]
    sequence: int
    previous_mm: np.ndarray
    camera_file: CameraFile
    camera: Camera
    backgrounds: Backgrounds

    def __call__(self) -> FoundHands:
        found, previous_mm, find = [], self.previous_mm, build_find(self.camera)
        with contextlib.closing(read_ahead(self._read, self.frames)) as depths:
            for depth_mm in depths:
                found.append(_look(depth_mm, previous_mm, self.camera, find))
                previous_mm = found[-1][0]
        columns = zip(*found)
        kinds = (np.float32, np.uint8, np.str_, bool, np.float32)
        return FoundHands(*(np.array(column, kind) for column, kind in zip(columns, kinds)))

    def _read(self, frame: FrameFile) -> np.ndarray | str:
        """A frame in mm, or why it cannot be used."""
        try:
            counts = SHARED_READER.read(frame)
        except InputError as error:
            return str(error)
        recorded = rotate_camera(self.camera, opposite(self.camera_file.rotation_degrees))
        if counts.shape == (recorded.height, recorded.width):
            return without_background(to_mm(counts, self.camera_file), self.backgrounds, self.sequence)
        height, width = counts.shape
        return f"{frame.name}: its size is {width} x {height} pixels, not {recorded.width} x {recorded.height}"


def _look(
    depth_mm: np.ndarray | str, previous_mm: np.ndarray, camera: Camera, find: Callable
) -> tuple[np.ndarray, int, str, bool, float]:
    """A frame's values of `FoundHands`, given what `_read` made of it."""
    if isinstance(depth_mm, str):
        return NOWHERE_MM, BROKEN, depth_mm, False, np.nan
    center_mm, present, tracked, right, _ = find(depth_mm, previous_mm)
    if not present:
        return NOWHERE_MM, NO_HAND, "", False, np.nan
    if _cut_off(center_mm, camera):
        return NOWHERE_MM, CUT_OFF, "", False, np.nan
    return center_mm, USED, "", tracked, right


def _read_block(path: pathlib.Path) -> FoundHands:
    return FoundHands(**read_arrays(path, (field.name for field in dataclasses.fields(FoundHands))))


def _joined(blocks: list[FoundHands]) -> FoundHands:
    fields = [field.name for field in dataclasses.fields(FoundHands)]
    return FoundHands(*(np.concatenate([getattr(block, name) for block in blocks]) for name in fields))


def _cut_off(center_mm: np.ndarray, camera: Camera) -> bool:
    x, y, z = center_mm
    u, v = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
    reach_u, reach_v = camera.fx * _BORDER_MM / z, camera.fy * _BORDER_MM / z
    return bool(min(u - reach_u, camera.width - u - reach_u) < 0 or min(v - reach_v, camera.height - v - reach_v) < 0)


class Sight(NamedTuple):
    """What is seen in a frame: center_mm (3,), whether there is a hand, whether it was followed, and logits.

    `right` is that of a right hand, `presence` that of any hand around the centre.
    """

    center_mm: np.ndarray
    present: bool
    tracked: bool
    right: float
    presence: float


@functools.lru_cache(maxsize=4)
def build_find(camera: Camera) -> Callable:
    """A function of one frame [H, W] and the previous centre to what is `Sight` in it."""
    intrinsics = tf.constant(camera.intrinsics[None])
    frame = tf.TensorSpec([camera.height, camera.width], tf.float32)

    @tf.function(input_signature=[frame, tf.TensorSpec([3], tf.float32)])
    def find(depth_mm: tf.Tensor, previous_mm: tf.Tensor):
        center_mm, present, tracked = search.track_hand(depth_mm[None], intrinsics, previous_mm[None])
        _, presence, right = search.judge_hand(depth_mm[None], intrinsics, center_mm)
        return center_mm[0], present[0], tracked[0], right[0], presence[0]

    def run(depth_mm: np.ndarray, previous_mm: np.ndarray) -> Sight:
        # On the CPU, so that a store does not depend on where it was made.
        with tf.device("CPU"):
            center_mm, *others = (value.numpy() for value in find(depth_mm, previous_mm))
        return Sight(center_mm, *(value.item() for value in others))

    return run
