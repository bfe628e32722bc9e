"""Decodes the PNGs that depth comes in with NumPy alone, for devices without Pillow (ISO/IEC 15948).

16-bit and 8-bit grayscale and 8-bit RGB, interlaced or not. A filtered pixel depends on its neighbours to the left,
above, and both; all pixels of one anti-diagonal are therefore undone at once.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# What a file has to be read of for its header.
HEADER_BYTES = 33
MAX_PIXELS = 64_000_000
# (bit depth, colour type) to Pillow's name of the mode, and bytes per pixel.
_MODES = {(16, 0): ("I;16", 2), (8, 0): ("L", 1), (8, 2): ("RGB", 3), (8, 6): ("RGBA", 4)}
_COLORS = {0: "grayscale", 2: "color", 3: "palette color", 4: "grayscale with transparency", 6: "color, transparency"}
_SUB, _UP, _AVERAGE, _PAETH = 1, 2, 3, 4
# Of Adam7, the passes' first row and column and their steps down and across.
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


@dataclasses.dataclass(frozen=True)
class Header:
    """What a PNG says of itself.

    Attributes:
        width, height: in pixels.
        bits: per sample.
        color: the standard's colour type.
        interlaced: by Adam7.
    """

    width: int
    height: int
    bits: int
    color: int
    interlaced: bool

    @property
    def mode(self) -> str:
        """Pillow's name of a mode that `decode_png` gives; for all other kinds words, such as "16-bit color"."""
        return _MODES.get((self.bits, self.color), (f"{self.bits}-bit {_COLORS[self.color]}", 0))[0]

    @property
    def is_decodable(self) -> bool:
        return (self.bits, self.color) in _MODES


def read_header(content: bytes) -> Header:
    """The header of a PNG's first bytes; ValueError where they are no PNG's, or damaged."""
    if not content.startswith(SIGNATURE) or content[12:16] != b"IHDR":
        raise ValueError("no PNG, or truncated")
    if len(content) < HEADER_BYTES or zlib.crc32(content[12:29]) != int.from_bytes(content[29:33], "big"):
        raise ValueError("truncated or damaged")
    width, height = (int.from_bytes(content[place : place + 4], "big") for place in (16, 20))
    bits, color, compression, filtering, interlacing = content[24:29]
    if not width * height or color not in _COLORS or compression or filtering or interlacing > 1:
        raise ValueError("damaged")
    return Header(width, height, bits, color, bool(interlacing))


def decode_png(content: bytes) -> tuple[str, np.ndarray]:
    """Decodes a PNG.

    Args:
        content: of the file.

    Returns:
        Pillow's name of the mode, and the pixels: "I;16" uint16 [H, W], "L" uint8 [H, W], "RGB" or "RGBA" uint8
        [H, W, C].

    Raises:
        ValueError: where the content is no PNG, truncated, damaged, or of a kind that holds no depth.
    """
    header = read_header(content)
    if not header.is_decodable or header.width * header.height > MAX_PIXELS:
        raise ValueError("not a kind of PNG that depth is kept in")
    mode, size = _MODES[header.bits, header.color]
    passes = list(_passes(header))
    lengths = [rows * (1 + columns * size) for _, rows, columns in passes]
    data = np.frombuffer(_inflate(_compressed(content), sum(lengths)), np.uint8)
    pixels = np.empty((header.height, header.width, size), np.uint8)
    for (place, rows, columns), lines in zip(passes, np.split(data, np.cumsum(lengths)[:-1])):
        lines = lines.reshape(rows, -1)
        pixels[place] = _undo_filters(lines[:, 0], lines[:, 1:].reshape(rows, columns, size))
    if mode == "I;16":
        return mode, pixels[..., 0].astype(np.uint16) << 8 | pixels[..., 1]
    return mode, pixels[..., 0] if mode == "L" else pixels


def _passes(header: Header) -> Iterator[tuple[tuple[slice, slice], int, int]]:
    """Which pixels the file holds one after the other, in how many rows and columns."""
    for top, left, down, across in _ADAM7 if header.interlaced else _WHOLE:
        rows, columns = -(-(header.height - top) // down), -(-(header.width - left) // across)
        if rows > 0 and columns > 0:
            yield (slice(top, None, down), slice(left, None, across)), rows, columns


def _compressed(content: bytes) -> bytes:
    """The compressed pixels."""
    place, parts = len(SIGNATURE), []
    while True:
        length = int.from_bytes(content[place : place + 4], "big")
        kind, end = content[place + 4 : place + 8], place + 8 + length
        if len(content) < end + 4:
            raise ValueError("truncated")
        if zlib.crc32(content[place + 4 : end]) != int.from_bytes(content[end : end + 4], "big"):
            raise ValueError("damaged")
        if kind == b"IDAT":
            parts.append(content[place + 8 : end])
        elif kind == b"IEND":
            return b"".join(parts)
        place = end + 4


def _inflate(compressed: bytes, length: int) -> bytes:
    try:
        # At most what the picture's size allows, so that a small file cannot fill the memory.
        rows = zlib.decompressobj().decompress(compressed, length)
    except zlib.error as error:
        raise ValueError(f"damaged ({error})") from error
    if len(rows) != length:
        raise ValueError("truncated")
    return rows


def _undo_filters(filters: np.ndarray, filtered: np.ndarray) -> np.ndarray:
    """uint8 [H, W, bytes per pixel] of filtered ones; `filters` [H] is each row's kind, 0 to 4."""
    height, width, size = filtered.shape
    if filters.max() > _PAETH:
        raise ValueError("damaged: no such filter")
    if not filters.any():
        return filtered
    kinds = [(filters == kind).astype(np.int16)[:, None] for kind in (_SUB, _UP, _AVERAGE, _PAETH)]
    # Row d of these holds the pixels whose row and column add up to d, by their row plus one; row 0 stays empty.
    source = np.zeros((height + width, height + 1, size), np.int16)
    rows, columns = np.indices((height, width), sparse=True)
    source[rows + columns, rows + 1] = filtered
    result = np.zeros_like(source)
    for d in range(height + width - 1):
        first, last = max(0, d - width + 1), min(height - 1, d) + 1
        here, above = slice(first + 1, last + 1), slice(first, last)
        left, up = result[d - 1, here], result[d - 1, above]
        corner = result[d - 2, above]
        predicted = _predict([kind[first:last] for kind in kinds], left, up, corner)
        result[d, here] = (source[d, here] + predicted) & 255
    return result[rows + columns, rows + 1].astype(np.uint8)


def _predict(kinds: list[np.ndarray], left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
    by_left, by_up = np.abs(up - corner), np.abs(left - corner)
    by_corner = np.abs(left + up - 2 * corner)
    paeth = np.where(by_up <= by_corner, up, corner)
    paeth = np.where((by_left <= by_up) & (by_left <= by_corner), left, paeth)
    sub, above, average, is_paeth = kinds
    return sub * left + above * up + average * ((left + up) >> 1) + is_paeth * paeth
