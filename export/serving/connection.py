"""HTTP connections: uvicorn's, with a time limit for a request's head and the contract's errors for damaged ones."""

from __future__ import annotations

import asyncio
import http

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from export.serving.body import LINGER_S
from export.serving.errors import error_body
from export.serving.metrics import Metrics
from export.serving.settings import Settings


def connection_class(settings: Settings, metrics: Metrics) -> type[H11Protocol]:
    """The protocol class for `uvicorn.Config(http=...)`."""
    return type("Connection", (_Connection,), {"settings": settings, "metrics": metrics})


class _Connection(H11Protocol):
    """One connection. The body's time limit is the application's (`export.serving.app`), the head's is here."""

    settings: Settings
    metrics: Metrics
    _head_timer: asyncio.TimerHandle | None = None
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.settings.max_connections:
            self.metrics.refused_connections.inc()
            self._refuse(503, f"there are {self.settings.max_connections} connections already; try again later")
            return
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing():
            return
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        self._skip_blank_lines()
        super().handle_events()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for a head that is no HTTP."""
        self._refuse(400, msg)

    def _skip_blank_lines(self) -> None:
        """Drops what some clients send behind a body; h11 takes it for a request without a first line."""
        if self.conn.their_state is not h11.IDLE:
            return
        received, _ = self.conn.trailing_data
        kept = received.lstrip(b"\r\n")
        if len(kept) < len(received):
            self.conn = h11.Connection(h11.SERVER)
            if kept:
                self.conn.receive_data(kept)

    def _watch_head(self) -> None:
        if self._refused or self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
            self._stop_head_timer()
        elif self._head_timer is None and self.timeout_keep_alive_task is None:
            self._head_timer = self.loop.call_later(self.settings.receive_s, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        # A connection that never sent a byte is no request to be answered.
        if self.conn.trailing_data[0]:
            self._refuse(408, f"the request's head did not come within {self.settings.receive_s:g} s")
        else:
            self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int, message: str) -> None:
        self._stop_head_timer()
        if self.transport.is_closing():
            return
        body = error_body(message)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        response = h11.Response(status_code=status, headers=headers, reason=http.HTTPStatus(status).phrase.encode())
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        # What still comes is dropped for a while: closed at once, the connection would be reset under the answer.
        self._refused = True
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)
