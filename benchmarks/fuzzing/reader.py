"""What the fuzz knows of a reader of files, and what all of them share."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

HEIGHT, WIDTH = 24, 32
FRAMES_READ = 20


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader and what it reads.

    Attributes:
        file: the name of the damaged file in its folder.
        good: the contents of files that can be read, for an empty folder to make them in.
        read: reads a file; raises AssertionError where the result makes no sense.
        is_text: whether words are damaged, too.
        repair: has checksums right again, in every second damaged file.
        beside: other files that the reader needs, by their names.
        target: what is read, relative to the folder, where that is not the file.
    """

    file: str
    good: Callable[[pathlib.Path], list[bytes]]
    read: Callable[[pathlib.Path], Any]
    is_text: bool = False
    repair: Callable[[bytes], bytes] | None = None
    beside: Callable[[], dict[str, bytes]] = dict
    target: str = ""

    def place(self, folder: pathlib.Path, content: bytes) -> pathlib.Path:
        """Writes a damaged file, and gives the path to read."""
        (folder / self.file).write_bytes(content)
        return folder / (self.target or self.file)


def counts(number: int = 0) -> np.ndarray:
    """A depth frame of 16 bits, in mm, with pixels without a reading."""
    frame = 500 + number + np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 97
    frame[:3] = 0
    return frame.astype(np.uint16)


def check_depth(depth_mm: np.ndarray) -> None:
    """Depth is float32 [H, W] in mm, finite, and not below 0."""
    assert depth_mm.dtype == np.float32 and depth_mm.ndim == 2 and depth_mm.size, (depth_mm.dtype, depth_mm.shape)
    assert np.isfinite(depth_mm).all() and depth_mm.min() >= 0, "depth that is not finite, or negative"
