"""Requests' bodies, received within limits on the size of each, on its time, and on the memory of all together."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from export.serving.errors import ServingError
from export.serving.settings import Settings
from export.serving.threads import in_thread

Receive = Callable[[], Awaitable[dict[str, Any]]]
# A sender that is answered before its body's end must not find the connection reset before it reads the answer.
LINGER_S = 2.0
_GZIP_MAGIC = b"\x1f\x8b"
# The last bytes of a gzip stream: how many bytes it unpacks to, the lowest first.
_GZIP_SIZE_BYTES = 4
# Deflate packs nothing smaller than that: https://zlib.net/zlib_tech.html
_LARGEST_RATIO = 1032
# Tells zlib that the stream is gzip's.
_GZIP_WINDOW = 31


class ClientGoneError(Exception):
    """The sender closed the connection; there is nobody to answer."""


class Body:
    """A received body. `content` is empty again after `release`."""

    def __init__(self, reader: BodyReader, encoding: str = ""):
        self._reader, self._held, self._encoding = reader, 0, encoding
        self.content = b""

    async def unpack(self) -> None:
        """Unpacks the content where it is packed.

        As TensorFlow Serving does: an encoding that has "gzip" in it counts, no other one does, and what cannot be
        unpacked is an empty body. "GZIP" counts too, where the content is some.

        Raises:
            ServingError: 413 where it unpacks to more than a body may have, 429 for lack of room.
        """
        packed = "gzip" in self._encoding.lower() and self.content.startswith(_GZIP_MAGIC)
        if not packed and "gzip" not in self._encoding:
            return
        size = int.from_bytes(self.content[-_GZIP_SIZE_BYTES:], "little")
        if not packed or size > _LARGEST_RATIO * len(self.content):
            self.release()
            return
        if size > self._reader.max_bytes:
            raise _too_large(self._reader.max_bytes)
        self.hold(size)
        self.content = await in_thread(_unpacked, self.content, size)

    def hold(self, count: int) -> None:
        """Counts bytes to the memory of all bodies; ServingError 429 where there is no room for them."""
        self._reader.take(count)
        self._held += count

    def release(self) -> None:
        """Gives the memory back."""
        self.content = b""
        self._reader.take(-self._held)
        self._held = 0


class BodyReader:
    """Receives the bodies of one server's requests."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._pending_bytes = 0
        self.max_bytes = settings.max_body_bytes

    def take(self, count: int) -> None:
        """Counts bytes that are held from now on; ServingError 429 where these are too many."""
        if count > 0 and self._pending_bytes + count > self._settings.max_pending_bytes:
            raise ServingError(429, "too many bytes of requests are being received; try again later", close=True)
        self._pending_bytes += count

    @contextlib.asynccontextmanager
    async def body(self, scope: Mapping[str, Any], receive: Receive) -> AsyncIterator[Body]:
        """A request's body; its memory is counted within the block, at most.

        Raises:
            ServingError: 408 for a slow body, 413 for a large one, 429 for lack of room.
            ClientGoneError: where the sender went away.
        """
        headers = dict(scope["headers"])
        if int(headers.get(b"content-length", b"0")) > self.max_bytes:
            raise _too_large(self.max_bytes)
        body = Body(self, headers.get(b"content-encoding", b"").decode("latin-1"))
        try:
            await self._fill(body, receive)
            yield body
        finally:
            body.release()

    async def _fill(self, body: Body, receive: Receive) -> None:
        try:
            await asyncio.wait_for(self._receive_all(body, receive), self._settings.receive_s)
        except asyncio.TimeoutError:
            message = f"the body did not come within {self._settings.receive_s:g} s"
            raise ServingError(408, message, close=True) from None

    async def _receive_all(self, body: Body, receive: Receive) -> None:
        limit, parts, received, more = self.max_bytes, [], 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            part, more = message.get("body", b""), message.get("more_body", False)
            received += len(part)
            if received > limit:
                raise _too_large(limit)
            body.hold(len(part))
            parts.append(part)
        body.content = b"".join(parts)


async def discard_rest(receive: Receive) -> None:
    """Takes what the sender still sends after its answer, for a short while."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_discard(receive), LINGER_S)


async def _discard(receive: Receive) -> None:
    more = True
    while more:
        message = await receive()
        more = message["type"] == "http.request" and message.get("more_body", False)


def _unpacked(content: bytes, size: int) -> bytes:
    """What a gzip stream of `size` bytes holds; nothing where it is damaged or holds another number of bytes."""
    stream = zlib.decompressobj(_GZIP_WINDOW)
    try:
        # A byte more than it says: a stream that lies unpacks no further.
        unpacked = stream.decompress(content, size + 1)
    except zlib.error:
        return b""
    return unpacked if stream.eof and len(unpacked) == size and not stream.unused_data else b""


def _too_large(limit: int) -> ServingError:
    return ServingError(413, f"the body is larger than {limit} bytes", close=True)
