"""Some frames of one's own recording as a split of a store: read, freed of the background, cropped, mirrored."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from lsps_tf import crop, mirror
from lsps_tf.camera import Camera
from lsps_tf.datasets.frame_sources import Batch
from lsps_tf.datasets.own.backgrounds import Backgrounds, without_background
from lsps_tf.datasets.own.camera_file import CameraFile
from lsps_tf.datasets.own.files import SHARED_READER, FrameFile, to_mm
from lsps_tf.datasets.own.frame_folder import FrameFolder
from lsps_tf.datasets.own.hands import FoundHands
from lsps_tf.datasets.store import MARGIN, stored_size
from lsps_tf.errors import InputError

VERSION = "frames-v2"


class OwnSource:
    """Some of a recording's frames as a split of the store."""

    batch = 16

    def __init__(
        self,
        own: FrameFolder,
        hands: FoundHands,
        sides: dict[str, str],
        positions: np.ndarray,
        cube_mm: float,
        image_size: int,
    ):
        self._own, self._hands, self._positions = own, hands, positions
        self._cube_mm, self._size = cube_mm, stored_size(image_size)
        self._frames, self._sequence_of = own.frames, own.sequence_of
        self._left = np.array([side == "left" for side in sides.values()])[self._sequence_of]

    def __len__(self) -> int:
        return len(self._positions)

    def digest(self) -> str:
        return f"{VERSION} {self._own.identity} {sorted(self._own.backgrounds)}"

    def name_of(self, position: int) -> str:
        return self._frames[self._positions[position]].name

    def job(self, positions: range) -> CropFrames:
        """As of `FrameSource`."""
        own, places = self._own, self._positions[positions.start : positions.stop]
        frames = [self._frames[place] for place in places]
        missing = np.full((own.labels.skeleton.num_joints, 3), np.nan, np.float32)
        columns = {
            "joints_mm": np.stack([own.labels.joints_mm.get(frame.name, missing) for frame in frames]),
            "center_mm": self._hands.center_mm[places],
            "left": self._left[places],
            "subject": self._sequence_of[places],
            "frame": places,
        }
        backgrounds = {n: own.backgrounds[n] for n in np.unique(columns["subject"]).tolist() if n in own.backgrounds}
        return CropFrames(
            frames, positions, own.camera_file, own.camera, backgrounds, columns, self._cube_mm, self._size
        )


@dataclasses.dataclass(frozen=True)
class CropFrames:
    """The job of a batch of frames of a recording.

    Attributes:
        frames: N, in order.
        positions: of the batch.
        camera_file, camera: of the recording.
        backgrounds: of the frames' sequences.
        columns: what is known of the frames, a row each: joints_mm, center_mm, left, subject (the sequence), frame.
        cube_mm: side of the crops' cube.
        size: pixels of a stored crop's side.
    """

    frames: list[FrameFile]
    positions: range
    camera_file: CameraFile
    camera: Camera
    backgrounds: Backgrounds
    columns: dict[str, np.ndarray]
    cube_mm: float
    size: int

    def __call__(self) -> Batch:
        depths = [self._read(row) for row in range(len(self.frames))]
        unusable = [(p, found) for p, found in zip(self.positions, depths) if isinstance(found, str)]
        usable = [row for row, found in enumerate(depths) if not isinstance(found, str)]
        if not usable:
            return Batch({"frame": np.empty(0, np.int64)}, unusable)
        return Batch(self._rows(np.stack([depths[row] for row in usable]), usable), unusable)

    def _read(self, row: int) -> np.ndarray | str:
        """A frame in mm, or why it cannot be read any more."""
        try:
            depth_mm = to_mm(SHARED_READER.read(self.frames[row]), self.camera_file)
            return without_background(depth_mm, self.backgrounds, int(self.columns["subject"][row]))
        except InputError as error:
            return str(error)

    def _rows(self, depth_mm: np.ndarray, usable: list[int]) -> dict[str, np.ndarray]:
        known, count = {name: column[usable] for name, column in self.columns.items()}, len(usable)
        joints_mm, center_mm, left = (known[name] for name in ("joints_mm", "center_mm", "left"))
        with tf.device("CPU"):
            intrinsics = np.repeat(self.camera.intrinsics[None], count, axis=0)
            extent_mm = tf.constant(MARGIN * self.cube_mm, tf.float32)
            cropped_mm = crop.crop_frame(depth_mm, intrinsics, center_mm, extent_mm, self.size).numpy()
        return {
            "depth_mm": np.where(left[:, None, None], mirror.mirror_depth(cropped_mm), cropped_mm),
            "joints_mm": np.where(left[:, None, None], mirror.mirror_points(joints_mm), joints_mm),
            "center_mm": np.where(left[:, None], mirror.mirror_points(center_mm), center_mm),
            "cube_mm": np.full(count, self.cube_mm),
            "extent_mm": np.full(count, self.cube_mm * MARGIN),
            "subject": known["subject"],
            "frame": known["frame"],
        }
