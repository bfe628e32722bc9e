"""Every kind of hostile request of `benchmarks/hostile.py`, and that its judge knows a wrong answer."""

from __future__ import annotations

import base64
import pathlib
import socket
import sys
import threading

import numpy as np
import pytest

from export.client import encode_png
from export.serving.settings import Settings
from tests.export.serving.asker import running

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "benchmarks"))

from hostile import KINDS, Hostile

PATH = "/v1/models/image:predict"
RECEIVE_S = 0.2
DEPTH = np.random.default_rng(0).integers(400, 900, (24, 32)).astype(np.uint16)
ROW = {
    "depth_png_bytes": {"b64": base64.b64encode(encode_png(DEPTH)).decode()},
    "intrinsics": [475.0, 475.0, 16.0, 12.0],
    "depth_unit_mm": 1.0,
}


@pytest.fixture(scope="module")
def asker(toy_dir):
    with running(Settings(toy_dir, port=0, receive_s=RECEIVE_S)) as (asker, _):
        yield asker


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_requests_get_the_contract_s_error_and_the_next_good_one_is_right(asker, kind):
    for seed in range(3):
        hostile = Hostile(asker.address, PATH, ROW, 3 * RECEIVE_S, seed)
        assert hostile.send(kind) == ""
    answer = asker.predict({"instances": [ROW]}, "/v1/models/image")
    assert answer.status == 200
    assert answer.body["predictions"][0]["mean_mm"] == pytest.approx(DEPTH.mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (b'HTTP/1.1 400 Bad Request\r\ncontent-length: 14\r\n\r\n{"error": "a"}', ""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "status 200"),
        (b'HTTP/1.1 500 Oops\r\ncontent-length: 14\r\n\r\n{"error": "a"}', "status 500"),
        (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}", "status 400 without the contract's error"),
        (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\n\r\nOops", "an answer that is none of the contract"),
        (b"", "closed without an answer"),
    ],
)
def test_judge(answer, verdict):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert Hostile(listener.getsockname(), PATH, ROW, 0.0, 0).send("wrong keys") == verdict
        thread.join()
