"""A server process, honest requests with their right answers, and closed-loop clients, for `benchmarks/serving.py`."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from export.client import Client, encode_png
from lsps_tf.camera import NYU
from lsps_tf.depth_files import read_depth

ROOT = pathlib.Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "docs" / "example" / "structured-light.png"
TOLERANCE_MM = 0.05


def run_load(
    address: tuple[str, int], requests: list, clients: int, seconds: float, until: Any = None
) -> tuple[list[float], int]:
    """Latencies in s of the right answers of closed-loop clients, and how many requests failed or were answered wrong.

    It ends after `seconds`, or when the future `until` is done.
    """
    deadline = time.monotonic() + seconds

    def client(number: int) -> tuple[list[float], int]:
        connection = http.client.HTTPConnection(*address, timeout=60)
        latencies, failed = [], 0
        while time.monotonic() < deadline and not (until is not None and until.done()):
            number += 1
            started = time.perf_counter()
            if ask(address, requests[number % len(requests)], connection):
                latencies.append(time.perf_counter() - started)
            else:
                failed += 1
                connection.close()
        connection.close()
        return latencies, failed

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        parts = list(pool.map(client, range(clients)))
    return [latency for latencies, _ in parts for latency in latencies], sum(failed for _, failed in parts)


def ask(address: tuple[str, int], request: tuple[bytes, np.ndarray], connection: Any = None) -> bool:
    """Sends a good request; whether its joints came back right."""
    body, expected = request
    own = connection is None
    connection = http.client.HTTPConnection(*address, timeout=60) if own else connection
    try:
        connection.request("POST", "/v1/models/lsps:predict", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
            return False
        [answer] = json.loads(content)["predictions"]
        return bool(np.abs(np.array(answer["joints_mm"]) - expected).max() <= TOLERANCE_MM)
    except (http.client.HTTPException, OSError):
        return False
    finally:
        if own:
            connection.close()


def good_requests(address: tuple[str, int]) -> list[tuple[bytes, np.ndarray]]:
    """Bodies of different 640x480 frames, and the joints that the server gives when it is asked for them alone."""
    with Client(url_of(address), timeout_s=120.0) as client:
        if "depth_png_bytes" not in client.inputs():
            sys.exit("error: the model's serving_default takes no depth_png_bytes; export the run again")
        rows = [client.row(encode_png(frame_mm), NYU.intrinsics.tolist()) for frame_mm in example_frames()]
        answers = [client.predict_rows([row])[0]["joints_mm"] for row in rows]
    if not np.isfinite(answers).all():
        sys.exit("error: the model finds no hand in the example frame")
    return [(json.dumps({"instances": [row]}).encode(), joints) for row, joints in zip(rows, answers)]


def example_frames() -> list[np.ndarray]:
    """Different 640x480 frames of whole mm."""
    depth_mm = read_depth(EXAMPLE)
    return [np.roll(depth_mm, 4 * number, axis=1) for number in range(8)]


@contextlib.contextmanager
def server(
    models: pathlib.Path, arguments: list[str], root: pathlib.Path = ROOT
) -> Iterator[tuple[tuple[str, int], subprocess.Popen]]:
    """Starts a checkout's export/serve.py on a free port; it must stop cleanly."""
    command = [sys.executable, str(root / "export" / "serve.py"), "--model-dir", str(models), "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        found = None
        while found is None:
            line = process.stdout.readline()
            if not line:
                sys.exit(f"error: the server did not start: {' '.join(command)}")
            found = re.search(r"Metrics: http://([\d.]+):(\d+)", line)
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield (found[1], int(found[2])), process
        process.terminate()
        if process.wait(120) != 0:
            sys.exit(f"error: the server ended with status {process.returncode}")
    finally:
        process.kill()
        process.wait()


def watch_memory(process: subprocess.Popen, samples: list[tuple[float, float]], stop: threading.Event) -> None:
    """Appends (second, resident MB) twice a second."""
    started = time.monotonic()
    while not stop.wait(0.5):
        samples.append((time.monotonic() - started, resident_mb(process)))


def resident_mb(process: subprocess.Popen) -> float:
    """Resident memory of the server."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return round(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024, 1)


def processor_s(process: subprocess.Popen) -> float:
    """Processor time that the server has used; unlike throughput, what else the machine does hardly changes it."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def batch_size(address: tuple[str, int]) -> float:
    """Mean number of requests that ran together, by the server's own metrics."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.request("GET", "/monitoring/prometheus/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    total, count = (float(re.search(rf"batch_requests_{what} (\S+)", page)[1]) for what in ("sum", "count"))
    return round(total / count, 2)


def url_of(address: tuple[str, int]) -> str:
    return f"http://{address[0]}:{address[1]}"
