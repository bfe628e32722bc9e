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
AVAILABLE = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


# Paths


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/models/toy", Y),
        ("/v1/models/toy/versions/1", [3.0, 5.0, 7.0]),
        ("/v1/models/toy/versions/2", Y),
        ("/v1/models/toy/labels/stable", [3.0, 5.0, 7.0]),
        ("/V1/Models/toy/Versions/1", [3.0, 5.0, 7.0]),
    ],
)
def test_predict_takes_the_highest_version_or_the_named_one(server, path, expected):
    answer = server.predict({"instances": [X]}, path)
    assert (answer.status, answer.body) == (200, {"predictions": [expected]})
    assert answer.headers["content-type"] == "application/json"


def test_path_outside_v1_is_not_found(server):
    assert server.get("/v2/models/toy").status == 404
    assert server.get("/").status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/toy:predict"),
        ("POST", "/v1/models/toy"),
        ("GET", "/v1/models/toy/"),
        ("GET", "/v1/models/toy/versions/one"),
        ("GET", "/v1/modelstoy"),
        ("POST", "/v1/models:predict"),
        ("POST", "/v1/models/toy:PREDICT"),
        ("POST", "/v1/models/toy:predict?verbose=1"),
        ("GET", "/v1/models/toy?verbose=1"),
        ("POST", "/v1/models/toy%3Apredict"),
        ("POST", "/v1/models/toy:predic%74"),
    ],
)
def test_malformed_path_is_a_bad_request(server, method, path):
    answer = server.ask(method, path, {"instances": [X]} if method == "POST" else None)
    assert answer.status == 400
    assert answer.error == f"Malformed request: {method} {path}"


def test_names_and_labels_are_decoded(server):
    assert server.predict({"instances": [X]}, "/v1/models/t%6Fy").body == {"predictions": [Y]}
    answer = server.predict({"instances": [X]}, "/v1/models/toy/labels/st%61ble")
    assert answer.body == {"predictions": [[3.0, 5.0, 7.0]]}
    answer = server.get("/v1/models/a%3Ab%2F%3F%5B%23")
    assert (answer.status, answer.error) == (404, "Could not find any versions of model a:b/?[#")
    answer = server.predict({"instances": [X]}, "/v1/models/toy/labels/a%3Ab")
    assert (answer.status, answer.error) == (400, "Unrecognized servable version label: a:b")


def test_metadata_in_capitals_is_the_status(server):
    assert list(server.get("/v1/models/toy/METADATA").body) == ["model_version_status"]


@pytest.mark.parametrize("model", ["toy", "none"])
def test_version_is_read_before_anything_else(server, model):
    answer = server.predict(b"{", f"/v1/models/{model}/versions/{2**63}")
    assert answer.status == 400
    assert f"Failed to convert version: {2**63} to numeric." in json.dumps(answer.body)


def test_body_is_read_before_the_model_is_looked_up(server):
    answer = server.predict(b"{", "/v1/models/none")
    assert answer.status == 400
    assert answer.error.startswith("JSON Parse error: ")


def test_model_name_is_needed(server):
    answer = server.get("/v1/models")
    assert (answer.status, answer.error) == (400, "Missing model name in request.")


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


# Errors


@pytest.mark.parametrize(
    ("path", "request_text"),
    [("/v1/models/none", "Latest(none)"), ("/v1/models/toy/versions/7", "Specific(toy, 7)")],
)
def test_unknown_servable(server, path, request_text):
    answer = server.predict({"instances": [X]}, path)
    assert (answer.status, answer.error) == (404, f"Servable not found for request: {request_text}")
    answer = server.get(f"{path}/metadata")
    assert (answer.status, answer.error) == (404, f"Servable not found for request: {request_text}")


def test_status_of_unknown_models_and_versions(server):
    answer = server.get("/v1/models/none")
    assert (answer.status, answer.error) == (404, "Could not find any versions of model none")
    for model in ("toy", "none"):
        answer = server.get(f"/v1/models/{model}/versions/7")
        assert (answer.status, answer.error) == (404, f"Could not find version 7 of model {model}")


def test_unknown_label(server):
    for answer in (
        server.predict({"instances": [X]}, "/v1/models/toy/labels/none"),
        server.get("/v1/models/toy/labels/none/metadata"),
    ):
        assert (answer.status, answer.error) == (400, "Unrecognized servable version label: none")


def test_what_the_graph_refuses_is_a_bad_request(server):
    good = {"signature_name": "positive", "instances": [[4.0, 9.0, 16.0]]}
    assert server.predict(good).body == {"predictions": [[2.0, 3.0, 4.0]]}
    answer = server.predict({"signature_name": "positive", "instances": [[4.0, -9.0, 16.0]]})
    assert answer.status == 400
    assert "x must be positive" in answer.error


# Status, metadata and metrics


def test_status(server):
    answer = server.get("/v1/models/toy")
    assert answer.status == 200
    versions = sorted(answer.body["model_version_status"], key=lambda status: status["version"])
    assert versions == [{"version": "1", **AVAILABLE}, {"version": "2", **AVAILABLE}]
    answer = server.get("/v1/models/toy/versions/1")
    assert (answer.status, answer.body) == (200, {"model_version_status": [{"version": "1", **AVAILABLE}]})


@pytest.mark.parametrize("label", ["stable", "none"])
def test_status_does_not_look_at_labels(server, label):
    answer = server.get(f"/v1/models/toy/labels/{label}")
    assert answer.status == 200
    assert sorted(status["version"] for status in answer.body["model_version_status"]) == ["1", "2"]


@pytest.mark.parametrize(("path", "version"), [("", "2"), ("/versions/1", "1"), ("/labels/stable", "1")])
def test_metadata(server, path, version):
    answer = server.get(f"/v1/models/toy{path}/metadata")
    assert answer.status == 200
    assert answer.body["model_spec"] == {"name": "toy", "signature_name": "", "version": version}
    signatures = answer.body["metadata"]["signature_def"]["signature_def"]
    two = signatures["two"]
    assert two["method_name"] == "tensorflow/serving/predict"
    assert two["inputs"]["a"]["dtype"] == "DT_FLOAT"
    assert two["inputs"]["a"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}],
        "unknown_rank": False,
    }
    assert two["inputs"]["n"]["dtype"] == "DT_INT32"
    assert sorted(two["outputs"]) == ["n_next", "total"]
    assert signatures["scalar"]["outputs"]["total"]["tensor_shape"] == {"dim": [], "unknown_rank": False}
    assert {"serving_default", "text", "types", "fixed"} <= set(signatures)


def test_metrics(server):
    server.predict({"instances": [X]})
    answer = server.get("/monitoring/prometheus/metrics")
    assert answer.status == 200
    assert b"request" in answer.body
    assert b'"toy"' in answer.body
