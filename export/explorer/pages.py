"""Serves the explorer's page and what it needs to know of the model; everything else is the REST server's.

The page asks the server alone, by TensorFlow Serving's contract. Its policy lets a browser load nothing from elsewhere.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lsps_tf.camera import CAMERAS
from lsps_tf.model_info import ASSET_NAME, CODES_NAME

if TYPE_CHECKING:
    from export.serving.versions import Model

ROOT = "/explore/"
PAGE = pathlib.Path(__file__).with_name("page")
HOW_TO_EXPORT = "python export/run.py --run-dir RUN --output MODEL --explore"
_MODEL = "model.json"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
}
# blob: is what the page saves; nothing else comes from anywhere but here.
_POLICY = "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
# The unit in which the named cameras' frames usually come, mm; 1 for those not named.
_UNITS_MM = {"sr305": 0.125}

Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Mapping[str, Any], Any, Send], Awaitable[None]]


class Explored(NamedTuple):
    """The model to explore: its name, its version and the version's folder."""

    name: str
    version: int
    folder: pathlib.Path


def first_to_explore(models: Iterable[Model]) -> Explored | None:
    """The newest version of the first model that generates; of the first model at all where none does."""
    served = [Explored(model.name, model.newest.number, model.newest.path) for model in models if model.newest]
    able = [explored for explored in served if (_assets(explored.folder) / CODES_NAME).is_file()]
    return next(iter(able or served), None)


class Explorer:
    """An ASGI application around the REST server's.

    Attributes:
        files: the page's files by their path below ROOT.
    """

    def __init__(self, server: Application, newest: Callable[[], Explored | None]):
        """Args: the REST server, and what gives the model to explore at the moment, None for none."""
        self._server, self._newest = server, newest
        paths = [path for path in PAGE.rglob("*") if path.is_file()]
        self.files = {path.relative_to(PAGE).as_posix(): path.read_bytes() for path in paths}

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Send) -> None:
        """Answers one HTTP request."""
        path = scope.get("path", "")
        if scope["method"] not in ("GET", "HEAD") or (not (path + "/").startswith(ROOT) and path != "/"):
            await self._server(scope, receive, send)
            return
        if not path.startswith(ROOT):
            await _send(send, 302, b"", "text/plain", location=ROOT)
            return
        name = path[len(ROOT) :] or "index.html"
        if name == _MODEL:
            status, values = self._model()
            await _send(send, status, json.dumps(values).encode(), _TYPES[".json"])
        elif name in self.files:
            await _send(send, 200, self.files[name], _TYPES[pathlib.PurePosixPath(name).suffix])
        else:
            await _send(send, 404, b"There is no such file.", _TYPES[".txt"])

    def _model(self) -> tuple[int, dict[str, Any]]:
        """The status, and what the page needs to know of the newest version, or the error that it shows."""
        newest = self._newest()
        if newest is None:
            return 503, {"error": "no version of the model is served at the moment; see the server's output"}
        name, version, folder = newest
        assets = _assets(folder)
        if not (assets / CODES_NAME).is_file():
            error = f"{name}, version {version}, cannot generate; export its run so that it can: {HOW_TO_EXPORT}"
            return 404, {"error": error}
        info, codes = (json.loads((assets / file).read_text(encoding="utf-8")) for file in (ASSET_NAME, CODES_NAME))
        kept = {key: info[key] for key in ("joint_names", "bones", "cube_mm", "image_size")}
        return 200, {"name": name, "version": version, **kept, "codes": codes, "cameras": _cameras()}


def _assets(folder: pathlib.Path) -> pathlib.Path:
    return folder / "assets"


def _cameras() -> dict[str, dict[str, Any]]:
    return {
        name: {
            "intrinsics": [round(float(value), 3) for value in camera.intrinsics],
            "width": camera.width,
            "height": camera.height,
            "depth_unit_mm": _UNITS_MM.get(name, 1.0),
        }
        for name, camera in CAMERAS.items()
    }


async def _send(send: Send, status: int, body: bytes, content_type: str, location: str = "") -> None:
    headers = {
        "content-type": content_type,
        "content-length": str(len(body)),
        "content-security-policy": _POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
        **({"location": location} if location else {}),
    }
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
