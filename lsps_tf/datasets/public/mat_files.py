"""Arrays of numbers in MATLAB's files of versions 5 to 7, by NumPy alone.

The format is MathWorks' "MAT-File Format". SciPy's reader is not used: damaged files end its process. Nothing in a
file is believed that does not fit what is there, and what is packed is unpacked up to a limit. Files of version 7.3 are
HDF5.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import struct
import zlib
from collections.abc import Iterator

import numpy as np

# What 72,757 frames of the NYU dataset need is 190 MB.
MAX_BYTES = 2**30
_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
# Types of data elements to NumPy's.
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
# Classes of arrays whose elements are numbers, double to uint64, to NumPy's types.
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_IS_COMPLEX = 1 << 11


@dataclasses.dataclass(frozen=True)
class _Element:
    kind: int
    content: memoryview


def read_mat(path: str | pathlib.Path, name: str) -> np.ndarray | None:
    """The array of a name, in the shape that it has in MATLAB; None where there is none of that name, or of numbers.

    Raises:
        OSError: where the file cannot be read.
        ValueError: where it is damaged, or no MATLAB file of these versions.
    """
    content = memoryview(pathlib.Path(path).read_bytes())
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[126:_HEADER_BYTES]))
    if order is None or content[124 if order == ">" else 125] != 1:
        raise ValueError("no header of a MATLAB file")
    for element in _elements(content[_HEADER_BYTES:], order):
        if element.kind == _COMPRESSED:
            element = next(_elements(memoryview(_unpacked(element.content)), order), _Element(0, element.content))
        if element.kind == _MATRIX:
            found, array = _array(element.content, order, name)
            if found:
                return array
    return None


def _elements(content: memoryview, order: str) -> Iterator[_Element]:
    """The data elements one after the other; they start at multiples of 8 bytes, but for what is packed."""
    place = 0
    while place < len(content):
        if place + 8 > len(content):
            raise ValueError("it ends within an element")
        kind, size = struct.unpack_from(f"{order}II", content, place)
        start = place + 8
        if kind >> 16:
            # A small element: its type and size share the first number, and up to 4 bytes follow.
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
        end = start + size
        if end > len(content) or (start == place + 4 and size > 4):
            raise ValueError("an element is longer than the file")
        yield _Element(kind, content[start:end])
        place = place + 8 if start == place + 4 else end if kind == _COMPRESSED else end + -size % 8


def _unpacked(content: memoryview) -> bytes:
    try:
        unpacker = zlib.decompressobj()
        unpacked = unpacker.decompress(content, MAX_BYTES)
    except zlib.error as error:
        raise ValueError(f"packed data are damaged: {error}") from error
    if not unpacker.eof:
        raise ValueError("packed data end too early, or are too large")
    return unpacked


def _array(content: memoryview, order: str, name: str) -> tuple[bool, np.ndarray | None]:
    """Whether a matrix has the name, and its numbers; None for what is no array of real numbers."""
    parts = _elements(content, order)
    flags, sizes, label, values = (next(parts, None) for _ in range(4))
    if label is None or bytes(label.content).decode("latin-1") != name:
        return False, None
    flag = int(_numbers(flags, order)[0]) if len(flags.content) >= 8 else 0
    shape = tuple(int(size) for size in _numbers(sizes, order))
    if flag & 0xFF not in _CLASSES or flag & _IS_COMPLEX or values is None:
        return True, None
    numbers = _numbers(values, order)
    if min(shape, default=0) < 0 or math.prod(shape) != numbers.size:
        raise ValueError(f"'{name}' has {numbers.size} numbers for the shape {shape}")
    return True, numbers.astype(_CLASSES[flag & 0xFF]).reshape(shape, order="F")


def _numbers(element: _Element, order: str) -> np.ndarray:
    if element.kind not in _TYPES:
        raise ValueError(f"numbers of the unknown type {element.kind}")
    kind = np.dtype(order + _TYPES[element.kind])
    if len(element.content) % kind.itemsize:
        raise ValueError("an array ends within a number")
    return np.frombuffer(element.content, kind)
