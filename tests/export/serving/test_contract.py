"""Every line of TensorFlow Serving's REST contract, asked of a running server.

This project's own, or the real one (with the models of toy_models.py) where TF_SERVING_URL is set:

    python tests/export/serving/toy_models.py /tmp/toys
    tensorflow_model_server --rest_api_port=8501 --model_config_file=/tmp/toys/models.config \
        --allow_version_labels_for_unavailable_models --monitoring_config_file=export/tf_serving/monitoring.config
    TF_SERVING_URL=http://127.0.0.1:8501 python -m pytest tests/export/serving/test_contract*.py
"""

from __future__ import annotations

import json

import numpy as np
import pytest

X = [1.0, 2.0, 3.0]
# 2 x + version; version 2 is the highest.
Y = [4.0, 6.0, 8.0]


# Body


@pytest.mark.parametrize("body", [b"", b"{", b"[1, 2", b"instances", b'{"instances": [1,]}'])
def test_bad_json(server, body):
    answer = server.predict(body)
    assert answer.status == 400
    assert answer.error.startswith("JSON Parse error: ")


@pytest.mark.parametrize("body", [[X], "text", 3, None])
def test_body_must_be_an_object(server, body):
    answer = server.predict(json.dumps(body).encode())
    assert answer.status == 400
    assert answer.error.endswith("Is not object")


def test_exactly_one_of_instances_and_inputs(server):
    answer = server.predict({"instances": [X], "inputs": [X]})
    assert answer.status == 400
    assert "expecting only one of 'inputs' or 'instances' keys to exist" in answer.error
    answer = server.predict({"signature_name": "serving_default"})
    assert (answer.status, answer.error) == (400, "Missing 'inputs' or 'instances' key")


def test_signature_name(server):
    assert server.predict({"signature_name": "serving_default", "instances": [X]}).body == {"predictions": [Y]}
    assert server.predict({"signature_name": "", "instances": [X]}).body == {"predictions": [Y]}
    answer = server.predict({"signature_name": 100, "instances": [X]})
    assert answer.status == 400
    assert "'signature_name' key must be a string value." in answer.error
    answer = server.predict({"signature_name": "none", "instances": [X]})
    assert (answer.status, answer.error) == (400, 'Serving signature name: "none" not found in signature def')


# Row format


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_rows_of_a_single_input_may_be_bare_or_objects(server, rows):
    x = np.arange(3.0 * rows).reshape(rows, 3)
    expected = {"predictions": (2 * x + 2).tolist()}
    assert server.predict({"instances": x.tolist()}).body == expected
    assert server.predict({"instances": [{"x": row} for row in x.tolist()]}).body == expected


def test_rows_of_several_inputs_are_objects(server):
    rows = [{"a": [1.0, 2.0], "n": 3}, {"a": [0.5, 0.5], "n": -4}]
    answer = server.predict({"signature_name": "two", "instances": rows})
    expected = [{"total": 6.0, "n_next": 4}, {"total": -3.0, "n_next": -3}]
    assert (answer.status, answer.body) == (200, {"predictions": expected})


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        ("x", "to be an list/array"),
        ({"x": X}, "to be an list/array"),
        ([], "No values in 'instances' array"),
        ([{"x": X}, X], "Expecting object but got list at item 1"),
        ([X, {"x": X}], "Expecting value/list but got object at item 1"),
        ([{"z": X}], "does not have named input: "),
        ([X, [X, X]], "Expecting tensor size: 3 but got: 6"),
        ([X, [1.0, 2.0]], "Failed to process element: 1"),
        ([X, X, [1.0, 2.0], "x"], "Expecting tensor size: 3 but got: 2"),
        ([X, [[1.0, 2.0, 3.0]]], "Expecting shape [3] but got: [1,3]"),
        ([X, [1.0, True, 2.0]], "Type: True is not of expected type: float"),
        ([[1.0, [2.0], 3.0]], "Failed to process element: 0"),
        ([[[1.0], 2.0, 3.0]], "Failed to process element: 0"),
    ],
)
def test_rows_that_are_none(server, instances, message):
    answer = server.predict({"instances": instances})
    assert answer.status == 400
    assert message in answer.error


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        ([[1.0, 2.0]], "instances is a plain list, but expecting list of objects"),
        ([{"a": [1.0, 2.0]}], "keys must be equal to: a,n"),
        ([{"a": [1.0, 2.0], "n": 1, "m": 1}], "does not have named input: "),
    ],
)
def test_keys_of_rows_equal_the_inputs(server, instances, message):
    answer = server.predict({"signature_name": "two", "instances": instances})
    assert answer.status == 400
    assert message in answer.error


def test_row_format_needs_a_common_batch_axis_in_the_outputs(server):
    answer = server.predict({"signature_name": "scalar", "instances": [X]})
    assert answer.status == 400
    assert "no shape information" in answer.error
    answer = server.predict({"signature_name": "uneven", "instances": [X]})
    assert answer.status == 400
    assert "inconsistent batch size" in answer.error


# Columnar format


def test_columnar_format(server):
    assert server.predict({"inputs": [X, X]}).body == {"outputs": [Y, Y]}
    assert server.predict({"inputs": {"x": [X, X]}}).body == {"outputs": [Y, Y]}
    answer = server.predict({"signature_name": "two", "inputs": {"a": [[1, 2]], "n": [3]}})
    assert answer.body == {"outputs": {"total": [6.0], "n_next": [4]}}


def test_columnar_format_has_scalars_and_uneven_outputs(server):
    assert server.predict({"signature_name": "scalar", "inputs": [X]}).body == {"outputs": 6.0}
    answer = server.predict({"signature_name": "uneven", "inputs": [X]})
    assert answer.body == {"outputs": {"a": [X], "b": [X, X]}}


def test_columnar_missing_input_is_an_error_and_an_extra_one_is_ignored(server):
    answer = server.predict({"signature_name": "two", "inputs": {"a": [[1.0, 2.0]]}})
    assert (answer.status, answer.error) == (400, "Missing named input: n in 'inputs' object.")
    inputs = {"a": [[1.0, 2.0]], "n": [3], "m": "whatever"}
    assert server.predict({"signature_name": "two", "inputs": inputs}).status == 200
    answer = server.predict({"signature_name": "two", "inputs": [[1.0, 2.0]]})
    assert answer.status == 400
    assert answer.error.startswith("inputs is a plain value/list, but expecting an object")


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [([[1.0, 2.0]], [[4.0, 6.0]]), ([1.0], [4.0]), (1.0, 4.0), ([[X]], [[Y]]), ([], []), ([[]], [[]])],
)
def test_shape_is_for_the_graph_to_decide(server, inputs, outputs):
    """It doubles what it gets, whatever its signature says."""
    answer = server.predict({"inputs": inputs})
    assert (answer.status, answer.body) == (200, {"outputs": outputs})


def test_shape_that_the_graph_refuses(server):
    answer = server.predict({"signature_name": "two", "inputs": {"a": [[1, 2], [3, 4], [5, 6]], "n": [1, 2]}})
    assert answer.status == 400
    assert answer.error


def test_rows_of_any_shape(server):
    assert server.predict({"instances": [1.0, 2.0]}).body == {"predictions": [4.0, 6.0]}
    answer = server.predict({"signature_name": "any", "instances": [[]]})
    assert (answer.status, answer.body) == (200, {"predictions": [[]]})


def test_fixed_batch(server):
    answer = server.predict({"signature_name": "fixed", "inputs": [X, X]})
    assert answer.body == {"outputs": [[2.0, 3.0, 4.0]] * 2}
    assert server.predict({"signature_name": "fixed", "inputs": [X]}).body == {"outputs": [[2.0, 3.0, 4.0]]}


def test_columns_need_not_be_of_one_length(server):
    inputs = {"a": [1.0, 2.0], "b": [0.5, 1.5, 2.5]}
    answer = server.predict({"signature_name": "apart", "inputs": inputs})
    assert (answer.status, answer.body) == (200, {"outputs": {"a2": [2.0, 4.0], "b2": [1.0, 3.0, 5.0]}})


@pytest.mark.parametrize("body", [{"instances": [1]}, {"inputs": [1]}, {"instances": [{}]}, {"inputs": {}}])
def test_signature_without_inputs(server, body):
    answer = server.predict({"signature_name": "constant", **body})
    assert (answer.status, answer.error) == (400, "Failed to get input map for signature: constant")


@pytest.mark.parametrize("kind", ["half", "uint16", "complex64"])
def test_outputs_without_json(server, kind):
    answer = server.predict({"signature_name": f"gives_{kind}", "instances": [X]})
    assert (answer.status, answer.error) == (400, f"Failed to write JSON value for tensor type: {kind}")


def test_what_the_graph_refuses_is_a_bad_request(server):
    good = {"signature_name": "positive", "instances": [[4.0, 9.0, 16.0]]}
    assert server.predict(good).body == {"predictions": [[2.0, 3.0, 4.0]]}
    answer = server.predict({"signature_name": "positive", "instances": [[4.0, -9.0, 16.0]]})
    assert answer.status == 400
    assert "x must be positive" in answer.error
