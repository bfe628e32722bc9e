"""Requests' bodies, received within limits on the size of each, on its time, and on the memory of all together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from export.serving.errors import ServingError
from export.serving.settings import Settings

Receive = Callable[[], Awaitable[dict[str, Any]]]
# A sender that is answered before its body's end must not find the connection reset before it reads the answer.
_LINGER_S = 2.0


class ClientGoneError(Exception):
    """The sender closed the connection; there is nobody to answer."""


class Body:
    """A received body. `content` is empty again after `release`."""

    def __init__(self, reader: BodyReader):
        self._reader, self._held = reader, 0
        self.content = b""

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

    def take(self, count: int) -> None:
        """Counts bytes that are held from now on; ServingError 429 where these are too many."""
        if count > 0 and self._pending_bytes + count > self._settings.max_pending_bytes:
            raise ServingError(429, "too many bytes of requests are being received; try again later", close=True)
        self._pending_bytes += count

    @contextlib.asynccontextmanager
    async def body(self, scope: Mapping[str, Any], receive: Receive) -> AsyncIterator[Body]:
        """A request's body; its memory is counted within the block, at most.

        Raises:
            ServingError: 400 for a compressed body, 408 for a slow one, 413 for a large one, 429 for lack of room.
            ClientGoneError: where the sender went away.
        """
        headers, limit = dict(scope["headers"]), self._settings.max_body_bytes
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise ServingError(400, "compressed bodies are not taken; send the JSON as it is", close=True)
        if int(headers.get(b"content-length", b"0")) > limit:
            raise _too_large(limit)
        body = Body(self)
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
        limit, parts, received, more = self._settings.max_body_bytes, [], 0, True
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
        await asyncio.wait_for(_discard(receive), _LINGER_S)


async def _discard(receive: Receive) -> None:
    more = True
    while more:
        message = await receive()
        more = message["type"] == "http.request" and message.get("more_body", False)


def _too_large(limit: int) -> ServingError:
    return ServingError(413, f"the body is larger than {limit} bytes", close=True)
