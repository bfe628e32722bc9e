"""Damage to files: bits, lengths, cuts, splices, and words of texts. The same seed gives the same damage."""

from __future__ import annotations

import io
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence

# What lengths and counts are overwritten with: nothing, the ends of types, and what fills a memory.
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 10_000, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
_WORDS = (
    *(
        b"",
        b"0",
        b"-1",
        b"nan",
        b"inf",
        b"-inf",
        b"1e999",
        b"1e-999",
        b"99999999999999999999",
        b"0x10",
        b"1_000",
        b"True",
    ),
    *(b"\x00", b"\xff\xfe", b"\x1b[2J", b"'", b'"', b"[", b"]", b"{", b",", b";", b"=", b"[" * 3000, b"\r", b"\n"),
    *(
        "\u0663".encode(),
        "\u22125".encode(),
        b"1" * 5000,
        b"null",
        b"\xed\xa0\x80",
        b"!!python/object/apply:os.abort []",
    ),
)
_WORD = re.compile(rb"[A-Za-z_]+|[-+.\deE]+|[^\w\s]")
_MAX_BYTES = 4_000_000


def mutate(seeds: Sequence[bytes], draw: random.Random, is_text: bool = False) -> bytes:
    """A damaged copy of one of the seeds, by one to three kinds of damage."""
    content = bytearray(draw.choice(seeds))
    kinds = _TEXT if is_text else _BINARY
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        content = draw.choice(kinds)(content, seeds, draw)
    return bytes(content[:_MAX_BYTES])


def _flip_bits(content: bytearray, seeds: Sequence[bytes], draw: random.Random) -> bytearray:
    for _ in range(draw.choice((1, 1, 2, 8, 64)) if content else 0):
        content[_place(content, draw)] ^= 1 << draw.randrange(8)
    return content


def _set_bytes(content: bytearray, seeds: Sequence[bytes], draw: random.Random) -> bytearray:
    place = _place(content, draw)
    content[place : place + draw.choice((1, 2, 4, 16))] = draw.randbytes(draw.choice((1, 2, 4, 16)))
    return content


def _set_number(content: bytearray, seeds: Sequence[bytes], draw: random.Random) -> bytearray:
    size, place = draw.choice((1, 2, 4, 8)), _place(content, draw)
    order = draw.choice(("little", "big"))
    value = draw.choice((*_NUMBERS, len(content), len(content) - place, draw.getrandbits(64))) % 2 ** (8 * size)
    content[place : place + size] = value.to_bytes(size, order)
    return content


def _nudge_number(content: bytearray, seeds: Sequence[bytes], draw: random.Random) -> bytearray:
    """A number that is small now, as lengths and counts are, becomes a little larger or smaller, or its negative."""
    size, order = draw.choice((2, 4, 8)), draw.choice(("little", "big"))
    for _ in range(50):
        place = _place(content, draw)
        value = int.from_bytes(content[place : place + size], order)
        if 0 < value < 100_000 and place + size <= len(content):
            changed = draw.choice((value + 1, value - 1, 2 * value, -value, value + 1000, value << 8 * (size - 1)))
            content[place : place + size] = (changed % 2 ** (8 * size)).to_bytes(size, order)
            break
    return content


def _cut(content: bytearray, seeds: Sequence[bytes], draw: random.Random) -> bytearray:
    return content[: draw.randrange(len(content) + 1)]


def _remove(content: bytearray, seeds: Sequence[bytes], draw: random.Random) -> bytearray:
    place = _place(content, draw)
    del content[place : place + draw.choice((1, 4, 64, 1000))]
    return content


def _repeat(content: bytearray, seeds: Sequence[bytes], draw: random.Random) -> bytearray:
    place = _place(content, draw)
    part = content[place : place + draw.choice((1, 8, 100, 4096))]
    content[place:place] = part * draw.choice((1, 2, 50))
    return content


def _splice(content: bytearray, seeds: Sequence[bytes], draw: random.Random) -> bytearray:
    """A part of another file, or of this one, over or into it."""
    other = draw.choice(seeds)
    start, length = draw.randrange(len(other) + 1), draw.choice((4, 30, 500, 5000))
    place = _place(content, draw)
    content[place : place + draw.choice((0, length))] = other[start : start + length]
    return content


def _zero(content: bytearray, seeds: Sequence[bytes], draw: random.Random) -> bytearray:
    """A hole, as a disk leaves it where a block was not written."""
    place, length = _place(content, draw), draw.choice((16, 512, 4096))
    content[place : place + length] = bytes(len(content[place : place + length]))
    return content


def _change_word(content: bytearray, seeds: Sequence[bytes], draw: random.Random) -> bytearray:
    words = list(_WORD.finditer(content))
    if words:
        first, last = draw.choice(words).span()
        content[first:last] = draw.choice((*_WORDS, words[draw.randrange(len(words))].group()))
    return content


def _change_lines(content: bytearray, seeds: Sequence[bytes], draw: random.Random) -> bytearray:
    lines = content.split(b"\n")
    place, kind = draw.randrange(len(lines)), draw.randrange(3)
    lines[place : place + (kind == 0)] = [lines[place]] * draw.choice((0, 2, 300)) if kind < 2 else [bytearray()]
    return bytearray(b"\n".join(lines))


def _place(content: bytearray, draw: random.Random) -> int:
    """Somewhere; the beginning, where headers are, as often as all the rest."""
    end = len(content) if draw.random() < 0.5 else min(len(content), 300)
    return draw.randrange(end) if end else 0


_BINARY: tuple[Callable, ...] = (
    *(_flip_bits, _flip_bits, _set_bytes, _set_number, _set_number, _nudge_number, _nudge_number),
    *(_cut, _remove, _repeat, _splice, _zero),
)
_TEXT: tuple[Callable, ...] = (_change_word, _change_word, _change_word, _change_lines, *_BINARY)


def repair_png(content: bytes) -> bytes:
    """A PNG whose chunks' checksums are right again, so that damage reaches what stands behind them."""
    parts, place = [content[:8]], 8
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        chunk = content[place + 4 : place + 8 + length]
        if len(chunk) < 4 + length:
            break
        parts.append(content[place : place + 8 + length] + struct.pack(">I", zlib.crc32(chunk)))
        place += 12 + length
    return b"".join(parts) + content[place:]


def pack_npz(content: bytes) -> bytes:
    """An archive whose one array is the damaged one, with the right checksum."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("depth.npy", content)
    return buffer.getvalue()
