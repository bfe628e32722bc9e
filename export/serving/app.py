"""The server's paths and requests, as an ASGI application: TensorFlow Serving's REST contract and Prometheus' page."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from export.serving.batching import Batcher
from export.serving.body import Body, BodyReader, ClientGoneError, Receive, discard_rest
from export.serving.errors import ServingError, error_body, invalid
from export.serving.formats import encode_reply, parse_request
from export.serving.frames import frame_sizes
from export.serving.metrics import CONTENT_TYPE, METRICS_PATH, Metrics
from export.serving.servable import Servable
from export.serving.settings import Settings
from export.serving.versions import Model

Send = Callable[[dict[str, Any]], Awaitable[None]]

_MODEL = r"/v1/models(?:/(?P<name>[^/:]+))?(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST_PATH = re.compile(_MODEL + r":(?P<method>classify|regress|predict)", re.IGNORECASE)
_GET_PATH = re.compile(_MODEL + r"(?:/(?P<metadata>metadata))?", re.IGNORECASE)
_CONTRACT_PATHS = re.compile(r"/v1/.*", re.IGNORECASE | re.DOTALL)
_NOTHING = re.compile(r"(?!)")
_LARGEST_VERSION = 2**63 - 1
_JSON = "application/json"


@dataclasses.dataclass(frozen=True)
class Reply:
    """An answer to a request."""

    body: bytes
    status: int = 200
    content_type: str = _JSON
    close: bool = False


class Application:
    """The ASGI application over models that are loaded already."""

    def __init__(self, models: Mapping[str, Model], batcher: Batcher, settings: Settings, metrics: Metrics):
        self._models, self._batcher, self._settings, self._metrics = models, batcher, settings, metrics
        self._reader = BodyReader(settings)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        started = time.perf_counter()
        try:
            reply = await self._reply(scope, receive)
        except ClientGoneError:
            return
        await send({"type": "http.response.start", "status": reply.status, "headers": _headers(reply)})
        await send({"type": "http.response.body", "body": reply.body, "more_body": reply.close})
        model = self._known_name(scope["path"])
        self._metrics.requests.labels(model, str(reply.status)).inc()
        self._metrics.request_seconds.labels(model).observe(time.perf_counter() - started)
        if reply.close:
            await discard_rest(receive)
            await send({"type": "http.response.body", "body": b""})

    def _known_name(self, path: str) -> str:
        """The model that a path is about; "" for none, so that made-up names do not fill the metrics."""
        found = _POST_PATH.fullmatch(path) or _GET_PATH.fullmatch(path)
        return found["name"] if found and found["name"] in self._models else ""

    async def _reply(self, scope: Mapping[str, Any], receive: Receive) -> Reply:
        try:
            async with self._reader.body(scope, receive) as body:
                return await self._answer(scope["method"], scope["path"], body)
        except ServingError as error:
            return Reply(error_body(error.message), error.status, close=error.close)
        except (ClientGoneError, asyncio.CancelledError):
            raise
        except Exception:
            # A mistake of this program: its story belongs into the log, not into the answer.
            traceback.print_exc(file=sys.stderr)
            return Reply(error_body("internal error"), 500)

    async def _answer(self, method: str, path: str, body: Body) -> Reply:
        if path == METRICS_PATH and method == "GET":
            return Reply(self._metrics.page(), content_type=CONTENT_TYPE)
        if not _CONTRACT_PATHS.fullmatch(path):
            raise ServingError(404, f"Not found: {path[:200]}")
        found = {"GET": _GET_PATH, "POST": _POST_PATH}.get(method, _NOTHING).fullmatch(path)
        if found is None:
            raise invalid(f"Malformed request: {method} {path[:200]}")
        if found["name"] is None:
            raise invalid("Missing model name in request.")
        model = self._models.get(found["name"])
        if method == "POST":
            return await self._predict(model, found, body)
        return Reply(json.dumps(self._describe(model, found)).encode())

    def _describe(self, model: Model | None, found: re.Match) -> dict[str, Any]:
        """Status or metadata."""
        if found["metadata"] is None:
            if model is None:
                raise ServingError(404, f"Could not find any versions of model {found['name'][:200]}")
            return model.status(_version(model, found))
        if model is None:
            raise _unknown_model(found)
        with model.use(_version(model, found)) as (number, servable):
            return {
                "model_spec": {"name": model.name, "signature_name": "", "version": str(number)},
                "metadata": {"signature_def": {"signature_def": servable.metadata}},
            }

    async def _predict(self, model: Model | None, found: re.Match, body: Body) -> Reply:
        if found["method"].lower() != "predict":
            raise ServingError(501, f"{found['method'].lower()} is not served; use predict")
        if model is None:
            raise _unknown_model(found)
        self._batcher.check_room()
        with model.use(_version(model, found)) as (_, servable):
            loop = asyncio.get_running_loop()
            request, sizes = await loop.run_in_executor(None, self._parse, body.content, servable)
            body.release()
            signature = servable.signatures[request.signature]
            outputs = await self._batcher.run(signature, request.inputs, sizes)
            return Reply(await loop.run_in_executor(None, encode_reply, outputs, request.rows))

    def _parse(self, content: bytes, servable: Servable):
        request = parse_request(content, servable.inputs_of, self._settings.max_batch_size)
        return request, frame_sizes(request.inputs, self._settings.max_frame_pixels)


def _version(model: Model, found: re.Match) -> int | None:
    if found["label"] is not None:
        return model.version_of_label(found["label"])
    if found["version"] is None:
        return None
    number = int(found["version"]) if len(found["version"]) < 20 else _LARGEST_VERSION + 1
    if number > _LARGEST_VERSION:
        raise invalid(f"Failed to convert version: {found['version'][:200]} to numeric.")
    return number


def _unknown_model(found: re.Match) -> ServingError:
    name = found["name"][:200]
    request = f"Latest({name})" if found["version"] is None else f"Specific({name}, {found['version'][:20]})"
    return ServingError(404, f"Servable not found for request: {request}")


def _headers(reply: Reply) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
    ]
    return [*headers, (b"connection", b"close")] if reply.close else headers
