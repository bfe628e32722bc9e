"""Decodes the PNGs that depth comes in with NumPy alone, for devices without Pillow (ISO/IEC 15948).

16-bit and 8-bit grayscale and 8-bit RGB, not interlaced. A filtered pixel depends on its neighbours to the left, above,
and both; all pixels of one anti-diagonal are therefore undone at once.
"""

from __future__ import annotations

import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_PIXELS = 64_000_000
# (bit depth, colour type) to Pillow's name of the mode, and bytes per pixel.
_MODES = {(16, 0): ("I;16", 2), (8, 0): ("L", 1), (8, 2): ("RGB", 3), (8, 6): ("RGBA", 4)}
_SUB, _UP, _AVERAGE, _PAETH = 1, 2, 3, 4


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
    header, compressed = _read_chunks(content)
    width, height = (int.from_bytes(header[place : place + 4], "big") for place in (0, 4))
    mode, size = _MODES.get((header[8], header[9]), ("", 0))
    if not mode or header[12] or not 0 < width * height <= _MAX_PIXELS:
        raise ValueError("not a kind of PNG that depth is kept in")
    length = height * (1 + width * size)
    rows = _inflate(compressed, length)
    lines = np.frombuffer(rows, np.uint8).reshape(height, -1)
    pixels = _undo_filters(lines[:, 0], lines[:, 1:].reshape(height, width, size))
    if mode == "I;16":
        return mode, pixels[..., 0].astype(np.uint16) << 8 | pixels[..., 1]
    return mode, pixels[..., 0] if mode == "L" else pixels


def _read_chunks(content: bytes) -> tuple[bytes, bytes]:
    """The header and the compressed pixels."""
    if not content.startswith(SIGNATURE):
        raise ValueError("no PNG")
    place, header, parts = len(SIGNATURE), b"", []
    while True:
        length = int.from_bytes(content[place : place + 4], "big")
        kind, end = content[place + 4 : place + 8], place + 8 + length
        if len(content) < end + 4:
            raise ValueError("truncated")
        if zlib.crc32(content[place + 4 : end]) != int.from_bytes(content[end : end + 4], "big"):
            raise ValueError("damaged")
        if kind == b"IHDR":
            header = content[place + 8 : end]
        elif kind == b"IDAT":
            parts.append(content[place + 8 : end])
        elif kind == b"IEND":
            break
        place = end + 4
    if len(header) != 13:
        raise ValueError("without a header")
    return header, b"".join(parts)


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
