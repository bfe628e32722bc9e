"""Encoded frames: their size is read from the header, before anything decodes them.

A PNG of some kilobytes can decode to gigabytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np

from export.serving.errors import invalid

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Signature, then the length and name of the first chunk, then width and height.
_PNG_HEADER = struct.Struct(">8sI4sII")
# Inputs of these names take nothing else.
_PNG_SUFFIX = "_png_bytes"

Size = tuple[int, int]


def frame_sizes(inputs: Mapping[str, np.ndarray], max_pixels: int) -> frozenset[Size]:
    """The sizes (width, height) of all PNGs among a request's inputs.

    Args:
        inputs: arrays by name; those of bytes are looked at.
        max_pixels: the most that one frame may have.

    Raises:
        ServingError: 400 where a frame is larger, or where an input named `..._png_bytes` holds no PNG.
    """
    sizes = set()
    for name, array in inputs.items():
        if array.dtype != object:
            continue
        for row, content in enumerate(array.flat):
            if name.endswith(_PNG_SUFFIX) or content.startswith(_PNG_SIGNATURE):
                sizes.add(_png_size(content, f"Input {name}, row {row}", max_pixels))
    return frozenset(sizes)


def _png_size(content: bytes, where: str, max_pixels: int) -> Size:
    if not content.startswith(_PNG_SIGNATURE):
        raise invalid(f"{where}: this is no PNG")
    if len(content) < _PNG_HEADER.size:
        raise invalid(f"{where}: the PNG ends within its header")
    _, length, chunk, width, height = _PNG_HEADER.unpack_from(content)
    if chunk != b"IHDR" or length != 13 or not (width and height):
        raise invalid(f"{where}: the PNG's header is damaged")
    if width * height > max_pixels:
        raise invalid(f"{where}: a frame of {width}x{height} pixels; at most {max_pixels} pixels are taken")
    return width, height
