"""What every reader gives: what the recording says of its depth camera, and the frames, one by one."""

from __future__ import annotations

import abc
import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lsps_tf.camera import Camera
from lsps_tf.distortion import NO_DISTORTION, Distortion
from lsps_tf.errors import InputError

# No depth camera has more pixels; a header that says so is damaged, or wants to fill the memory.
MAX_PIXELS = 64_000_000
# By a file's ending: what mends it where its index is lost.
_MENDS = {".bag": "mend it with 'rosbag reindex'", ".mcap": "mend it with 'mcap recover'"}


class PacketError(Exception):
    """A packet holds no frame that can be read: what is wrong and what to do, without the name of file and frame."""


@dataclasses.dataclass(frozen=True)
class DepthStream:
    """What a recording says of its depth.

    Attributes:
        topic: the name of the stream in the recording.
        frames: how many there are.
        width, height: of a frame in pixels.
        depth_unit_mm: mm that one count stands for; None where it is not said.
        camera: the lens' intrinsics; None where they are not said.
        distortion: of the lens.
        camera_missing: why there are no intrinsics, to be read after the file's name; "" where there are.
    """

    topic: str
    frames: int
    width: int
    height: int
    depth_unit_mm: float | None
    camera: Camera | None
    distortion: Distortion = NO_DISTORTION
    camera_missing: str = ""


@dataclasses.dataclass(frozen=True)
class RecordedFrame:
    """A frame as it was recorded.

    Attributes:
        counts: [H, W] as they stand in the file.
        time_ns: when it was taken, by the camera's clock where the recording has that.
    """

    counts: np.ndarray
    time_ns: int


class Recording(abc.ABC):
    """A recording that is open. Memory holds a frame and what its format packs together, however long it is.

    Frames come quickly in order. To go back starts at the beginning again. Not to be shared between threads.

    Attributes:
        path: of the file or folder.
        stream: what it says of its depth.
    """

    path: pathlib.Path
    stream: DepthStream

    def __init__(self):
        self._packets: Iterator[Any] | None = None
        self._next = 0

    def __len__(self) -> int:
        return self.stream.frames

    def read(self, index: int) -> RecordedFrame:
        """The frame of a number from 0 on.

        Raises:
            InputError: where there is no such frame, or it is damaged.
        """
        if not 0 <= index < len(self):
            raise InputError(f"{self.path}#{index}: there is no such frame; the last one is {len(self) - 1}")
        try:
            if self._packets is None or index < self._next:
                self._packets, self._next = self._start(), 0
            for _ in range(index - self._next + 1):
                # First, so that after a damaged packet the next one is the next.
                self._next += 1
                packet = next(self._packets, None)
                if packet is None:
                    raise EOFError(f"it ends after {self._next - 1} of {len(self)} frames")
            return self._decode(packet)
        except PacketError as error:
            raise InputError(f"{self.path}#{index}: {error}") from error
        except Exception as error:
            # Damage makes the readers of others raise whatever they stumble over.
            self._packets = None
            raise InputError(
                f"{self.path}#{index}: the recording is cut short or damaged ({first_line(error)}); copy it again"
            ) from error

    def __iter__(self) -> Iterator[RecordedFrame]:
        for index in range(len(self)):
            yield self.read(index)

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abc.abstractmethod
    def close(self) -> None:
        """Closes the file."""

    @abc.abstractmethod
    def _start(self) -> Iterator[Any]:
        """The packets of the frames from the first one on."""

    @abc.abstractmethod
    def _decode(self, packet: Any) -> RecordedFrame:
        """A frame from its packet; PacketError where it holds none."""


def first_line(error: BaseException) -> str:
    """What an error of another program says, short enough for a line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def guarded(path: pathlib.Path, open_it: Callable[[], Any]) -> Any:
    """The result of `open_it`, a reader of others; what it raises becomes an InputError that names the file."""
    try:
        return open_it()
    except InputError:
        raise
    except PacketError as error:
        raise InputError(f"{path}: {error}") from error
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check who may read it") from error
    except Exception as error:
        mend = _MENDS.get(path.suffix.lower(), "record it")
        raise InputError(
            f"{path}: the recording cannot be opened ({first_line(error)}); {mend}, or copy it again"
        ) from error
