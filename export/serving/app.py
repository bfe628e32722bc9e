"""The server's requests and answers, as an ASGI application: TensorFlow Serving's REST contract, and Prometheus."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from export.serving import paths
from export.serving.batching import Batcher
from export.serving.body import Body, BodyReader, ClientGoneError, Receive, discard_rest
from export.serving.documents import read_document
from export.serving.errors import ServingError, error_body, no_status, unknown_label, unknown_servable
from export.serving.formats import encode_reply, signature_name, to_request
from export.serving.frames import frame_sizes
from export.serving.metrics import CONTENT_TYPE, Metrics
from export.serving.paths import Target, read_target
from export.serving.servable import Servable, Signature
from export.serving.settings import Settings
from export.serving.threads import in_thread
from export.serving.versions import Model

Send = Callable[[dict[str, Any]], Awaitable[None]]

_JSON = "application/json"
_CORS_HEADERS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
)


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
        await send({"type": "http.response.start", "status": reply.status, "headers": self._headers(reply)})
        await send({"type": "http.response.body", "body": reply.body, "more_body": reply.close})
        model = self._known_name(scope)
        self._metrics.requests.labels(model, str(reply.status)).inc()
        self._metrics.request_seconds.labels(model).observe(time.perf_counter() - started)
        if reply.close:
            await discard_rest(receive)
            await send({"type": "http.response.body", "body": b""})

    def _headers(self, reply: Reply) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", str(len(reply.body)).encode()),
        ]
        if self._settings.cors:
            headers.extend(_CORS_HEADERS)
        return [*headers, (b"connection", b"close")] if reply.close else headers

    def _known_name(self, scope: Mapping[str, Any]) -> str:
        """The model that a request is about; "" for none, so that made-up names do not fill the metrics."""
        try:
            name = read_target(scope).model
        except ServingError:
            return ""
        return name if name in self._models else ""

    async def _reply(self, scope: Mapping[str, Any], receive: Receive) -> Reply:
        try:
            async with self._reader.body(scope, receive) as body:
                return await asyncio.wait_for(self._answer(read_target(scope), body), self._settings.timeout_s)
        except ServingError as error:
            return Reply(error_body(error.message), error.status, close=error.close)
        except asyncio.TimeoutError:
            return Reply(error_body(f"the request took longer than {self._settings.timeout_s:g} s"), 504)
        except (ClientGoneError, asyncio.CancelledError):
            raise
        except Exception:
            # A mistake of this program: its story belongs into the log, not into the answer.
            traceback.print_exc(file=sys.stderr)
            return Reply(error_body("internal error"), 500)

    async def _answer(self, target: Target, body: Body) -> Reply:
        if target.action == paths.METRICS:
            return Reply(self._metrics.page(), content_type=CONTENT_TYPE)
        if target.action == paths.PREFLIGHT:
            return Reply(b"")
        if target.action == paths.STATUS:
            return Reply(json.dumps(self._status(target)).encode())
        if target.action == paths.METADATA:
            return Reply(json.dumps(self._metadata(target)).encode())
        if target.action == paths.PREDICT:
            return await self._predict(target, body)
        raise ServingError(501, f"{target.action} is not served; use predict")

    def _status(self, target: Target) -> dict[str, Any]:
        """The states of a version, or of all; a label is not looked at, as TensorFlow Serving does not."""
        model = self._models.get(target.model)
        if model is None:
            raise no_status(target.model, target.version)
        return model.status(target.version)

    def _metadata(self, target: Target) -> dict[str, Any]:
        model, version = self._version(target)
        with model.use(version) as (number, servable):
            return {
                "model_spec": {"name": model.name, "signature_name": "", "version": str(number)},
                "metadata": {"signature_def": {"signature_def": servable.metadata}},
            }

    def _version(self, target: Target) -> tuple[Model, int | None]:
        """A model and the number of its version; None for the highest one."""
        model = self._models.get(target.model)
        if model is None:
            # Of two things that are not there, the label is looked up first.
            if target.label is not None:
                raise unknown_label(target.label)
            raise unknown_servable(target.model, target.version)
        return model, target.version if target.label is None else model.version_of_label(target.label)

    async def _predict(self, target: Target, body: Body) -> Reply:
        self._batcher.check_room()
        await body.unpack()
        document = await in_thread(read_document, body.content)
        name = signature_name(document)
        model, version = self._version(target)
        with model.use(version) as (_, servable):
            signature, request, sizes = await in_thread(self._request, document, name, servable)
            body.release()
            outputs = await self._batcher.run(signature, request.inputs, sizes)
            return Reply(await in_thread(encode_reply, outputs, request.rows))

    def _request(self, document: dict[str, Any], name: str, servable: Servable):
        signature: Signature = servable.signature(name)
        request = to_request(document, signature.inputs)
        signature.check_shapes(request.inputs)
        return signature, request, frame_sizes(request.inputs, self._settings.max_frame_pixels)
