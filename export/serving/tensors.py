"""JSON values to arrays, one tensor at a time, with TensorFlow Serving's rules and messages."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import numpy as np

from export.serving.documents import Constant, RepeatedNames, number_too_big, text_of, wrong
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
_MOST_AXES = 16
_TYPE_NAMES = {dict: "Object", RepeatedNames: "Object", list: "Array", str: "String", type(None): "Null"}
_ASCII_SPACE = b" \t\n\v\f\r"
# How many padding characters belong behind as many characters of a last group of four.
_PADDING = {0: 0, 2: 2, 3: 1}


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
    shape = shape_of(value)
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
    raise ServingError(501, f"Conversion of JSON Value: {text_of(flat[0] if flat else value)} to type: {dtype}")


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape that a nested list has along its first values."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def is_bytes_object(value: Any) -> bool:
    """Whether this is the contract's object for bytes, {"b64": "..."}."""
    return type(value) is dict and len(value) == 1 and isinstance(value.get("b64"), str)


def is_named_object(value: Any) -> bool:
    """Whether this is an object of named values, not the one for bytes."""
    return isinstance(value, dict) and not is_bytes_object(value)


def shape_text(shape: tuple[int | None, ...]) -> str:
    """A shape as the contract's messages have it: [2,-1]."""
    return "[" + ",".join("-1" if size is None else str(size) for size in shape) + "]"


def check_shape(spec: TensorSpec, array: np.ndarray) -> None:
    """ServingError 400 where an array is empty or has not the shape that the signature says."""
    if 0 in array.shape:
        raise invalid(f"Input {spec.name} of shape {shape_text(array.shape)} is empty")
    if spec.shape is None:
        return
    sizes = zip(spec.shape, array.shape)
    if len(spec.shape) != array.ndim or not all(size in (None, got) for size, got in sizes):
        raise invalid(
            f"Input {spec.name} has shape {shape_text(array.shape)}, but the signature takes {shape_text(spec.shape)}"
        )


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
    """Numbers rounded to the type's nearest; what is beyond its largest one becomes infinite."""
    _of_types(flat, {int, float, Constant}, dtype)
    try:
        values = np.array(flat, np.float64)
    except OverflowError:
        raise number_too_big() from None
    if any(type(flat[place]) is not Constant for place in np.flatnonzero(np.isinf(values))):
        raise number_too_big()
    with np.errstate(over="ignore"):
        return values.astype(_FLOATS[dtype])


def _integer_array(flat: list, dtype: str) -> np.ndarray:
    _of_types(flat, {int}, dtype)
    limits = np.iinfo(_INTEGERS[dtype])
    if flat and not (limits.min <= min(flat) and max(flat) <= limits.max):
        raise _type_error(next(value for value in flat if not limits.min <= value <= limits.max), dtype)
    return np.array(flat, _INTEGERS[dtype])


def _to_bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return _bytes_of_text(value)
    if not isinstance(value, dict):
        raise _type_error(value, "string")
    if not is_bytes_object(value):
        raise wrong(value, "not formatted correctly for base64 data")
    content = _base64_unescaped(value["b64"])
    if content is None:
        raise invalid("Unable to base64 decode")
    return content


def _bytes_of_text(text: str) -> bytes:
    """UTF-8, besides the bytes that were none in the request, and a second half of a pair without its first one."""
    for errors in ("strict", "surrogateescape"):
        try:
            return text.encode(errors=errors)
        except UnicodeEncodeError:
            continue
    return text.encode(errors="surrogatepass")


def _base64_unescaped(text: str) -> bytes | None:
    """What absl::Base64Unescape makes of a text, None where that refuses it.

    White space is skipped. The padding, of `=` or `.`, is there as it should be or not at all.
    """
    try:
        content = text.encode("ascii").translate(None, _ASCII_SPACE)
        digits = content.rstrip(b"=.")
        rest, padding = len(digits) % 4, len(content) - len(digits)
        if rest not in _PADDING or padding not in (0, _PADDING[rest]):
            return None
        return base64.b64decode(digits + b"=" * _PADDING[rest], validate=True)
    except ValueError:
        return None


def _type_error(value: Any, dtype: str) -> ServingError:
    kind = str(value) if isinstance(value, bool) else _TYPE_NAMES.get(type(value), "Number")
    return invalid(f"JSON Value: {text_of(value)} Type: {kind} is not of expected type: {dtype}")
