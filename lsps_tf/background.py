"""What stands still before a camera that does not move, learned from its frames, and frames without it. NumPy alone.

A pixel's background is the farthest depth that it shows often enough: hands and people come and go before it. Where a
pixel shows no depth often enough, such as beyond the camera's range, it has none, and all that is measured there stays.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable

import numpy as np

from lsps_tf.array_files import read_arrays
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path

# More frames tell no more, and cost memory.
MOST_FRAMES = 48
FEWEST_FRAMES = 8
# The part of the frames in which a pixel shows its background.
_SHARE = 0.25
# Readings of one surface differ by this much: mm, and a part of the distance.
_SPREAD_MM, _SPREAD = 8.0, 0.01
# What is nearer than the background by less goes with it: mm, and times the distance to its nearest tenth of readings.
_MARGIN_MM, _MARGIN, _LARGEST_MARGIN_MM = 4.0, 1.5, 20.0
# The part of the frames in which a pixel has any reading. A hand alone before nothing comes by less often.
_READ = 0.5
# The part of the readings that belongs to the background in the median frame of a camera that does not move. By chance
# it is about _SHARE.
_STILL = 0.45
# The part of the readings that must be left in some frame where something moves.
_MOVES = 0.003


class NoBackground(Exception):
    """Frames from which no background can be learned; says why in one line."""


@dataclasses.dataclass(frozen=True)
class Background:
    """What stands still.

    Attributes:
        depth_mm: float32 [H, W], 0 where there is none.
        margin_mm: float32 [H, W], what is nearer by less belongs to it.
    """

    depth_mm: np.ndarray
    margin_mm: np.ndarray

    def without(self, depth_mm: np.ndarray) -> np.ndarray:
        """A frame [H, W] in mm whose pixels at the background, or behind it, are 0; InputError for another size."""
        if depth_mm.shape != self.depth_mm.shape:
            width, height = self.depth_mm.shape[::-1]
            raise InputError(
                f"the background is {width} x {height} pixels, the frame {depth_mm.shape[1]} x {depth_mm.shape[0]}; "
                "learn it again with this camera's settings"
            )
        still = (self.depth_mm > 0.0) & (depth_mm > self.depth_mm - self.margin_mm)
        return np.where(still, depth_mm.dtype.type(0), depth_mm)

    def save(self, path: str | pathlib.Path) -> None:
        """Writes it as NPZ, in whole mm."""
        rounded = {name: np.round(values).astype(np.uint16) for name, values in dataclasses.asdict(self).items()}
        with atomic_path(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **rounded)

    @classmethod
    def load(cls, path: str | pathlib.Path) -> Background:
        """Reads what `save` wrote; InputError where it is missing or damaged."""
        path = pathlib.Path(path)
        if not path.is_file():
            raise InputError(f"{path}: there is no such background; give the file that one was saved in")
        try:
            values = read_arrays(path, ("depth_mm", "margin_mm"))
        except InputError as error:
            raise InputError(f"{path}: this is no background ({error.__cause__}); learn it again") from error
        depth_mm, margin_mm = values["depth_mm"], values["margin_mm"]
        if {depth_mm.dtype, margin_mm.dtype} != {np.dtype(np.uint16)} or depth_mm.ndim != 2:
            raise InputError(f"{path}: this is no background (its arrays are no whole mm [H, W]); learn it again")
        if depth_mm.shape != margin_mm.shape:
            raise InputError(f"{path}: this is no background (its arrays differ in size); learn it again")
        return cls(depth_mm.astype(np.float32), margin_mm.astype(np.float32))


def learn_background(frames: Iterable[np.ndarray], must_move: bool = True) -> Background:
    """Learns what stands still.

    Args:
        frames: of one camera at one place, [H, W] mm each, 0 = no reading; all are used, so give MOST_FRAMES at most.
        must_move: whether something has to move; without it, frames of the empty view are enough.

    Raises:
        NoBackground: where there are too few frames, nothing stands still, or nothing moves.
    """
    stack = np.stack([np.asarray(frame, np.float32) for frame in frames] or [np.zeros([1, 1], np.float32)])
    if len(stack) < FEWEST_FRAMES:
        raise NoBackground(f"{len(stack)} frames are too few to tell what stands still; {FEWEST_FRAMES} are needed")
    background = _farthest_often(stack)
    read = stack > 0.0
    left = np.stack([background.without(frame) > 0.0 for frame in stack])
    counts = np.maximum(read.sum(axis=(1, 2)), 1)
    if np.median(1.0 - left.sum(axis=(1, 2)) / counts) < _STILL or not (background.depth_mm > 0.0).any():
        raise NoBackground(
            "nothing stands still in it: the camera moves, or it sees nothing behind the hand within its range"
        )
    if must_move and np.quantile(left.sum(axis=(1, 2)) / counts, 0.9) < _MOVES:
        raise NoBackground("nothing moves in it, so the hand cannot be told from what stands still")
    return background


def _farthest_often(stack: np.ndarray) -> Background:
    """Per pixel the farthest depth that enough of the frames [N, H, W] show."""
    count, often = len(stack), max(3, round(_SHARE * len(stack)))
    # No readings are sorted to the front.
    ordered = np.sort(stack, axis=0)
    nearest, farthest = ordered[: count - often + 1], ordered[often - 1 :]
    same = (nearest > 0.0) & (farthest - nearest <= _spread_mm(farthest))
    last = len(same) - 1 - same[::-1].argmax(axis=0)[None]
    far_mm = np.take_along_axis(farthest, last, axis=0)
    # All readings of that surface, of which the window above has the farthest.
    of_surface = np.sum(ordered >= far_mm - _spread_mm(far_mm), axis=0, keepdims=True)
    middle_mm, near_mm = (
        np.take_along_axis(ordered, count - np.ceil(part * of_surface).astype(int), axis=0)[0] for part in (0.5, 0.9)
    )
    found = same.any(axis=0) & (np.mean(stack > 0.0, axis=0) >= _READ)
    margin_mm = np.minimum(_MARGIN_MM + _MARGIN * (middle_mm - near_mm), _LARGEST_MARGIN_MM)
    return Background(np.where(found, middle_mm, 0.0), np.where(found, margin_mm, 0.0))


def _spread_mm(depth_mm: np.ndarray) -> np.ndarray:
    return _SPREAD_MM + _SPREAD * depth_mm
