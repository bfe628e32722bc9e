"""The JSON of predict requests to arrays, and arrays to the JSON of replies: row format and columnar format.

The rules and the messages are TensorFlow Serving's: https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from export.serving.errors import ServingError, invalid
from export.serving.tensors import (
    TensorSpec,
    check_shape,
    is_bytes_object,
    shape_text,
    text_of,
    to_array,
    to_json,
    wrong,
)

DEFAULT_SIGNATURE = "serving_default"
Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Request:
    """A predict request. `rows` tells row format from columnar format."""

    signature: str
    inputs: Arrays
    rows: bool


def parse_request(
    body: bytes, inputs_of: Callable[[str], Mapping[str, TensorSpec]], largest_batch: int | None = None
) -> Request:
    """Reads a request's body.

    Args:
        body: JSON.
        inputs_of: the inputs of a signature by name; raises ServingError for an unknown one.
        largest_batch: the most rows that a request may have.

    Raises:
        ServingError: 400 for whatever is not as the contract wants it, 501 for types that its JSON does not have.
    """
    document = _parse_json(body)
    signature = document.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(signature, str):
        raise wrong(document, "not formatted correctly. 'signature_name' key must be a string value.")
    specs = inputs_of(signature or DEFAULT_SIGNATURE)
    if "instances" in document and "inputs" in document:
        raise wrong(document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in document:
        inputs, rows = _of_rows(_checked_instances(document, largest_batch), specs), True
    elif "inputs" in document:
        inputs, rows = _of_columns(document["inputs"], specs), False
    else:
        raise invalid("Missing 'inputs' or 'instances' key")
    for name, array in inputs.items():
        check_shape(specs[name], array)
    return Request(signature or DEFAULT_SIGNATURE, inputs, rows)


def encode_reply(outputs: Arrays, rows: bool) -> bytes:
    """The reply's JSON; in row format `predictions`, else `outputs`. Bare values where there is one output.

    Raises:
        ServingError: 400 where the outputs have no common batch axis, which row format needs; 501 for types that the
            contract's JSON does not have.
    """
    if not rows:
        values = {name: to_json(name, array) for name, array in outputs.items()}
        return json.dumps({"outputs": values if len(values) > 1 else next(iter(values.values()))}).encode()
    sizes: dict[str, int] = {}
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information")
        sizes[name] = len(array)
        if len(set(sizes.values())) > 1:
            expected = next(iter(sizes.values()))
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {expected}")
    values = {name: to_json(name, array) for name, array in outputs.items()}
    if len(values) == 1:
        return json.dumps({"predictions": next(iter(values.values()))}).encode()
    return json.dumps({"predictions": [dict(zip(values, row)) for row in zip(*values.values())]}).encode()


def _parse_json(body: bytes) -> dict[str, Any]:
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except UnicodeDecodeError as error:
        raise invalid(f"JSON Parse error: the text is not UTF-8 at offset: {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {str(error)[:200]}") from None
    if not isinstance(document, dict):
        raise wrong(document, "Is not object")
    return document


def _checked_instances(document: dict[str, Any], largest_batch: int | None) -> list:
    instances = document["instances"]
    if not isinstance(instances, list):
        raise wrong(document, "Excepting 'instances' to be an list/array")
    if not instances:
        raise wrong(document, "No values in 'instances' array")
    if largest_batch is not None and len(instances) > largest_batch:
        raise too_many_rows(len(instances), largest_batch)
    return instances


def too_many_rows(rows: int, largest_batch: int) -> ServingError:
    """The error of a request with more rows than run together."""
    return invalid(f"Task size {rows} is larger than maximum input batch size {largest_batch}")


def _of_rows(instances: list, specs: Mapping[str, TensorSpec]) -> Arrays:
    objects = _is_row_object(instances[0])
    if not objects and len(specs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    rows = [_row(number, row, specs, objects) for number, row in enumerate(instances)]
    for number, row in enumerate(rows):
        for name, array in row.items():
            if array.shape != rows[0][name].shape:
                raise invalid(
                    f"Failed to process element: {number} key: {name} of 'instances' list. Error: Expecting shape "
                    f"{shape_text(rows[0][name].shape)} but got: {shape_text(array.shape)}"
                )
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _row(number: int, row: Any, specs: Mapping[str, TensorSpec], objects: bool) -> Arrays:
    if objects != _is_row_object(row):
        expected, got = ("object", "list") if objects else ("value/list", "object")
        raise invalid(f"Expecting {expected} but got {got} at item {number} of input list")
    values = row if objects else {next(iter(specs)): row}
    for name in values:
        if name not in specs:
            raise invalid(
                f"Failed to process element: {number} key: {text_of(name)} of 'instances' list. Error: "
                f"JSON object: does not have named input: {text_of(name)}"
            )
    if len(values) < len(specs):
        raise invalid(
            f"Failed to process element: {number} of 'instances' list. JSON object: {text_of(row)} keys must be equal "
            f"to: {','.join(sorted(specs))}"
        )
    arrays = {}
    for name, value in values.items():
        try:
            arrays[name] = to_array(value, specs[name].dtype)
        except ServingError as error:
            message = f"Failed to process element: {number} key: {name} of 'instances' list. Error: {error.message}"
            raise ServingError(error.status, message) from None
    return arrays


def _of_columns(value: Any, specs: Mapping[str, TensorSpec]) -> Arrays:
    if not _is_row_object(value):
        if len(specs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = {next(iter(specs)): value}
    for name in specs:
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: to_array(value[name], spec.dtype) for name, spec in specs.items()}


def _is_row_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_bytes_object(value)
