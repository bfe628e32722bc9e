"""Values in the contract: bytes, numbers of every type, NaN and infinity; `test_contract.py` says of which server."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.export.serving.asker import b64


def test_bytes(server):
    raw = bytes(range(256))
    rows = [
        {"word": "Welt \u00e4\u20ac", "raw_bytes": b64(raw)},
        {"word": b64(b"world"), "raw_bytes": "plain"},
    ]
    answer = server.predict({"signature_name": "text", "instances": rows})
    assert answer.status == 200
    first, second = answer.body["predictions"]
    assert first == {"greeting": "hello Welt \u00e4\u20ac", "same_bytes": b64(raw)}
    assert second == {"greeting": "hello world", "same_bytes": b64(b"plain")}


@pytest.mark.parametrize("value", [{"b64": "*"}, {"b64": 3}, {"b64": "aa==", "c": 1}, {"c": "aa=="}, 3, None, True])
def test_bytes_that_are_none(server, value):
    answer = server.predict({"signature_name": "text", "inputs": {"word": ["a"], "raw_bytes": [value]}})
    assert answer.status == 400
    assert answer.error


def test_types_come_back_as_they_were(server):
    inputs = {"i8": [-128, 127], "u8": [0, 255], "i64": [2**63 - 1, -(2**63)], "flag": [True, False]}
    inputs["wide"] = [0.1, 1e300]
    answer = server.predict({"signature_name": "types", "inputs": inputs})
    assert (answer.status, answer.body) == (200, {"outputs": inputs})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("i64", 1.0),
        ("i8", 1.0),
        ("i64", 2**63),
        ("i64", "1"),
        ("i64", True),
        ("i64", None),
        ("i64", {"b64": "aa=="}),
        ("flag", 1),
        ("flag", "true"),
        ("wide", "0.1"),
        ("wide", True),
        ("wide", None),
    ],
)
def test_wrong_types_are_refused(server, name, value):
    inputs = {"i8": [1], "u8": [1], "i64": [1], "flag": [True], "wide": [1.0], name: [value]}
    answer = server.predict({"signature_name": "types", "inputs": inputs})
    assert answer.status == 400
    assert "expected type" in answer.error


def test_floats_take_whole_numbers_that_are_exact(server):
    assert server.predict({"inputs": [[1, 2, 3]]}).body == {"outputs": [[4.0, 6.0, 8.0]]}
    assert server.predict({"inputs": [[2**24 - 1, 0, 0]]}).status == 200
    for value in (2**24 + 1, 1e39):
        answer = server.predict({"inputs": [[value, 0, 0]]})
        assert answer.status == 400
        assert "without loss of precision" in answer.error


def test_nan_and_infinity_in_and_out(server):
    answer = server.predict(b'{"inputs": [[NaN, Infinity, -Infinity]]}')
    assert answer.status == 200
    [[nan, above, below]] = answer.body["outputs"]
    assert math.isnan(nan)
    assert (above, below) == (math.inf, -math.inf)


def test_floats_are_exact(server):
    x = np.float32([[0.1, 1 / 3, 1.7e-38]])
    [row] = server.predict({"inputs": x.tolist()}).body["outputs"]
    assert np.float32(row).tolist() == (2 * x + np.float32(2))[0].tolist()
