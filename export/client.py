"""Asks a server for hands: this project's or TensorFlow Serving. Needs NumPy and the standard library alone.

from export.client import Client
client = Client("http://127.0.0.1:8501")
hand = client.predict(depth_counts, intrinsics=[475.1, 475.1, 314.5, 245.9], depth_unit_mm=0.125)
hand["joints_mm"]  # [J, 3]
"""

from __future__ import annotations

import base64
import http.client
import json
import math
import re
import struct
import urllib.parse
import zlib
from collections.abc import Sequence
from typing import Any, Union

import numpy as np

DEFAULT_MODEL = "lsps"
# Of this project's models: with neither, and with both, of the hand's centre and side; and of several hands.
DEFAULT_SIGNATURE, HINTED_SIGNATURE, HANDS_SIGNATURE = "serving_default", "serving_hinted", "serving_hands"
Frame = Union[bytes, np.ndarray]
# A version's address and the one that predicts are what export/serve.py prints.
_PATH = re.compile(
    r"(?:/v1/models/(?P<model>[^/:]+)(?P<version>/versions/[0-9]+|/labels/[^/:]+)?(?::predict)?)?/?", re.IGNORECASE
)
_PASSWORD = re.compile(r"^((?:[a-z][a-z0-9+.-]*:)?//)?.*@", re.IGNORECASE | re.DOTALL)


class ServerError(Exception):
    """The server answered with an error, or not at all.

    Attributes:
        status: HTTP; 0 where there was no answer.
        message: the server's, or why it could not be reached.
    """

    def __init__(self, status: int, message: str):
        super().__init__(f"{status}: {message}" if status else message)
        self.status, self.message = status, message


class Client:
    """One connection to a server, which stays open. Threads need a client each."""

    def __init__(self, url: str, model: str | None = None, timeout_s: float = 60.0):
        """Args:
            url: "http://HOST:PORT", or with a path "/v1/models/NAME", "/versions/V" or "/labels/L" behind that, and
                ":predict". With "USER:PASSWORD@" before the host, both are sent with each request (Basic).
            model: the name, where the URL has none; default "lsps".
            timeout_s: for connecting, and for each answer.

        Raises:
            ValueError: where the URL is none.
        """
        self.url = without_password(url)
        parts, port = _parts_of(url, self.url)
        found = _PATH.fullmatch(parts.path)
        if found is None:
            raise _no_address(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, port, timeout=timeout_s)
        self._headers = {"Content-Type": "application/json", **_authorization(parts)}
        name = found["model"] or urllib.parse.quote(model or DEFAULT_MODEL, safe="")
        self.path = f"/v1/models/{name}{found['version'] or ''}"
        self._signatures: dict[str, Any] | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; the next request opens it again."""
        self._connection.close()

    def predict(
        self,
        frame: Frame,
        intrinsics: Sequence[float],
        depth_unit_mm: float = 1.0,
        center_mm: Sequence[float] | None = None,
        **inputs: Any,
    ) -> dict[str, np.ndarray]:
        """The hand of one frame.

        Args:
            frame: whole counts [H, W] that fit 16 bits, 0 = no reading; or the bytes of a 16-bit PNG.
            intrinsics: fx, fy, cx, cy in pixels.
            depth_unit_mm: mm that one count stands for.
            center_mm: the hand's centre in camera space; None finds it.
            inputs: further inputs of the model's signature, by name; of this project's models hand, "right", "left" or
                "auto", the default, which tells it from what the hand looks like.

        Returns:
            The model's outputs without the batch axis; of this project's models `joints_mm` [J, 3] in camera space,
            `joints_uvd` [J, 3], `center_mm` [3], `presence`, `hand` and more. NaN where no hand was found.

        Raises:
            ServerError: where the server refuses the request or cannot be reached.
        """
        row = self.row(frame, intrinsics, depth_unit_mm, center_mm, **inputs)
        [outputs] = self.predict_rows([row], self.signature_of(row))
        return outputs

    def predict_hands(
        self,
        frame: Frame,
        intrinsics: Sequence[float],
        depth_unit_mm: float = 1.0,
        hand: str = "auto",
    ) -> list[dict[str, np.ndarray]]:
        """The hands of one frame, the nearest first, as many as the model finds; arguments as for `predict`.

        Returns:
            Per hand what `predict` gives of one; none where there is no hand.

        Raises:
            ServerError: as `predict`, and where the model finds no several hands.
        """
        row = {**self.row(frame, intrinsics, depth_unit_mm), "hand": hand}
        [outputs] = self.predict_rows([row], HANDS_SIGNATURE)
        by_hand = {name: value for name, value in outputs.items() if value.ndim}
        whole = {name: value for name, value in outputs.items() if not value.ndim}
        rows = [{**whole, **dict(zip(by_hand, values))} for values in zip(*by_hand.values())]
        return [row for row in rows if row["presence"]]

    def row(
        self,
        frame: Frame,
        intrinsics: Sequence[float],
        depth_unit_mm: float = 1.0,
        center_mm: Sequence[float] | None = None,
        **inputs: Any,
    ) -> dict[str, Any]:
        """A frame as a row of a request; arguments as for `predict`."""
        png = frame if isinstance(frame, bytes) else encode_png(frame)
        row = {
            "depth_png_bytes": {"b64": base64.b64encode(png).decode()},
            "intrinsics": [float(number) for number in intrinsics],
            "depth_unit_mm": float(depth_unit_mm),
            **inputs,
        }
        if center_mm is not None:
            row["center_mm"] = [float(number) for number in center_mm]
        # Signatures have no optional inputs: NaN is how a model that takes a centre is told to find it.
        missing = self.inputs(self.signature_of(row)).keys() - row.keys()
        values = {"center_mm": [math.nan] * 3, "hand": "auto"}
        return {**row, **{name: value for name, value in values.items() if name in missing}}

    def signature_of(self, row: dict[str, Any]) -> str:
        """The signature that takes a row: the hinted one for a row with a centre or a side, where the model has it."""
        hinted = ("center_mm" in row or "hand" in row) and self.inputs(HINTED_SIGNATURE)
        return HINTED_SIGNATURE if hinted else DEFAULT_SIGNATURE

    def predict_rows(
        self, rows: Sequence[dict[str, Any]], signature: str = DEFAULT_SIGNATURE
    ) -> list[dict[str, np.ndarray]]:
        """Runs rows of any signature, which the server may run together; a dictionary of outputs per row.

        Raises:
            ServerError: where the server refuses the request or cannot be reached, or where it gives joints of a hand
                that are no numbers.
        """
        body = {"signature_name": signature, "instances": list(rows)}
        predictions = self.request("POST", f"{self.path}:predict", body)["predictions"]
        outputs = [{name: np.asarray(value) for name, value in _named(row).items()} for row in predictions]
        for row in outputs:
            _check_joints(row)
        return outputs

    def inputs(self, signature: str = DEFAULT_SIGNATURE) -> dict[str, Any]:
        """The inputs of a signature by name, as the metadata declares them; asked for once."""
        return self._declared(signature, "inputs")

    def outputs(self, signature: str = DEFAULT_SIGNATURE) -> dict[str, Any]:
        """The outputs of a signature by name, as `inputs`."""
        return self._declared(signature, "outputs")

    def _declared(self, signature: str, what: str) -> dict[str, Any]:
        if self._signatures is None:
            self._signatures = self.metadata()["metadata"]["signature_def"]["signature_def"]
        return self._signatures.get(signature, {}).get(what, {})

    def metadata(self) -> dict[str, Any]:
        """The model's signatures."""
        return self.request("GET", f"{self.path}/metadata")

    def status(self) -> dict[str, Any]:
        """The states of the model's versions."""
        return self.request("GET", self.path)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Sends JSON and gives the answer's JSON; ServerError where that is an error or there is none."""
        content = None if body is None else json.dumps(body).encode()
        status, text = self._send(method, path, content)
        try:
            # Texts of a model may hold any bytes.
            answer = json.loads(text.decode(errors="replace"))
        except ValueError:
            raise ServerError(status, f"{self.url}: the answer is no JSON, so this is no such server") from None
        if status != 200:
            raise ServerError(status, answer.get("error", text.decode()) if isinstance(answer, dict) else str(answer))
        return answer

    def _send(self, method: str, path: str, content: bytes | None) -> tuple[int, bytes]:
        reused = self._connection.sock is not None
        try:
            self._connection.request(method, path, content, self._headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (http.client.HTTPException, OSError) as error:
            self._connection.close()
            # The server closes a connection that was idle for long; a prediction may be asked for twice.
            if reused and isinstance(error, (http.client.RemoteDisconnected, ConnectionError)):
                return self._send(method, path, content)
            raise ServerError(0, f"{self.url} does not answer ({error or type(error).__name__})") from error


def without_password(url: str) -> str:
    """An address as it may be printed: without the user and the password that stand in it."""
    return _PASSWORD.sub(lambda match: match[1] or "", url)


def _parts_of(url: str, shown: str) -> tuple[urllib.parse.SplitResult, int | None]:
    try:
        parts = urllib.parse.urlsplit(url if "//" in url else f"//{url}", scheme="http")
        port = parts.port
    except ValueError:
        raise _no_address(shown) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise _no_address(shown)
    return parts, port


def _no_address(shown: str) -> ValueError:
    return ValueError(f"'{shown}' is no address of a server; give http://HOST:PORT[/v1/models/NAME]")


def _authorization(parts: urllib.parse.SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _check_joints(outputs: dict[str, np.ndarray]) -> None:
    """ServerError where a hand is there and its joints are no numbers: nothing that could be used as a hand."""
    if "presence" not in outputs:
        return
    present = outputs["presence"].astype(bool)
    for name in ("joints_mm", "joints_uvd", "center_mm"):
        if name in outputs and not np.isfinite(outputs[name][present]).all():
            raise ServerError(
                200,
                f"the model's {name} of a hand are no numbers, as after a training that diverged; serve another one",
            )


def encode_png(counts: np.ndarray) -> bytes:
    """Whole counts [H, W] as a 16-bit grayscale PNG; ValueError where they do not fit 16 bits."""
    counts = np.asarray(counts)
    if counts.ndim != 2 or 0 in counts.shape:
        raise ValueError(f"a frame has two axes (height, width), not the shape {counts.shape}")
    if counts.dtype != np.uint16:
        if counts.dtype.kind not in "uif" or not np.all((counts >= 0) & (counts <= 65535) & (counts == counts // 1)):
            raise ValueError("the frame's values must be whole counts within 0 to 65535; give a smaller depth_unit_mm")
        counts = counts.astype(np.uint16)
    height, width = counts.shape
    rows = counts.astype(">u2").view(np.uint8)
    # Filter 2 (up): each byte less the one above it. Depth changes little from row to row, so this packs well.
    filtered = np.empty((height, 1 + 2 * width), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    filtered[1:, 1:] = rows[1:] - rows[:-1]
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 4)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _named(row: Any) -> dict[str, Any]:
    return row if isinstance(row, dict) else {"output": row}
