"""Packed bodies: what they may unpack to, and the memory that counts for them."""

from __future__ import annotations

import gzip
import json
import struct

import pytest

from export.serving.settings import Settings
from tests.export.serving.asker import running

BODY = json.dumps({"instances": [[1.0, 2.0, 3.0]]}).encode()
REPLY = {"predictions": [[4.0, 6.0, 8.0]]}
PATH = "/v1/models/toy:predict"
GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture(scope="module")
def asker(toy_dir):
    with running(Settings(toy_dir, port=0, max_body_bytes=100_000, max_pending_bytes=250_000, cors=True)) as (asker, _):
        yield asker


@pytest.fixture(autouse=True)
def nothing_stays_counted(asker):
    """After each test there is room for the largest bodies again."""
    yield
    padded = gzip.compress(BODY + b" " * (100_000 - len(BODY)))
    for _ in range(4):
        answer = asker.ask("POST", PATH, padded, GZIP)
        assert (answer.status, answer.body) == (200, REPLY)


def test_bomb(asker):
    answer = asker.ask("POST", PATH, gzip.compress(b" " * 50_000_000), GZIP)
    assert (answer.status, answer.error) == (413, "the body is larger than 100000 bytes")


def test_bomb_that_lies_about_its_size(asker):
    bomb = gzip.compress(b" " * 50_000_000)[:-4] + struct.pack("<I", 1000)
    answer = asker.ask("POST", PATH, bomb, GZIP)
    assert answer.status == 400
    assert "The document is empty" in answer.error


def test_damaged_stream(asker):
    packed = bytearray(gzip.compress(BODY))
    packed[-6] ^= 255
    assert asker.ask("POST", PATH, bytes(packed), GZIP).status == 400


def test_encoding_in_capitals(asker):
    assert asker.ask("POST", PATH, gzip.compress(BODY), {"Content-Encoding": "GZIP"}).body == REPLY
    assert asker.ask("POST", PATH, BODY, {"Content-Encoding": "GZIP"}).body == REPLY


def test_room_counts_what_is_unpacked(toy_dir):
    with running(Settings(toy_dir, port=0, max_body_bytes=100_000, max_pending_bytes=50_000)) as (asker, _):
        answer = asker.ask("POST", PATH, gzip.compress(BODY + b" " * 60_000), GZIP)
        assert answer.status == 429
        assert asker.ask("POST", PATH, gzip.compress(BODY), GZIP).body == REPLY


def test_answers_with_cors_can_be_read_by_any_page(asker, server):
    for answer in (asker.get("/v1/models/toy"), asker.get("/v1/models/none"), asker.predict(b"{")):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-methods"] == "POST, GET"
        assert answer.headers["access-control-allow-headers"] == "Content-Type"
    assert "access-control-allow-origin" not in server.get("/v1/models/toy").headers
