"""A request's JSON, read as TensorFlow Serving reads it (RapidJSON 1.1): same documents taken, same messages.

It takes NaN, Infinity and Inf, lets the first of two equal names count, and does not look whether text is UTF-8.
Python's reader does the work; what the two see differently is settled here. One thing stays different: lists and
objects that lie about a thousand deep are refused.
"""

from __future__ import annotations

import json
import re
from typing import Any

from export.serving.errors import ServingError, invalid

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE_SPACE = b" \t\r\n"
_TOO_BIG = "Number too big to be stored in double."
# How the messages of Python's reader begin, and RapidJSON's.
_MESSAGES = (
    ("Expecting value", "Invalid value."),
    ("Expecting property name", "Missing a name for object member."),
    ("Expecting ':'", "Missing a colon after a name of object member."),
    ("Extra data", "The document root must not be followed by other values."),
    ("Unterminated string", "Missing a closing quotation mark in string."),
    ("Invalid \\uXXXX", "Incorrect hex digit after \\u escape in string."),
    ("Invalid", "Invalid escape character in string."),
)
_NO_COMMA_IN_OBJECT = "Missing a comma or } after an object member."
_NO_COMMA_IN_LIST = "Missing a comma or ] after an array element."
# A first half of a pair without its second one; escaped backslashes must be gone from the text.
_LONE_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")
_OTHER_CONSTANT = re.compile(r"-?Inf|-NaN")
_QUOTES_AND_CONSTANTS = re.compile(r'\\.|"|-?Inf(?:inity)?|-NaN', re.DOTALL)
_QUOTES_AND_BRACKETS = re.compile(r'\\.|["\[\]{}]', re.DOTALL)


class RepeatedNames(dict):
    """An object in which a name comes twice; it holds the first value of each."""


class Constant(float):
    """NaN or an infinity that stands in the text as such. An infinite plain float is a number too big."""


def read_document(content: bytes) -> dict[str, Any]:
    """The object that a request's body is.

    Returns:
        Objects as dictionaries, `RepeatedNames` where they are. Bytes that are no UTF-8 stand in its strings as
        Python's surrogate escapes.

    Raises:
        ServingError: 400 where it is no JSON or no object.
    """
    content = content[len(_BYTE_ORDER_MARK) :] if content.startswith(_BYTE_ORDER_MARK) else content
    if not content.strip(_WHITE_SPACE):
        raise _parse_error("The document is empty.", 0)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode(errors="surrogateescape")
    document = _read(text)
    if "\\u" in text:
        lone = _LONE_SURROGATE.search(text.replace("\\\\", ""))
        if lone is not None:
            raise _parse_error("The surrogate pair in string is invalid.", lone.start())
    if not isinstance(document, dict):
        raise wrong(document, "Is not object")
    return document


def number_too_big() -> ServingError:
    """The error of a number beyond the largest double."""
    return _parse_error(_TOO_BIG, 0)


def wrong(value: Any, what: str) -> ServingError:
    """The error of a JSON value that is `what`."""
    return invalid(f"JSON Value: {text_of(value)} {what}")


def text_of(value: Any, longest: int = 200) -> str:
    """A value for a message, cut short; a whole body is never written out for that."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text_of(key)}: ..." for key in list(value)[:8]) + "}"
    if isinstance(value, list):
        return f"[... {len(value)} values]"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**64:
        return "a whole number beyond 64 bits"
    text = json.dumps(value) if not isinstance(value, str) else json.dumps(value[:longest])
    return text if len(text) <= longest else text[:longest] + "..."


def _read(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        if _OTHER_CONSTANT.match(text, error.pos):
            usual = _with_usual_constants(text)
            if usual != text:
                return _read(usual)
        raise _parse_error(_message_of(text, error), error.pos) from None
    except RecursionError:
        raise invalid("JSON Parse error: lists and objects are nested too deep") from None
    except ValueError:
        # Python reads no whole number of thousands of digits.
        raise number_too_big() from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    return values if len(values) == len(pairs) else RepeatedNames(reversed(pairs))


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=Constant)


def _with_usual_constants(text: str) -> str:
    """The text with Inf and -NaN, outside of strings, as Python's reader knows them."""
    within = False

    def usual(match: re.Match) -> str:
        nonlocal within
        found = match[0]
        if found == '"':
            within = not within
        elif not within and found in ("Inf", "-Inf"):
            return f"{found}inity"
        elif not within and found == "-NaN":
            return "NaN"
        return found

    return _QUOTES_AND_CONSTANTS.sub(usual, text)


def _message_of(text: str, error: json.JSONDecodeError) -> str:
    for start, message in _MESSAGES:
        if error.msg.startswith(start):
            return message
    return _NO_COMMA_IN_OBJECT if _lies_in_object(text, error.pos) else _NO_COMMA_IN_LIST


def _lies_in_object(text: str, position: int) -> bool:
    within, opened = False, []
    for match in _QUOTES_AND_BRACKETS.finditer(text, 0, position):
        found = match[0]
        if found == '"':
            within = not within
        elif within:
            continue
        elif found in "[{":
            opened.append(found)
        elif found in "]}":
            opened.pop()
    return opened[-1:] == ["{"]


def _parse_error(message: str, offset: int) -> ServingError:
    return invalid(f"JSON Parse error: {message} at offset: {offset}")
