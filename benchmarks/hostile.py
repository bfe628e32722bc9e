"""Requests that no honest client sends, for `benchmarks/serving.py`: what is sent, and how the answer is judged."""

from __future__ import annotations

import base64
import copy
import json
import random
import socket
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

# The contract's statuses of a request that is wrong, too large, too slow or too much.
ERROR_STATUSES = {400, 404, 408, 413, 429, 501, 503}
_ANSWER_S = 60.0

Kind = Callable[["Hostile"], bytes]


class Hostile:
    """Makes and sends hostile variants of one good request.

    Attributes:
        row: a good row of the signature.
        png: its frame.
        path: of the predict request.
        pause_s: how long a slow sender is silent; longer than the server waits.
    """

    def __init__(self, address: tuple[str, int], path: str, row: dict[str, Any], pause_s: float, seed: int):
        self.address, self.path, self.row, self.pause_s = address, path, row, pause_s
        self.png = base64.b64decode(row["depth_png_bytes"]["b64"])
        self.random = random.Random(seed)

    def send(self, kind: str) -> str:
        """Sends one request of a kind; "" where it was answered with the contract's error, else what came instead."""
        parts = KINDS[kind](self)
        parts = [parts] if isinstance(parts, bytes) else parts
        try:
            with socket.create_connection(self.address, timeout=_ANSWER_S) as connection:
                for number, part in enumerate(parts):
                    if number:
                        time.sleep(self.pause_s)
                    connection.sendall(part)
                return _judge(connection)
        except OSError as error:
            return f"no answer ({type(error).__name__})"

    def post(self, body: Any) -> bytes:
        """A whole POST request; `body` is bytes, or JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.head(len(content)) + content

    def head(self, length: int) -> bytes:
        return f"POST {self.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n".encode()

    def changed(self, **values: Any) -> dict[str, Any]:
        """The good request with other inputs."""
        return {"instances": [{**copy.deepcopy(self.row), **values}]}

    def frame(self, png: bytes) -> bytes:
        return self.post(self.changed(depth_png_bytes={"b64": base64.b64encode(png).decode()}))


def _truncated(hostile: Hostile) -> bytes:
    return hostile.frame(hostile.png[: hostile.random.randrange(len(hostile.png) - 1)])


def _flipped(hostile: Hostile) -> bytes:
    """A byte of the compressed pixels changed; the checksum of its chunk tells."""
    place = hostile.random.randrange(60, len(hostile.png) - 20)
    return hostile.frame(hostile.png[:place] + bytes([hostile.png[place] ^ 0xFF]) + hostile.png[place + 1 :])


def _bomb(hostile: Hostile) -> bytes:
    """A header of gigapixels over a few kilobytes of zeros."""
    size = hostile.random.choice([5_000, 50_000, 2**31 - 1])
    header = struct.pack(">IIBBBBB", size, size, 16, 0, 0, 0, 0)
    return hostile.frame(_png([(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1_000_000), 9)), (b"IEND", b"")]))


def _text_bomb(hostile: Hostile) -> bytes:
    """A header of a usual size, no pixels, and text that unpacks to 100 MB."""
    header = struct.pack(">IIBBBBB", 640, 480, 16, 0, 0, 0, 0)
    text = b"Comment\0\0" + _ZEROS
    return hostile.frame(_png([(b"IHDR", header), (b"zTXt", text), (b"IEND", b"")]))


def _wrong_type(hostile: Hostile) -> bytes:
    name = hostile.random.choice(sorted(hostile.row))
    wrong = hostile.random.choice([None, True, "text", {"a": 1}, [[["deep"]]], [], {"b64": 3}, {"b64": "***"}])
    return hostile.post(hostile.changed(**{name: wrong}))


def _wrong_keys(hostile: Hostile) -> bytes:
    row = copy.deepcopy(hostile.row)
    if hostile.random.random() < 0.5:
        row.pop(hostile.random.choice(sorted(row)))
    else:
        row["unknown"] = 1.0
    return hostile.post({"instances": [row]})


def _huge_batch(hostile: Hostile) -> bytes:
    rows = [{**hostile.row, "depth_png_bytes": "x"}] * hostile.random.choice([1_000, 20_000])
    return hostile.post({"instances": rows})


def _nan_camera(hostile: Hostile) -> bytes:
    camera = list(hostile.row["intrinsics"])
    bad = hostile.random.choice([float("nan"), float("inf"), float("-inf"), 0.0, -475.0])
    camera[hostile.random.randrange(2)] = bad
    return hostile.post(hostile.changed(intrinsics=camera))


def _bad_json(hostile: Hostile) -> bytes:
    text = json.dumps({"instances": [hostile.row]}).encode()
    choices = [text[: hostile.random.randrange(len(text))], b"[" * 100_000, b'{"instances": ', b"\xff\xfe", b""]
    return hostile.post(hostile.random.choice(choices))


def _large_body(hostile: Hostile) -> bytes:
    return hostile.post(b" " * 20_000_000)


def _bad_path(hostile: Hostile) -> bytes:
    paths = [
        "/",
        "/v1/models/none:predict",
        hostile.path.replace(":predict", "/versions/99:predict"),
        "/v1/../x:predict",
    ]
    return hostile.post({"instances": [hostile.row]}).replace(
        hostile.path.encode(), hostile.random.choice(paths).encode(), 1
    )


def _bad_http(hostile: Hostile) -> bytes:
    return hostile.random.choice([b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03 \r\n\r\n"])


def _slow_head(hostile: Hostile) -> list[bytes]:
    head = hostile.head(100)
    return [head[: hostile.random.randrange(1, len(head) - 4)], b""]


def _slow_body(hostile: Hostile) -> list[bytes]:
    return [hostile.head(1000) + b'{"instances": [', b""]


def _png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


_ZEROS = zlib.compress(bytes(100_000_000), 9)
# Kind to how it is made, and how often it is drawn.
KINDS: dict[str, Kind] = {
    "truncated PNG": _truncated,
    "damaged PNG": _flipped,
    "decompression bomb": _bomb,
    "text bomb": _text_bomb,
    "wrong type": _wrong_type,
    "wrong keys": _wrong_keys,
    "huge batch": _huge_batch,
    "NaN or impossible camera": _nan_camera,
    "bad JSON": _bad_json,
    "large body": _large_body,
    "unknown path": _bad_path,
    "no HTTP": _bad_http,
    "slow head": _slow_head,
    "slow body": _slow_body,
}
WEIGHTS = {"large body": 0.1, "text bomb": 0.5, "huge batch": 0.3, "slow head": 0.1, "slow body": 0.1}


def _judge(connection: socket.socket) -> str:
    received = b""
    while True:
        part = connection.recv(65536)
        received += part
        head, found, body = received.partition(b"\r\n\r\n")
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if not part or (found and length and len(body) >= int(length[0].split(b":")[1])):
            break
    if not received:
        return "closed without an answer"
    try:
        status, answer = int(head.split()[1]), json.loads(body)
    except (ValueError, IndexError):
        return "an answer that is none of the contract"
    if status not in ERROR_STATUSES:
        return f"status {status}"
    return "" if list(answer) == ["error"] and answer["error"] else f"status {status} without the contract's error"
