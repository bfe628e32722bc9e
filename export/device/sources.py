"""Where live frames come from: a folder that a recorder writes to, a stream of raw frames, a camera's callback.

Frames that come faster than they can be worked on are passed over, so that what is worked on is the latest; or, of
what was recorded before, every frame is taken in its order.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from lsps_tf.depth_files import read_depth
from lsps_tf.errors import InputError
from lsps_tf.recordings.depth import DepthRecording

FRAME_SUFFIXES = (".png", ".npy", ".tif", ".tiff", ".pgm", ".exr")
# Cameras give the largest count where they could not measure.
_NO_READING = 65535
_TIME = re.compile(r"\d{9,}\.\d+")
_POLL_S = 0.005
# A file that cannot be read is still being written, or damaged if that goes on for longer.
_WRITING_S = 1.0


@dataclasses.dataclass(frozen=True)
class Frame:
    """A depth frame of a sequence.

    Attributes:
        name: of the file, or the frame's number.
        depth_mm: [H, W] mm, 0 = no reading.
        time_s: when it came, of a clock that rises.
        passed_over: frames between the one before and this one.
    """

    name: str
    depth_mm: np.ndarray
    time_s: float
    passed_over: int = 0


class LatestFrame:
    """Hands frames from a camera's callback or a reader to a slower loop: the newest wins, older ones are dropped.

    `put` may be called from any thread and never waits. Iterating gives the frames, until `close`:

        latest = LatestFrame()
        camera.on_frame(latest.put)
        for frame in latest:
            hand = tracker.update(frame.depth_mm, frame.time_s)
    """

    def __init__(self):
        self._changed = threading.Condition()
        self._waiting: Frame | None = None
        self._count, self._passed_over, self._closed = 0, 0, False
        self._error: InputError | None = None

    def put(self, depth_mm: np.ndarray, name: str | None = None) -> None:
        """Offers the next frame [H, W] in mm; its name is its number unless one is given."""
        with self._changed:
            self._passed_over += self._waiting is not None
            name = str(self._count) if name is None else name
            self._waiting = Frame(name, depth_mm, time.monotonic(), self._passed_over)
            self._count += 1
            self._changed.notify()

    def close(self, error: InputError | None = None) -> None:
        """No frame will come any more; the loop works on the one that waits, and raises `error` then."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or self._closed)
                frame, self._waiting, self._passed_over = self._waiting, None, 0
            if frame is None:
                break
            yield frame
        if self._error is not None:
            raise self._error


def recorded_frames(
    folder: str | pathlib.Path, depth_unit_mm: float | None, fps: float
) -> Iterator[Frame | InputError]:
    """Every frame of a folder, in the order of the names, `fps` of them a second.

    Names that are times in seconds, as the TUM RGB-D benchmark has them, are the times. What cannot be read comes as
    the error that says why; the others keep their times.

    Raises:
        InputError: where there is no such folder, no frame in it.
    """
    paths = sorted(_frame_files(folder), key=_natural)
    if not paths:
        raise InputError(f"{folder}: there are no frames ({' or '.join(FRAME_SUFFIXES)}) in this folder")
    for path, time_s in zip(paths, _times_s(paths, fps)):
        try:
            frame = Frame(path.name, read_depth(path, depth_unit_mm), time_s)
        except InputError as error:
            yield error
        else:
            yield frame


def frames_of_recording(recording: DepthRecording) -> Iterator[Frame | InputError]:
    """Every frame of a camera's recording, at its time; what is damaged comes as the error that says why."""
    for number in range(len(recording)):
        try:
            frame = recording[number]
        except InputError as error:
            yield error
        else:
            yield Frame(frame.name, frame.depth_mm, frame.time_s)


def live_frames(folder: str | pathlib.Path, depth_unit_mm: float | None) -> Iterator[Frame | InputError]:
    """The newest frame of a folder, again and again, while something else writes there; it ends with the caller.

    Frames must be complete when they appear, or soon after: write them under another name and rename them. What cannot
    be read a second after it was written comes as the error that says why, and the loop may go on.

    Raises:
        InputError: where there is no such folder.
    """
    done: tuple[int, str] = (-1, "")
    while True:
        new = sorted(entry for entry in _stamped(folder) if entry > done)
        if not new:
            time.sleep(_POLL_S)
            continue
        stamp, name = new[-1]
        try:
            depth_mm = read_depth(pathlib.Path(folder) / name, depth_unit_mm)
        except InputError as error:
            if time.time() - stamp / 1e9 < _WRITING_S:
                time.sleep(_POLL_S)
                continue
            done = new[-1]
            yield error
        else:
            done = new[-1]
            yield Frame(name, depth_mm, time.monotonic(), len(new) - 1)


def every_frame(stream: BinaryIO, width: int, height: int, depth_unit_mm: float, fps: float) -> Iterator[Frame]:
    """Every raw frame of a stream: `height` rows of `width` little-endian uint16 counts, and nothing in between.

    Raises:
        InputError: where the stream ends within a frame.
    """
    size, number = 2 * width * height, 0
    while True:
        content = _read_exactly(stream, size)
        if not content:
            return
        if len(content) < size:
            raise InputError(
                f"the stream ended within frame {number}: {len(content)} of the {size} bytes of {width}x{height} "
                "16-bit pixels; check the size of its frames"
            )
        counts = np.frombuffer(content, "<u2").reshape(height, width)
        depth_mm = np.where(counts < _NO_READING, counts * np.float32(depth_unit_mm), np.float32(0.0))
        yield Frame(str(number), depth_mm, number / fps)
        number += 1


def latest_frames(stream: BinaryIO, width: int, height: int, depth_unit_mm: float) -> LatestFrame:
    """The same stream read by a thread of its own; iterating gives the latest frame."""
    latest = LatestFrame()

    def read() -> None:
        try:
            for frame in every_frame(stream, width, height, depth_unit_mm, 1.0):
                latest.put(frame.depth_mm)
        except InputError as error:
            latest.close(error)
        else:
            latest.close()

    threading.Thread(target=read, daemon=True).start()
    return latest


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    """As many bytes as are asked for, fewer only at the end; a pipe gives what it has."""
    parts, missing = [], size
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _times_s(paths: list[pathlib.Path], fps: float) -> list[float]:
    if all(_TIME.fullmatch(path.stem) for path in paths):
        return [float(path.stem) for path in paths]
    return [number / fps for number in range(len(paths))]


def _frame_files(folder: str | pathlib.Path) -> list[pathlib.Path]:
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; give the one that holds the frames")
    return [path for path in folder.iterdir() if path.suffix.lower() in FRAME_SUFFIXES and path.name[0] != "."]


def _stamped(folder: str | pathlib.Path) -> list[tuple[int, str]]:
    """When each frame was last written, and its name; files that vanish meanwhile are left out."""
    stamped = []
    for path in _frame_files(folder):
        try:
            stamped.append((path.stat().st_mtime_ns, path.name))
        except FileNotFoundError:
            continue
    return stamped


def _natural(path: pathlib.Path) -> tuple[str, int, str]:
    """Orders frame2.png before frame10.png."""
    stem = path.stem
    digits = stem[len(stem.rstrip("0123456789")) :]
    return stem[: len(stem) - len(digits)], int(digits or 0), path.name
