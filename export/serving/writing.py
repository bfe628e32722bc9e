"""Arrays to the text of JSON, as TensorFlow Serving writes it.

A number of floating point is written with six digits where these are the number again, else with as many as are
always enough. So a float32 costs no digits that it does not have.
"""

from __future__ import annotations

import base64
import json
import math

import numpy as np

from export.serving.errors import invalid

_BYTES_SUFFIX = "_bytes"
# Digits that tell each value of a type from all others.
_ENOUGH_DIGITS = {"float32": 9, "float64": 17}
_INTEGERS = ("int8", "uint8", "int16", "int32", "uint32", "int64", "uint64")
# TensorFlow's name of a type in messages, where it is not NumPy's.
_MESSAGE_NAMES = {"float16": "half"}


def array_text(name: str, array: np.ndarray) -> str:
    """An output as nested lists; strings as text, or as {"b64": "..."} where the output's name ends in `_bytes`.

    Raises:
        ServingError: 400 for types that the contract's JSON does not have.
    """
    [text] = _nested(_value_texts(name, array), array.shape, 0)
    return text


def row_texts(name: str, array: np.ndarray) -> list[str]:
    """The same for each part along the first axis."""
    return _nested(_value_texts(name, array), array.shape, 1)


def string_text(content: bytes) -> str:
    """A JSON string. Bytes that are no UTF-8 stand in it as surrogate escapes, for `encoded`."""
    return json.dumps(content.decode(errors="surrogateescape"), ensure_ascii=False)


def encoded(text: str) -> bytes:
    """The bytes of JSON text; those that were no UTF-8 are as they were."""
    return text.encode(errors="surrogateescape")


def float_texts(values: np.ndarray) -> list[str]:
    """The text of each number [N] of float32 or float64."""
    texts = _formatted("%.6g", values)
    with np.errstate(over="ignore"):
        same = np.array(list(map(float, texts)), np.float64).astype(values.dtype) == values
    finite = np.isfinite(values)
    longer = np.flatnonzero(~same & finite)
    exact = _formatted(f"%.{_ENOUGH_DIGITS[values.dtype.name]}g", values[longer])
    for place, text in zip(longer.tolist(), exact):
        texts[place] = text
    for place in longer[values[longer] == np.trunc(values[longer])].tolist():
        # A whole number in full, where that is no longer: as a double it is then the same, too.
        texts[place] = min(f"{values[place]:.1f}", texts[place], key=len)
    # A whole number keeps its point, so that whoever reads it knows the type.
    texts = [text if "." in text or "e" in text else f"{text}.0" for text in texts]
    for place in np.flatnonzero(~finite).tolist():
        texts[place] = "NaN" if np.isnan(values[place]) else "Infinity" if values[place] > 0 else "-Infinity"
    return texts


def _formatted(form: str, values: np.ndarray) -> list[str]:
    return (f"{form} " * len(values) % tuple(values.tolist())).split()


def _value_texts(name: str, array: np.ndarray) -> list[str]:
    flat, kind = array.reshape(-1), array.dtype.name
    if kind in _ENOUGH_DIGITS:
        return float_texts(flat)
    if kind in _INTEGERS:
        return list(map(str, flat.tolist()))
    if kind == "bool":
        return ["true" if value else "false" for value in flat.tolist()]
    if kind != "object":
        raise invalid(f"Failed to write JSON value for tensor type: {_MESSAGE_NAMES.get(kind, kind)}")
    if name.endswith(_BYTES_SUFFIX):
        return [f'{{"b64":"{base64.b64encode(value).decode()}"}}' for value in flat]
    return [string_text(value) for value in flat]


def _nested(texts: list[str], shape: tuple[int, ...], first_axis: int) -> list[str]:
    """Texts of single values put into brackets, from the last axis up to `first_axis`."""
    for axis in reversed(range(first_axis, len(shape))):
        size = shape[axis]
        starts = range(0, math.prod(shape[:axis]) * size, size) if size else [0] * math.prod(shape[:axis])
        texts = ["[" + ",".join(texts[start : start + size]) + "]" for start in starts]
    return texts
