"""`--background` of the live commands: what stands still, learned from the first seconds or loaded, is taken away."""

from __future__ import annotations

import math
import pathlib
import sys

import numpy as np

from lsps_tf.background import MOST_FRAMES, Background, NoBackground, learn_background
from lsps_tf.errors import InputError
from lsps_tf.rotation import opposite, rotate_depth

_LONGEST_S = 600.0


class LiveBackground:
    """Frames without what stands still, once that is known; until then, and where there is none, as they are."""

    def __init__(self, asked: str, rotation_degrees: int = 0):
        """Opens what `--background` names.

        Args:
            asked: seconds to learn from, or the path of a background that a training or `Background.save` kept.
            rotation_degrees: how far clockwise the frames are turned to stand upright, as kept backgrounds do.

        Raises:
            InputError: where it is neither seconds nor a background.
        """
        self._frames: list[np.ndarray] = []
        self._first_s = self._last_s = -math.inf
        self._seconds, self._background = _seconds(asked), None
        if self._seconds is None:
            kept, back = Background.load(pathlib.Path(asked)), opposite(rotation_degrees)
            self._background = Background(rotate_depth(kept.depth_mm, back), rotate_depth(kept.margin_mm, back))

    def __call__(self, depth_mm: np.ndarray, time_s: float) -> np.ndarray:
        """The next frame [H, W] in mm, seen at `time_s`; InputError where its size is not the background's."""
        if self._background is not None:
            return self._background.without(depth_mm)
        if self._seconds is not None:
            self._take(depth_mm, time_s)
        return depth_mm

    def _take(self, depth_mm: np.ndarray, time_s: float) -> None:
        if self._frames and depth_mm.shape != self._frames[0].shape:
            self._frames = []
        if not self._frames:
            self._first_s = self._last_s = time_s
        elif time_s - self._last_s < self._seconds / MOST_FRAMES:
            return
        self._frames.append(np.array(depth_mm, np.float32))
        self._last_s = time_s
        if time_s - self._first_s < self._seconds:
            return
        try:
            # A view without a hand is what one would start with, and nothing moves in it.
            self._background = learn_background(self._frames[-MOST_FRAMES:], must_move=False)
            print(f"Background: learned from the first {self._seconds:g} s", file=sys.stderr)
        except NoBackground as reason:
            print(f"Background: {reason}; going on without", file=sys.stderr)
        self._seconds, self._frames = None, []


def _seconds(asked: str) -> float | None:
    """The seconds that were asked for, None for a path."""
    try:
        seconds = float(asked)
    except ValueError:
        return None
    if not 0.0 < seconds <= _LONGEST_S:
        raise InputError(f"--background {asked}: give the seconds to learn from, up to {_LONGEST_S:g}, or a file")
    return seconds
