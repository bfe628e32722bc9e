"""Depth in NumPy's files: a frame or a video, `.npy` or `.npz`, in any order in memory and of bytes.

A frame is [H, W], a video [N, H, W]. One more axis of length 1, as networks have it for the channel or the batch, is
dropped. An `.npz` holds one array, or one named "depth". Nothing that a file holds is run (no pickles). Damage makes
NumPy raise errors of many kinds, of which all become InputError here.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import zipfile
import zlib
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from lsps_tf.errors import InputError
from lsps_tf.png import MAX_PIXELS

NPY_SIGNATURE, NPZ_SIGNATURE = b"\x93NUMPY", b"PK"
# An array that has to be read as a whole, because its first axis is the fastest.
_MAX_WHOLE_BYTES = 4 * 2**30
# A last axis this short is of colours, and not the width of a frame.
_MOST_COLORS, _SMALLEST_PICTURE = 4, 16


@dataclasses.dataclass(frozen=True)
class ArrayFile:
    """An array in a file, of which the header is read.

    Attributes:
        path: of the file.
        stored: the array's shape.
        shape: [H, W] or [N, H, W], or what else is left without an axis of length 1.
        dtype: of its numbers.
        fortran: whether the first axis is the fastest in memory.
        member: its name in an `.npz`, "" in an `.npy`.
    """

    path: pathlib.Path
    stored: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    member: str = ""

    @property
    def frames(self) -> int | None:
        """How many a video has; None for a frame."""
        return self.shape[0] if len(self.shape) == 3 else None

    def read(self) -> np.ndarray:
        """The array, of `shape`; InputError where the file is damaged."""
        try:
            loaded = np.load(self.path, allow_pickle=False)
            if not self.member:
                return loaded.reshape(self.shape)
            with loaded:
                return loaded[self.member.removesuffix(".npy")].reshape(self.shape)
        except Exception as error:
            raise _damaged(self.path, error) from error

    def read_frame(self, index: int) -> np.ndarray:
        """One frame of a video in an `.npy`, without the others; InputError where the file is damaged."""
        try:
            return np.array(np.load(self.path, mmap_mode="r", allow_pickle=False).reshape(self.shape)[index])
        except Exception as error:
            raise _damaged(self.path, error) from error


def open_array(path: pathlib.Path) -> ArrayFile:
    """Reads the header of the array in a file.

    Raises:
        InputError: where the file is damaged, holds several arrays, or no depth: objects, other than numbers, numbers
            of 8 bits, or colours.
    """
    try:
        with path.open("rb") as file:
            if file.read(2) != NPZ_SIGNATURE:
                file.seek(0)
                return _checked(path, *_read_header(file))
        with zipfile.ZipFile(path) as archive:
            member = _choose(path, archive)
            with archive.open(member) as file:
                return _checked(path, *_read_header(file), member)
    except InputError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error


def read_arrays(path: str | pathlib.Path, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` by their names, all or some.

    Raises:
        InputError: where the file is missing, damaged, or lacks one of the names.
    """
    path = pathlib.Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in (file.files if names is None else names)}
        # Of a member that does not begin as an array NumPy gives the bytes.
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("a part of it is no array")
        return arrays
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; give a file that this program saved") from error
    except Exception as error:
        raise _damaged(path, error) from error


class VideoReader:
    """Reads the frames of a compressed video one by one, quickly where they are asked for in order.

    A compressed array can only be read from its beginning on, so going back starts there again. Memory holds a frame,
    or, of an array in Fortran's order, all.
    """

    def __init__(self, array: ArrayFile):
        self.array = array
        self._whole = array.read() if array.fortran else None
        self._archive = self._file = None
        self._next = 0

    def read(self, index: int) -> np.ndarray:
        """The frame [H, W]; InputError where the file is damaged."""
        if self._whole is not None:
            return self._whole[index]
        size = math.prod(self.array.shape[1:]) * self.array.dtype.itemsize
        try:
            if self._file is None or index < self._next:
                self._start()
            for _ in range(index - self._next + 1):
                content = self._file.read(size)
                self._next += 1
        except Exception as error:
            self.close()
            raise _damaged(self.array.path, error, index) from error
        if len(content) < size:
            self.close()
            raise _damaged(self.array.path, EOFError("it ends too early"), index)
        return np.frombuffer(content, self.array.dtype).reshape(self.array.shape[1:])

    def close(self) -> None:
        """Closes the archive."""
        if self._archive is not None:
            self._archive.close()
        self._archive = self._file = None

    def _start(self) -> None:
        self.close()
        self._archive = zipfile.ZipFile(self.array.path)
        self._file = self._archive.open(self.array.member)
        _read_header(self._file)
        self._next = 0


def _choose(path: pathlib.Path, archive: zipfile.ZipFile) -> str:
    members = [name for name in archive.namelist() if name.endswith(".npy")]
    chosen = [name for name in members if name == "depth.npy"] or members
    if not members:
        raise InputError(f"{path}: this is a zip or .npz archive without arrays; save depth with np.savez")
    if len(chosen) != 1:
        raise InputError(f"{path}: it holds {len(members)} arrays; save one, or name the depth 'depth'")
    return chosen[0]


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _checked(
    path: pathlib.Path, stored: tuple[int, ...], fortran: bool, dtype: np.dtype, member: str = ""
) -> ArrayFile:
    if dtype.hasobject:
        raise InputError(f"{path}: the array holds objects, not numbers; save whole numbers or floats")
    if dtype.kind not in "uif":
        raise InputError(f"{path}: the array's type is {dtype}; save whole numbers or floats")
    if dtype.itemsize == 1:
        raise InputError(f"{path}: the array's type is {dtype}, and 8 bits hold no depth; save 16 bits, or floats")
    shape = _without_axis(stored)
    if math.prod(shape[-2:]) > MAX_PIXELS or (fortran and math.prod(shape) * dtype.itemsize > _MAX_WHOLE_BYTES):
        raise InputError(f"{path}: its array has the shape {stored}, which no recording of depth has; record it again")
    if len(shape) == 3 and 1 < shape[2] <= _MOST_COLORS and min(shape[:2]) >= _SMALLEST_PICTURE:
        raise InputError(f"{path}: its array has the shape {stored}, a picture in colors; save depth, [height, width]")
    return ArrayFile(path, stored, shape, dtype, fortran, member)


def _without_axis(shape: tuple[int, ...]) -> tuple[int, ...]:
    """[H, W] of [H, W, 1] and [1, H, W], [N, H, W] of [N, H, W, 1] and [N, 1, H, W]."""
    if len(shape) == 4 and shape[3] == 1:
        shape = shape[:3]
    elif len(shape) == 4 and shape[1] == 1:
        shape = (shape[0], *shape[2:])
    if len(shape) == 3 and shape[2] == 1:
        return shape[:2]
    return shape[1:] if len(shape) == 3 and shape[0] == 1 else shape


def _damaged(path: pathlib.Path, error: BaseException, index: int | None = None) -> InputError:
    name = path if index is None else f"{path}#{index}"
    is_archive = path.suffix.lower() == ".npz" or isinstance(error, (zipfile.BadZipFile, zlib.error))
    what = "archive is truncated or damaged" if is_archive else "array is damaged or cut short"
    reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
    return InputError(f"{name}: the {what} ({reason}); record or copy it again")
