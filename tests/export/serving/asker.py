"""Starts this project's server for a test, and asks it or any other."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import http.client
import json
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

from export.serving.command import serve
from export.serving.settings import Settings


@dataclasses.dataclass(frozen=True)
class Answer:
    """Status, headers by lower-case name, and the body, as JSON where it is some."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> str:
        """The message of the contract's error; the body holds nothing else."""
        assert list(self.body) == ["error"], self.body
        return self.body["error"]


class Asker:
    """Sends requests to one server, a connection each."""

    def __init__(self, url: str):
        self.url = url.rstrip("/")
        parts = urllib.parse.urlsplit(url)
        self.address = (parts.hostname, parts.port)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, raw: bool = False
    ) -> Answer:
        """`body` is sent as it is where it is bytes, else as JSON; `raw` leaves the answer's body as bytes."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        try:
            connection.request(method, path, content, headers or {})
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        kind = response.getheader("content-type", "")
        received = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, received, json.loads(text) if "json" in kind and text and not raw else text)

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def predict(self, body: Any, path: str = "/v1/models/toy") -> Answer:
        return self.ask("POST", f"{path}:predict", body)


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[tuple[Asker, list[str]]]:
    """This project's server in a thread, and the lines that it says; it must stop cleanly."""
    lines, running_server, ready, failed = [], [], threading.Event(), []

    def started(server, port):
        running_server.extend((server, port))
        ready.set()

    def run():
        try:
            asyncio.run(serve(settings, lines.append, started))
        except BaseException as error:
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    if failed:
        thread.join()
        raise failed[0]
    server, port = running_server
    try:
        yield Asker(f"http://127.0.0.1:{port}"), lines
    finally:
        server.should_exit = True
        thread.join(60)
    assert not thread.is_alive()
    assert not failed


def b64(content: bytes) -> dict[str, str]:
    """Bytes as the contract writes them in JSON."""
    return {"b64": base64.b64encode(content).decode()}
