"""JSON values to arrays and back, one tensor at a time, with TensorFlow Serving's rules and messages."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from typing import Any

import numpy as np

from export.serving.errors import ServingError, invalid

# TensorFlow's names of the types that its JSON has, and NumPy's.
_FLOATS = {"float": np.float32, "double": np.float64}
_INTEGERS = {
    "int8": np.int8,
    "uint8": np.uint8,
    "int16": np.int16,
    "int32": np.int32,
    "uint32": np.uint32,
    "int64": np.int64,
    "uint64": np.uint64,
}
# Whole numbers above are not all exact any more, so they are refused.
_LARGEST_EXACT = {"float": 2**24 - 1, "double": 2**53 - 1}
_MOST_AXES = 16
_LONGEST_VALUE = 200
_BYTES_SUFFIX = "_bytes"
_TYPE_NAMES = {dict: "Object", list: "Array", str: "String", bool: "Bool", type(None): "Null"}


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """An input or output of a signature.

    Attributes:
        name: in the signature.
        dtype: as TensorFlow writes it in messages: "float", "int32", "string".
        shape: None for an unknown size; None instead of a shape for an unknown rank.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


def to_array(value: Any, dtype: str) -> np.ndarray:
    """A nested list, or a single value, as an array of TensorFlow's type `dtype`; strings become bytes objects.

    Raises:
        ServingError: 400 where the lists are ragged or a value is not of the type, 501 for types that the contract's
            JSON does not have.
    """
    shape = _shape_of(value)
    if len(shape) > _MOST_AXES:
        raise invalid(f"Encountered list at unexpected level: {len(shape)} expected < {_MOST_AXES}")
    flat: list = []
    _flatten(value, 0, shape, flat)
    if dtype in _FLOATS:
        return _float_array(flat, dtype).reshape(shape)
    if dtype in _INTEGERS:
        return _integer_array(flat, dtype).reshape(shape)
    if dtype == "bool":
        return np.array(_of_types(flat, {bool}, dtype), np.bool_).reshape(shape)
    if dtype == "string":
        array = np.empty(len(flat), object)
        array[:] = [_to_bytes(value) for value in flat]
        return array.reshape(shape)
    raise ServingError(501, f"Conversion of JSON Value: {text_of(value)} to type: {dtype}")


def _shape_of(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _flatten(value: Any, level: int, shape: tuple[int, ...], flat: list) -> None:
    """Appends the values of a nested list to `flat`; they must fill `shape` exactly."""
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {text_of(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        flat.append(value)
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    if level == len(shape) - 1 and list not in set(map(type, value)):
        flat.extend(value)
        return
    for part in value:
        _flatten(part, level + 1, shape, flat)


def _of_types(flat: list, allowed: set[type], dtype: str) -> list:
    if not set(map(type, flat)) <= allowed:
        raise _type_error(next(value for value in flat if type(value) not in allowed), dtype)
    return flat


def _float_array(flat: list, dtype: str) -> np.ndarray:
    _of_types(flat, {int, float}, dtype)
    try:
        values = np.array(flat, np.float64)
    except OverflowError:
        raise invalid(f"Cannot convert JSON value: a whole number to {dtype} without loss of precision.") from None
    inexact = np.isfinite(values) & (np.abs(values) > _LARGEST_EXACT[dtype])
    for place in np.flatnonzero(inexact) if inexact.any() else ():
        value = flat[place]
        if abs(value) > np.finfo(_FLOATS[dtype]).max or (type(value) is int and abs(value) < 2**64):
            raise invalid(f"Cannot convert JSON value: {text_of(value)} to {dtype} without loss of precision.")
    return values.astype(_FLOATS[dtype])


def _integer_array(flat: list, dtype: str) -> np.ndarray:
    _of_types(flat, {int}, dtype)
    limits = np.iinfo(_INTEGERS[dtype])
    if flat and not (limits.min <= min(flat) and max(flat) <= limits.max):
        raise _type_error(next(value for value in flat if not limits.min <= value <= limits.max), dtype)
    return np.array(flat, _INTEGERS[dtype])


def _to_bytes(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise invalid(f"JSON Value: {text_of(value)} is no Unicode text") from None
    if not isinstance(value, dict):
        raise _type_error(value, "string")
    if not is_bytes_object(value):
        raise wrong(value, "not formatted correctly for base64 data")
    text = value["b64"].rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def is_bytes_object(value: dict) -> bool:
    """Whether this is the contract's object for bytes, {"b64": "..."}."""
    return len(value) == 1 and isinstance(value.get("b64"), str)


def check_shape(spec: TensorSpec, array: np.ndarray) -> None:
    """ServingError 400 where an array is empty or has not the shape that the signature wants."""
    if 0 in array.shape:
        raise invalid(f"Input {spec.name} of shape {shape_text(array.shape)} is empty")
    if spec.shape is None:
        return
    sizes = zip(spec.shape, array.shape)
    if len(spec.shape) != array.ndim or not all(size in (None, got) for size, got in sizes):
        raise invalid(
            f"Input {spec.name} has shape {shape_text(array.shape)}, but the signature takes "
            f"{shape_text(spec.shape)}"
        )


def to_json(name: str, array: np.ndarray) -> Any:
    """An output as nested lists; strings as text, or as {"b64": "..."} where the output's name ends in `_bytes`."""
    if array.dtype.kind in "fiub":
        return array.tolist()
    if array.dtype.kind not in "OS":
        raise ServingError(501, f"Failed to write JSON value for tensor type: {array.dtype}")
    texts = np.empty(array.shape, object)
    as_bytes = name.endswith(_BYTES_SUFFIX)
    for index in np.ndindex(array.shape):
        value = array[index]
        texts[index] = {"b64": base64.b64encode(value).decode()} if as_bytes else value.decode(errors="replace")
    return texts.tolist()


def _type_error(value: Any, dtype: str) -> ServingError:
    kind = _TYPE_NAMES.get(type(value), "Number")
    return invalid(f"JSON Value: {text_of(value)} Type: {kind} is not of expected type: {dtype}")


def wrong(value: Any, what: str) -> ServingError:
    """The error of a JSON value that is `what`."""
    return invalid(f"JSON Value: {text_of(value)} {what}")


def text_of(value: Any) -> str:
    """A value for a message, cut short; a whole body is never written out for that."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text_of(key)}: ..." for key in list(value)[:8]) + "}"
    if isinstance(value, list):
        return f"[... {len(value)} values]"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**64:
        return "a whole number beyond 64 bits"
    text = json.dumps(value) if not isinstance(value, str) else json.dumps(value[:_LONGEST_VALUE])
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."


def shape_text(shape: tuple[int | None, ...]) -> str:
    """A shape as the contract's messages have it: [2,-1]."""
    return "[" + ",".join("-1" if size is None else str(size) for size in shape) + "]"
