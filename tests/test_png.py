"""The decoder for devices without Pillow, against Pillow."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lsps_tf.png import decode_png

RNG = np.random.default_rng(5)


def smooth(height, width):
    """Depth as a camera's: smooth parts, which PNG writers filter, with edges and holes."""
    v, u = np.indices((height, width))
    depth = 600 + 3 * u + 2 * v + 40 * np.sin(u / 5.0) + RNG.normal(0, 2, (height, width))
    depth[(u - width / 2) ** 2 + (v - height / 2) ** 2 < 30] = 0
    return depth.astype(np.uint16)


def saved(array, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, format="PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (24, 32), (33, 17)])
@pytest.mark.parametrize("kind", ["I;16", "L", "RGB", "RGBA"])
def test_pixels_are_those_of_pillow(shape, kind):
    counts = smooth(*shape)
    if kind == "I;16":
        array = counts
    elif kind == "L":
        array = (counts >> 2).astype(np.uint8)
    else:
        parts = [np.zeros_like(counts), counts >> 8, counts & 255, counts & 127][: len(kind)]
        array = np.stack(parts, axis=-1).astype(np.uint8)
    for options in ({}, {"compress_level": 0}, {"optimize": True}):
        mode, pixels = decode_png(saved(array, **options))
        assert mode == kind and pixels.dtype == array.dtype
        np.testing.assert_array_equal(pixels, array)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def filtered_by(kind, array):
    """A PNG whose rows are all filtered in one way, written from the standard's formulas, pixel by pixel."""
    height, width = array.shape
    raw = array.astype(">u2").view(np.uint8).reshape(height, 2 * width).astype(int)
    rows = bytearray()
    for r in range(height):
        rows.append(kind)
        for c in range(2 * width):
            left = raw[r, c - 2] if c >= 2 else 0
            up = raw[r - 1, c] if r else 0
            corner = raw[r - 1, c - 2] if r and c >= 2 else 0
            p = left + up - corner
            paeth = min((abs(p - left), 0, left), (abs(p - up), 1, up), (abs(p - corner), 2, corner))[2]
            rows.append((raw[r, c] - [0, left, up, (left + up) // 2, paeth][kind]) % 256)
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("kind", range(5))
def test_every_filter_is_undone(kind):
    array = RNG.integers(0, 65536, (7, 6)).astype(np.uint16)
    content = filtered_by(kind, array)
    with Image.open(io.BytesIO(content)) as image:
        np.testing.assert_array_equal(np.asarray(image), array)
    np.testing.assert_array_equal(decode_png(content)[1], array)


def test_damage_is_refused():
    content = saved(smooth(24, 32))
    for length in range(0, len(content), 37):
        with pytest.raises(ValueError, match="PNG|truncated|damaged"):
            decode_png(content[:length])
    for place in RNG.integers(33, len(content) - 12, 20):
        changed = bytearray(content)
        changed[place] ^= 0x55
        with pytest.raises(ValueError, match="truncated|damaged"):
            decode_png(bytes(changed))


def test_kinds_without_depth_and_bombs_are_refused():
    for image in (Image.new("1", (8, 8)), Image.new("P", (8, 8)), Image.new("LA", (8, 8))):
        file = io.BytesIO()
        image.save(file, format="PNG")
        with pytest.raises(ValueError, match="not a kind of PNG that depth is kept in"):
            decode_png(file.getvalue())
    for width, height in [(2**31, 2**31), (60_000, 60_000)]:
        header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9999)))
        with pytest.raises(ValueError, match="not a kind of PNG"):
            decode_png(bomb + chunk(b"IEND", b""))
