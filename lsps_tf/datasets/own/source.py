"""Some frames of one's own recording as a split of a store: read, freed of the background, cropped, mirrored."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from lsps_tf import crop, mirror
from lsps_tf.datasets.frame_sources import Batch
from lsps_tf.datasets.own.backgrounds import without_background
from lsps_tf.datasets.own.files import FrameReader, to_mm
from lsps_tf.datasets.own.frame_folder import FrameFolder
from lsps_tf.datasets.own.hands import FoundHands
from lsps_tf.datasets.store import MARGIN, stored_size
from lsps_tf.datasets.workers import read_ahead
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

    def batches(self, ranges: Iterable[range], pool: Any) -> Iterator[Batch]:
        ranges = list(ranges)
        places = self._positions[[position for positions in ranges for position in positions]]
        with contextlib.ExitStack() as stack:
            read = functools.partial(self._read, reader=stack.enter_context(FrameReader()))
            depths = stack.enter_context(contextlib.closing(read_ahead(read, places)))
            for positions in ranges:
                yield self._batch(positions, [next(depths) for _ in positions])

    def _read(self, place: int, reader: FrameReader) -> np.ndarray | str:
        """A frame in mm, or why it cannot be read any more."""
        frame = self._frames[place]
        try:
            depth_mm = to_mm(reader.read(frame), self._own.camera_file)
            return without_background(depth_mm, self._own.backgrounds, int(self._sequence_of[place]))
        except InputError as error:
            return str(error)

    def _batch(self, positions: range, depths: list[np.ndarray | str]) -> Batch:
        unusable = [(p, found) for p, found in zip(positions, depths) if isinstance(found, str)]
        usable = [p for p, found in zip(positions, depths) if not isinstance(found, str)]
        if not usable:
            return Batch({"frame": np.empty(0, np.int64)}, unusable)
        depth_mm = np.stack([found for found in depths if not isinstance(found, str)])
        return Batch(self._rows(depth_mm, self._positions[usable]), unusable)

    def _rows(self, depth_mm: np.ndarray, places: np.ndarray) -> dict[str, np.ndarray]:
        count, left = len(places), self._left[places]
        center_mm = self._hands.center_mm[places]
        with tf.device("CPU"):
            intrinsics = np.repeat(self._own.camera.intrinsics[None], count, axis=0)
            extent_mm = tf.constant(MARGIN * self._cube_mm, tf.float32)
            cropped_mm = crop.crop_frame(depth_mm, intrinsics, center_mm, extent_mm, self._size).numpy()
        missing = np.full((self._own.labels.skeleton.num_joints, 3), np.nan, np.float32)
        joints_mm = np.stack([self._own.labels.joints_mm.get(self._frames[place].name, missing) for place in places])
        return {
            "depth_mm": np.where(left[:, None, None], mirror.mirror_depth(cropped_mm), cropped_mm),
            "joints_mm": np.where(left[:, None, None], mirror.mirror_points(joints_mm), joints_mm),
            "center_mm": np.where(left[:, None], mirror.mirror_points(center_mm), center_mm),
            "cube_mm": np.full(count, self._cube_mm),
            "extent_mm": np.full(count, self._cube_mm * MARGIN),
            "subject": self._sequence_of[places],
            "frame": places,
        }
