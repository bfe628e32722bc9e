"""What this project's server refuses, and that it goes on: sizes, slow senders, damaged HTTP, frames, connections."""

from __future__ import annotations

import base64
import json
import socket
import struct
import threading
import time
import zlib

import numpy as np
import pytest

from export.client import encode_png
from export.serving.frames import frame_sizes
from export.serving.settings import Settings
from tests.export.serving.asker import running

GOOD = {"instances": [[1.0, 2.0, 3.0]]}
GOOD_REPLY = {"predictions": [[4.0, 6.0, 8.0]]}
IMAGE = "/v1/models/image"
LIMITS = {
    "max_body_bytes": 20_000,
    "max_pending_bytes": 60_000,
    "max_frame_pixels": 64 * 48,
    "receive_s": 0.5,
    "max_connections": 12,
    "max_batch_size": 4,
}


@pytest.fixture(scope="module")
def asker(toy_dir):
    with running(Settings(toy_dir, port=0, **LIMITS)) as (asker, _):
        yield asker


@pytest.fixture(autouse=True)
def still_good(asker):
    """After every hostile request the next good one is right."""
    yield
    answer = asker.predict(GOOD)
    assert (answer.status, answer.body) == (200, GOOD_REPLY)


def test_large_body(asker):
    answer = asker.predict({"instances": [[0.1234567] * 3000]})
    assert (answer.status, answer.error) == (413, "the body is larger than 20000 bytes")


def test_large_body_of_unknown_length(asker):
    head = b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    assert _speak(asker, head + chunk * 10 + b"0\r\n\r\n") == (413, "the body is larger than 20000 bytes")


def test_large_body_is_refused_before_it_is_sent(asker):
    head = b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 999999\r\nexpect: 100-continue\r\n\r\n"
    assert _speak(asker, head)[0] == 413


def test_endless_body(asker):
    head = b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999\r\n\r\n"
    assert _speak(asker, head + b" " * 200_000)[0] == 413


def test_sender_reads_its_answer_after_a_large_body(asker):
    """More than the sockets' buffers hold: a connection that is reset meanwhile would fail the sender."""
    body = b" " * 30_000_000
    head = f"POST /v1/models/toy:predict HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    assert _speak(asker, head + body)[0] == 413
    chunks = b"5f5e100\r\n" + body
    head = b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    assert _speak(asker, head + chunks)[0] == 413


def test_slow_body(asker):
    head = b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"
    assert _speak(asker, head + b'{"inst') == (408, "the body did not come within 0.5 s")


def test_body_that_trickles(asker):
    with _connect(asker) as connection:
        connection.sendall(b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
        sender = threading.Thread(target=_trickle, args=(connection,))
        sender.start()
        assert _read(connection)[0] == 408
        sender.join()


def test_slow_head(asker):
    assert _speak(asker, b"POST /v1/models/toy:predict HTTP/1.1\r\nhos")[0] == 408


def test_silent_connection_is_closed(asker):
    with _connect(asker) as connection:
        assert connection.recv(100) == b""


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GARBAGE\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: " + b"b" * 100_000,
    ],
)
def test_damaged_http(asker, text):
    status, message = _speak(asker, text)
    assert status in (400, 408)
    assert message


def test_long_garbage_reads_its_answer(asker):
    assert _speak(asker, b"\x00" * 5_000_000)[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs": ' + b"[" * 9_000 + b"]" * 9_000 + b"}",
        b'{"inputs": [[' + b"9" * 9_000 + b", 1, 2]]}",
        b'{"inputs": [[1e999999, 1, "x"]]}',
        b'{"inputs": [[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]}',
        b'{"a": "\xff"}',
        b'{"signature_name": "text", "inputs": {"word": ["\\ud800"], "raw_bytes": ["a"]}}',
        b'{"signature_name": "types", "inputs": {"i8": [300], "u8": [1], "i64": [1], "flag": [true], "wide": [1]}}',
        b'{"signature_name": "two", "inputs": {"a": [[1, 2], [3, 4], [5, 6]], "n": [1, 2]}}',
    ],
)
def test_hostile_json(asker, body):
    answer = asker.predict(body)
    assert answer.status == 400
    assert 0 < len(answer.error) <= 1000


def test_more_rows_than_a_batch(asker):
    for body, name in (({"instances": [[1, 2, 3]] * 9}, "predictions"), ({"inputs": [[1, 2, 3]] * 9}, "outputs")):
        answer = asker.predict(body)
        assert (answer.status, answer.body) == (200, {name: [[4.0, 6.0, 8.0]] * 9})


def test_types_without_json_and_other_methods_are_501(asker):
    assert asker.predict({"signature_name": "half", "inputs": [1.0]}).status == 501
    assert asker.ask("POST", "/v1/models/toy:classify", {"examples": []}).status == 501


@pytest.mark.parametrize("method", ["DELETE", "PUT", "HEAD", "OPTIONS", "PATCH"])
def test_other_http_methods(asker, method):
    answer = asker.ask(method, "/v1/models/toy")
    assert answer.status == 400
    assert method == "HEAD" or answer.error == f"Malformed request: {method} /v1/models/toy"


def test_version_beyond_64_bits(asker):
    answer = asker.predict(GOOD, f"/v1/models/toy/versions/{10**30}")
    assert answer.status == 400
    assert "to numeric" in answer.error


def test_decompression_bomb(asker):
    answer = asker.predict({"instances": [_row(_bomb(50_000, 50_000))]}, IMAGE)
    assert answer.status == 400
    expected = "Input depth_png_bytes, row 0: a frame of 50000x50000 pixels; at most 3072 pixels are taken"
    assert answer.error == expected


def test_frame_of_the_largest_size_is_taken(asker):
    depth = np.full((48, 64), 700, np.uint16)
    answer = asker.predict({"instances": [_row(encode_png(depth))]}, IMAGE)
    assert answer.body == {"predictions": [{"focal_px": 475.0, "mean_mm": 700.0}]}
    depth = np.full((49, 64), 700, np.uint16)
    assert asker.predict({"instances": [_row(encode_png(depth))]}, IMAGE).status == 400


def test_header_is_checked_in_any_bytes_input():
    bomb = np.array([_bomb(1000, 1000)], object)
    assert frame_sizes({"raw_bytes": np.array([b"text"], object), "x": np.ones(2)}, 10) == frozenset()
    with pytest.raises(Exception, match="a frame of 1000x1000 pixels"):
        frame_sizes({"raw_bytes": bomb}, 999_999)
    assert frame_sizes({"raw_bytes": bomb}, 1_000_000) == {(1000, 1000)}
    for damaged in (b"", b"\x89PNG", bomb[0][:20], bomb[0].replace(b"IHDR", b"IDAT"), _bomb(0, 5)):
        with pytest.raises(Exception, match="row 0: "):
            frame_sizes({"depth_png_bytes": np.array([damaged], object)}, 1_000_000)


def test_bad_frame_does_not_fail_a_good_one_beside_it(asker):
    depth = np.full((24, 32), 600, np.uint16)
    good = _row(encode_png(depth))
    bad = _row(encode_png(depth)[:-30])
    answers = {}
    threads = [
        threading.Thread(
            target=lambda n=n: answers.update({n: asker.predict({"instances": [(good, bad)[n % 2]]}, IMAGE)})
        )
        for n in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[n].status for n in range(10)] == [200, 400] * 5
    assert all(answers[n].body == {"predictions": [{"focal_px": 475.0, "mean_mm": 600.0}]} for n in range(0, 10, 2))


def test_too_many_connections(asker):
    held = [_connect(asker) for _ in range(LIMITS["max_connections"])]
    try:
        for connection in held:
            connection.sendall(b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n")
        deadline = time.monotonic() + 20
        statuses = set()
        while 503 not in statuses and time.monotonic() < deadline:
            statuses.add(_speak(asker, b"GET /v1/models/toy HTTP/1.1\r\nhost: x\r\n\r\n")[0])
        assert 503 in statuses
        assert {_read(connection)[0] for connection in held} <= {408, 503}
    finally:
        for connection in held:
            connection.close()


def test_bodies_together_are_limited(asker):
    held = [_connect(asker) for _ in range(4)]
    try:
        for connection in held:
            connection.sendall(
                b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 20000\r\n\r\n" + b" " * 19_000
            )
        # Three of them fit into 60,000 bytes; the others are slow, and that is found a little later.
        assert sorted(_read(connection)[0] for connection in held) == [408, 408, 408, 429]
    finally:
        for connection in held:
            connection.close()


def test_metrics_count_requests_and_hide_made_up_models(asker):
    for _ in range(3):
        asker.get("/v1/models/made-up")
    page = asker.get("/monitoring/prometheus/metrics").body.decode()
    assert 'lsps_serving_requests_total{model="",status="404"}' in page
    assert "made-up" not in page
    assert 'lsps_serving_version_served{model="toy",version="2"} 1.0' in page
    assert "lsps_serving_queue_requests 0.0" in page


def _row(png: bytes) -> dict:
    content = {"b64": base64.b64encode(png).decode()}
    return {"depth_png_bytes": content, "intrinsics": [475.0, 475.0, 16.0, 12.0], "depth_unit_mm": 1.0}


def _bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
        for name, part in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(5_000_000))), (b"IEND", b""))
    )


def _connect(asker) -> socket.socket:
    return socket.create_connection(asker.address, timeout=30)


def _speak(asker, text: bytes) -> tuple[int, str]:
    with _connect(asker) as connection:
        connection.sendall(text)
        return _read(connection)


def _read(connection: socket.socket) -> tuple[int, str]:
    """Status and message of the one answer that the server gives before it closes the connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        assert part, "closed without an answer"
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(65536)
    values = json.loads(body)
    return int(head.split()[1]), values.get("error", "")


def _trickle(connection: socket.socket) -> None:
    try:
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.05)
    except OSError:
        pass
