"""The contract's HTTP: packed bodies, targets, blank lines, CORS; `test_contract.py` says of which server."""

from __future__ import annotations

import gzip
import http.client
import json
import socket

import pytest

BODY = json.dumps({"instances": [[1.0, 2.0, 3.0]]}).encode()
REPLY = {"predictions": [[4.0, 6.0, 8.0]]}
PATH = "/v1/models/toy:predict"


@pytest.mark.parametrize("encoding", ["gzip", "my_gzip", "gzip, identity"])
def test_gzip_body(server, encoding):
    answer = server.ask("POST", PATH, gzip.compress(BODY), {"Content-Encoding": encoding})
    assert (answer.status, answer.body) == (200, REPLY)


def test_large_gzip_body(server):
    values = list(range(130_000))
    body = json.dumps({"signature_name": "any", "inputs": values}).encode()
    answer = server.ask("POST", PATH, gzip.compress(body), {"Content-Encoding": "gzip"})
    assert answer.status == 200
    assert answer.body["outputs"] == values


@pytest.mark.parametrize("body", [b"abcde", b"\x1f\x8b", gzip.compress(BODY, mtime=0)[:-9], BODY])
def test_gzip_body_that_is_none_counts_as_empty(server, body):
    answer = server.ask("POST", PATH, body, {"Content-Encoding": "gzip"})
    assert answer.status == 400
    assert "The document is empty" in answer.error


@pytest.mark.parametrize("encoding", ["identity", "Identity", "deflate", "utf-8", ""])
def test_other_encodings_are_not_looked_at(server, encoding):
    answer = server.ask("POST", PATH, BODY, {"Content-Encoding": encoding})
    assert (answer.status, answer.body) == (200, REPLY)


def test_preflight(server):
    headers = {"Origin": "http://a.example", "Access-Control-Request-Method": "POST"}
    assert server.ask("OPTIONS", PATH, headers=headers).status == 200


def test_absolute_target(server):
    answer = server.ask("POST", f"{server.url}{PATH}", BODY)
    assert (answer.status, answer.body) == (200, REPLY)
    assert server.get(f"{server.url}/v1/models/toy").status == 200


def test_blank_lines_before_a_request(server):
    request = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    with socket.create_connection(server.address, timeout=30) as connection:
        for text in (b"\r\n" + request, b"\r\n\r\n" + request + b"\r\n", request):
            connection.sendall(text)
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert (response.status, json.loads(response.read())) == (200, REPLY)
