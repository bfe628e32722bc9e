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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3.0),
        ("16777217", 16777216.0),
        ("1435774380", 1435774336.0),
        ("1e39", math.inf),
        ("-1.5e308", -math.inf),
        ("36893488147419103232", 2.0**65),
        ("Inf", math.inf),
        ("-Infinity", -math.inf),
    ],
)
def test_floats_are_rounded(server, text, expected):
    answer = server.predict(f'{{"signature_name": "any", "inputs": [{text}]}}'.encode())
    assert answer.status == 200
    assert np.float32(answer.body["outputs"]).tolist() == [expected]


def test_doubles_are_rounded(server):
    inputs = {"i8": [1], "u8": [1], "i64": [1], "flag": [True], "wide": [2**53 + 1]}
    answer = server.predict({"signature_name": "types", "inputs": inputs})
    assert answer.body["outputs"]["wide"] == [2.0**53]


def test_number_beyond_double(server):
    answer = server.predict(b'{"signature_name": "any", "inputs": [1e400]}')
    assert answer.status == 400
    assert answer.error.startswith("JSON Parse error: Number too big to be stored in double.")


def _predict_bytes(server, text):
    body = f'{{"signature_name": "text", "inputs": {{"word": ["a"], "raw_bytes": [{{"b64": "{text}"}}]}}}}'
    return server.predict(body.encode())


@pytest.mark.parametrize("text", ["aGVsbG8", "aGVsbG8=", "aGVsbG8.", "aGVs\\nbG8=\\n", " aGVs\\r\\n\\tbG8 = "])
def test_base64_with_white_space_and_without_padding(server, text):
    answer = _predict_bytes(server, text)
    assert answer.status == 200
    assert answer.body["outputs"]["same_bytes"] == [b64(b"hello")]


@pytest.mark.parametrize("text", ["aGVsbG8==", "aGVsbG8=a", "aGVsb", "aGVs-G8=", "aGVs====", "aGVs\\u00e4G8="])
def test_base64_that_is_none(server, text):
    answer = _predict_bytes(server, text)
    assert answer.status == 400
    assert "Unable to base64 decode" in answer.error


def test_text_that_is_no_utf8_goes_through(server):
    body = b'{"signature_name": "text", "inputs": {"word": ["Gr\xfc\xdfe"], "raw_bytes": ["\xff"]}}'
    answer = server.ask("POST", "/v1/models/toy:predict", body, raw=True)
    assert answer.status == 200
    assert b"hello Gr\xfc\xdfe" in answer.body
    assert b64(b"\xff")["b64"].encode() in answer.body


def test_first_of_two_equal_names_counts(server):
    answer = server.predict(b'{"inputs": [[1, 2, 3]], "inputs": [[0, 0, 0]]}')
    assert answer.body == {"outputs": [[4.0, 6.0, 8.0]]}
    answer = server.predict(b'{"inputs": {"x": [[1, 2, 3]], "x": [[0, 0, 0]]}}')
    assert answer.body == {"outputs": [[4.0, 6.0, 8.0]]}
    assert server.predict(b'{"instances": [{"x": [1, 2, 3], "x": [0, 0, 0]}]}').status == 400


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ("[[7000000, 888888, 0.25], [0.0007, 0.00007, 444446.5]]", "[[7e+06,888888.0,0.25],[0.0007,7e-05,444446.5]]"),
        ("[0.1, 0.7, -0.3]", "[0.1,0.7,-0.3]"),
        ("[1, -2, 0]", "[1.0,-2.0,0.0]"),
    ],
)
def test_text_of_floats(server, numbers, text):
    body = f'{{"signature_name": "any", "inputs": {numbers}}}'.encode()
    answer = server.ask("POST", "/v1/models/toy:predict", body, raw=True)
    assert b"".join(answer.body.split()).decode() == f'{{"outputs":{text}}}'


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
