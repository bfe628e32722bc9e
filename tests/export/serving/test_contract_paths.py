"""Paths, labels, status, metadata and metrics of the contract; `test_contract.py` says of which server."""

from __future__ import annotations

import json

import pytest

X = [1.0, 2.0, 3.0]
# 2 x + version; version 2 is the highest.
Y = [4.0, 6.0, 8.0]
AVAILABLE = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


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
