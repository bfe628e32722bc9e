"""What a request asks for: its method and its target, matched as they stand and decoded after that."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from export.serving.errors import ServingError, invalid
from export.serving.metrics import METRICS_PATH

# TensorFlow Serving's patterns. A name or a label that holds one of "/:?#" comes with it encoded. There a query is a
# part of the path, so none is taken.
_WHICH = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:?#]+))?"
_POST = re.compile(rf"/v1/models/(?P<name>[^/:?#]+){_WHICH}:(?P<verb>classify|regress|predict)", re.I | re.A)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:?#]+))?{_WHICH}(?:/(?P<verb>metadata))?", re.I | re.A)
_PATTERNS = {"GET": _GET, "POST": _POST}
_CONTRACT = re.compile(r"/v1/.*", re.I | re.A | re.S)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*", re.I | re.A)
_NO_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_LARGEST_VERSION = 2**63 - 1
_MOST_DIGITS = len(str(_LARGEST_VERSION))
_LONGEST_SHOWN = 200
# These alone count, as they are; the pattern takes them in any case.
_POST_VERBS = ("predict", "classify", "regress")

METRICS, STATUS, METADATA, PREFLIGHT = "metrics", "status", "metadata", "preflight"
PREDICT = "predict"


@dataclasses.dataclass(frozen=True)
class Target:
    """What a request asks for.

    Attributes:
        action: METRICS, STATUS, METADATA, PREFLIGHT, PREDICT, or "classify" and "regress".
        model: its name; "" where the action has none.
        version: its number, where one is asked for.
        label: the version's label, where one is asked for.
    """

    action: str
    model: str = ""
    version: int | None = None
    label: str | None = None


def read_target(scope: Mapping[str, Any]) -> Target:
    """What the request of an ASGI scope asks for.

    Raises:
        ServingError: 404 for a path outside of the contract, 400 for one within it that means nothing.
    """
    method, target = scope["method"], _path_and_query(scope)
    if target.partition("?")[0] == METRICS_PATH:
        if target != METRICS_PATH:
            raise invalid(f"Unexpected path: {target[:_LONGEST_SHOWN]}. Should be {METRICS_PATH}")
        return Target(METRICS)
    if not _CONTRACT.fullmatch(target):
        raise ServingError(404, f"Not found: {target[:_LONGEST_SHOWN]}")
    if method == "OPTIONS" and _comes_from_a_page(scope):
        return Target(PREFLIGHT)
    found = _PATTERNS[method].fullmatch(target) if method in _PATTERNS else None
    if found is None or _NO_ESCAPE.search(target) or (method == "POST" and found["verb"] not in _POST_VERBS):
        raise invalid(f"Malformed request: {method} {target[:_LONGEST_SHOWN]}")
    if found["name"] is None:
        raise invalid("Missing model name in request.")
    return Target(_action(method, found["verb"]), _decoded(found["name"]), _version(found), _decoded(found["label"]))


def _action(method: str, verb: str | None) -> str:
    if method == "POST":
        return verb
    # In capitals it is taken for nothing, there as here.
    return METADATA if verb == METADATA else STATUS


def _path_and_query(scope: Mapping[str, Any]) -> str:
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    origin = _ORIGIN.match(path)
    path = path[origin.end() :] if origin else path
    return f"{path}?{query}" if query else path


def _comes_from_a_page(scope: Mapping[str, Any]) -> bool:
    origin = dict(scope["headers"]).get(b"origin", b"")
    return b"http://" in origin or b"https://" in origin


def _decoded(text: str | None) -> str | None:
    return None if text is None else urllib.parse.unquote(text)


def _version(found: re.Match) -> int | None:
    if found["version"] is None:
        return None
    digits = found["version"].lstrip("0") or "0"
    if len(digits) > _MOST_DIGITS or int(digits) > _LARGEST_VERSION:
        raise invalid(f"Failed to convert version: {digits[:_LONGEST_SHOWN]} to numeric.")
    return int(digits)
