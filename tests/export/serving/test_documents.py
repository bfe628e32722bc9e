"""Requests' JSON: RapidJSON's messages, and what Python's reader alone takes or refuses."""

from __future__ import annotations

import math

import pytest

from export.serving.documents import RepeatedNames, read_document
from export.serving.errors import ServingError

# RapidJSON's own words: rapidjson/error/en.h of version 1.1.0.
MESSAGES = [
    (b"", "The document is empty."),
    (b" \n\t", "The document is empty."),
    (b"instances = [1]", "Invalid value."),
    (b'{"a": }', "Invalid value."),
    (b'{"a": [1, ]}', "Invalid value."),
    (b'{"a": [1', "Missing a comma or ] after an array element."),
    (b'{"a": [{"b": "]"} 2]}', "Missing a comma or ] after an array element."),
    (b'{"a": 1', "Missing a comma or } after an object member."),
    (b'{"a": [1, "{"] "b"', "Missing a comma or } after an object member."),
    (b"{1: 2}", "Missing a name for object member."),
    (b'{"a" 1}', "Missing a colon after a name of object member."),
    (b'{"a": 1} tail', "The document root must not be followed by other values."),
    (b'{"a": "b', "Missing a closing quotation mark in string."),
    (b'{"a": "\\u12g4"}', "Incorrect hex digit after \\u escape in string."),
    (b'{"a": "\\q"}', "Invalid escape character in string."),
    (b'{"a": "\\ud800"}', "The surrogate pair in string is invalid."),
    (b'{"a": "\\\\\\ud800\\u0041"}', "The surrogate pair in string is invalid."),
    (b'{"a": ' + b"9" * 5000 + b"}", "Number too big to be stored in double."),
]


@pytest.mark.parametrize(("content", "message"), MESSAGES)
def test_messages(content, message):
    with pytest.raises(ServingError) as error:
        read_document(content)
    assert error.value.status == 400
    assert error.value.message.startswith(f"JSON Parse error: {message} at offset: ")


def test_only_an_object_is_a_document():
    with pytest.raises(ServingError, match=r"JSON Value: \[... 2 values\] Is not object"):
        read_document(b"[1, 2]")


def test_nested_too_deep():
    with pytest.raises(ServingError, match="nested too deep"):
        read_document(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_constants():
    content = b'{"Inf": [Inf, -Inf, Infinity, -Infinity, NaN, -NaN, "Inf -NaN \\" Inf"], "b": ["\\\\", Inf]}'
    values = read_document(content)["Inf"]
    assert values[:4] == [math.inf, -math.inf, math.inf, -math.inf]
    assert all(map(math.isnan, values[4:6]))
    assert values[6] == 'Inf -NaN " Inf'
    assert read_document(content)["b"] == ["\\", math.inf]


def test_pairs_of_escapes_are_one_character():
    assert read_document(b'{"a": "\\ud83d\\udd90", "b": "\\\\ud800"}') == {"a": "\U0001f590", "b": "\\ud800"}


def test_mark_and_bytes_that_are_no_utf8():
    assert read_document(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert read_document(b'{"a": "\xfc"}')["a"].encode(errors="surrogateescape") == b"\xfc"
    with pytest.raises(ServingError, match="JSON Parse error"):
        read_document('{"a": 1}'.encode("utf-16"))


def test_first_of_two_equal_names_counts():
    document = read_document(b'{"a": 1, "b": {"c": 2, "c": 3, "d": 4}, "a": 5}')
    assert document == {"a": 1, "b": {"c": 2, "d": 4}}
    assert isinstance(document, RepeatedNames)
    assert isinstance(document["b"], RepeatedNames)
