"""What goes wrong while serving, as TensorFlow Serving's REST contract says it: a status and one message."""

from __future__ import annotations

import json
import re

# The status code's number (google.rpc.Code) to its name and to HTTP, as TensorFlow Serving maps it.
CODES = {
    1: ("CANCELLED", 499),
    2: ("UNKNOWN", 500),
    3: ("INVALID_ARGUMENT", 400),
    4: ("DEADLINE_EXCEEDED", 504),
    5: ("NOT_FOUND", 404),
    6: ("ALREADY_EXISTS", 409),
    7: ("PERMISSION_DENIED", 403),
    8: ("RESOURCE_EXHAUSTED", 429),
    9: ("FAILED_PRECONDITION", 400),
    10: ("ABORTED", 409),
    11: ("OUT_OF_RANGE", 400),
    12: ("UNIMPLEMENTED", 501),
    13: ("INTERNAL", 500),
    14: ("UNAVAILABLE", 503),
    15: ("DATA_LOSS", 500),
    16: ("UNAUTHENTICATED", 401),
}
_LONGEST_MESSAGE = 1000
_LONGEST_NAME = 200


class ServingError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: HTTP.
        message: one line.
        close: whether the connection must be closed after the answer.
    """

    def __init__(self, status: int, message: str, close: bool = False):
        super().__init__(message)
        self.status, self.message, self.close = status, message, close


def invalid(message: str) -> ServingError:
    """The request itself is wrong: 400."""
    return ServingError(400, message)


def unknown_servable(model: str, version: int | None) -> ServingError:
    """There is no such model, or it has no such version."""
    shown = model[:_LONGEST_NAME]
    request = f"Latest({shown})" if version is None else f"Specific({shown}, {version})"
    return ServingError(404, f"Servable not found for request: {request}")


def unknown_label(label: str) -> ServingError:
    """No version has this label."""
    return invalid(f"Unrecognized servable version label: {label[:_LONGEST_NAME]}")


def no_status(model: str, version: int | None) -> ServingError:
    """There is nothing whose state could be told."""
    what = "any versions" if version is None else f"version {version}"
    return ServingError(404, f"Could not find {what} of model {model[:_LONGEST_NAME]}")


def error_body(message: str) -> bytes:
    """The contract's JSON of an error."""
    return json.dumps({"error": message[:_LONGEST_MESSAGE]}).encode()


def of_exception(error: BaseException) -> ServingError:
    """What TensorFlow, or anything under it, raised while a model ran."""
    if isinstance(error, ServingError):
        return error
    if isinstance(error, MemoryError):
        return ServingError(429, "there is not enough memory for this request")
    _, status = CODES.get(code_of(error), CODES[2])
    return ServingError(status, first_line(error))


def code_of(error: BaseException) -> int:
    """The google.rpc.Code of an exception; unknown (2) where it has none."""
    code = getattr(error, "error_code", None)
    if isinstance(code, int) and code in CODES:
        return code
    # What a signature raises for arguments that do not fit it.
    return 3 if isinstance(error, (ValueError, TypeError)) else 2


def first_line(error: BaseException) -> str:
    """The line of an exception's text that says what went wrong; TensorFlow puts the graph's stack around it."""
    lines = [line.strip() for line in str(error).splitlines()]
    kept = [line for line in lines if line and not line.startswith(_STACK)]
    return re.sub(r" \[Op:[^]]*\]$", "", (kept or [type(error).__name__])[0])[:_LONGEST_MESSAGE]


_STACK = ("Graph execution error", "Detected at node", "<stack traces unavailable>", "[[", "Traceback", "File ")
