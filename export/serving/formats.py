"""Predict requests from their JSON, and the JSON of replies: row format and columnar format.

The rules and the messages are TensorFlow Serving's: https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from export.serving.documents import RepeatedNames, text_of, wrong
from export.serving.errors import ServingError, invalid
from export.serving.tensors import TensorSpec, is_named_object, shape_of, shape_text, to_array
from export.serving.writing import array_text, encoded, row_texts

DEFAULT_SIGNATURE = "serving_default"
Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Request:
    """A predict request's inputs. `rows` tells row format from columnar format."""

    inputs: Arrays
    rows: bool


def signature_name(document: dict[str, Any]) -> str:
    """The signature that a request names; ServingError 400 where the name is no text."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise wrong(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name


def to_request(document: dict[str, Any], specs: Mapping[str, TensorSpec]) -> Request:
    """A request's inputs.

    Args:
        document: its JSON.
        specs: the signature's inputs by name. Their shapes are not looked at: the graph decides what it takes.

    Raises:
        ServingError: 400 for whatever is not as the contract wants it, 501 for types that its JSON does not have.
    """
    if not specs:
        raise invalid(f"Failed to get input map for signature: {signature_name(document)[:200] or 'DEFAULT'}")
    if "instances" in document and "inputs" in document:
        raise wrong(document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in document:
        return Request(_of_rows(_checked_instances(document), specs), True)
    if "inputs" in document:
        return Request(_of_columns(document["inputs"], specs), False)
    raise invalid("Missing 'inputs' or 'instances' key")


def encode_reply(outputs: Arrays, rows: bool) -> bytes:
    """The reply's JSON; in row format `predictions`, else `outputs`. Bare values where there is one output.

    Raises:
        ServingError: 400 where the outputs have no common batch axis, which row format needs, and for types that the
            contract's JSON does not have.
    """
    names = [json.dumps(name) for name in outputs]
    if not rows:
        texts = [array_text(name, array) for name, array in outputs.items()]
        return encoded(f'{{"outputs":{_object_text(names, texts) if len(texts) > 1 else texts[0]}}}')
    _check_rows(outputs)
    columns = [row_texts(name, array) for name, array in outputs.items()]
    parts = columns[0] if len(columns) == 1 else [_object_text(names, texts) for texts in zip(*columns)]
    return encoded('{"predictions":[' + ",".join(parts) + "]}")


def _object_text(names: list[str], texts: list[str] | tuple[str, ...]) -> str:
    return "{" + ",".join(f"{name}:{text}" for name, text in zip(names, texts)) + "}"


def _check_rows(outputs: Arrays) -> None:
    expected = None
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information")
        if expected not in (None, len(array)):
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {expected}")
        expected = len(array)


def _checked_instances(document: dict[str, Any]) -> list:
    instances = document["instances"]
    if not isinstance(instances, list):
        raise wrong(document, "Excepting 'instances' to be an list/array")
    if not instances:
        raise wrong(document, "No values in 'instances' array")
    return instances


def _of_rows(instances: list, specs: Mapping[str, TensorSpec]) -> Arrays:
    """All rows at once; where that fails, the first row that is wrong is looked for, so that it can be named."""
    named = is_named_object(instances[0])
    if not named and len(specs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    keys = specs.keys()
    odd = next((n for n, row in enumerate(instances) if not _is_like(row, named, keys)), len(instances))
    good = instances[:odd]
    if not named:
        [name] = specs
        columns = {name: good}
    else:
        columns = {name: [row[name] for row in good] for name in specs}
    arrays = _arrays_of(columns, specs, named) if good else {}
    if odd < len(instances):
        raise _odd_row(odd, instances[odd], specs, named)
    return arrays


def _is_like(row: Any, named: bool, keys: Any) -> bool:
    if not named:
        return not is_named_object(row)
    return type(row) is dict and row.keys() == keys and is_named_object(row)


def _odd_row(number: int, row: Any, specs: Mapping[str, TensorSpec], named: bool) -> ServingError:
    if named != is_named_object(row):
        expected, got = ("object", "list") if named else ("value/list", "object")
        return invalid(f"Expecting {expected} but got {got} at item {number} of input list")
    unknown = [name for name in row if name not in specs]
    if unknown:
        return _failed(number, unknown[0], True, f"JSON object: does not have named input: {unknown[0][:200]}")
    if isinstance(row, RepeatedNames):
        return invalid(f"Failed to process element: {number} of 'instances' list. A name comes twice: {text_of(row)}")
    return invalid(
        f"Failed to process element: {number} of 'instances' list. JSON object: {text_of(row)} keys must be equal to: "
        f"{','.join(sorted(specs))}"
    )


def _arrays_of(columns: dict[str, list], specs: Mapping[str, TensorSpec], named: bool) -> Arrays:
    """The values of each input, of all rows, as one array; the error is that of the first row that is wrong."""
    arrays, failed = {}, {}
    for name, column in columns.items():
        try:
            arrays[name] = to_array(column, specs[name].dtype)
        except ServingError as error:
            failed[name] = (_first_wrong(column, specs[name].dtype), error.message)
    if failed:
        name = min(failed, key=failed.get)
        number, message = failed[name]
        message = _what_is_wrong(columns[name][0], columns[name][number], specs[name].dtype) or message
        raise _failed(number, name, named, message)
    return arrays


def _first_wrong(column: list, dtype: str) -> int:
    """The number of the first row that is no array, or none like those before it."""
    good, bad = 0, len(column)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            to_array([column[0], *column[good:middle]], dtype)
            good = middle
        except ServingError:
            bad = middle
    return bad - 1


def _what_is_wrong(first: Any, row: Any, dtype: str) -> str:
    try:
        array = to_array(row, dtype)
    except ServingError as error:
        return error.message
    shape = shape_of(first)
    size = int(np.prod(shape))
    if array.size != size:
        return f"Expecting tensor size: {size} but got: {array.size}"
    return f"Expecting shape {shape_text(shape)} but got: {shape_text(array.shape)}" if array.shape != shape else ""


def _failed(number: int, name: str, named: bool, message: str) -> ServingError:
    key = f" key: {name[:200]}" if named else ""
    return invalid(f"Failed to process element: {number}{key} of 'instances' list. Error: {message}")


def _of_columns(value: Any, specs: Mapping[str, TensorSpec]) -> Arrays:
    if not is_named_object(value):
        if len(specs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        [name] = specs
        value = {name: value}
    for name in specs:
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: to_array(value[name], spec.dtype) for name, spec in specs.items()}
