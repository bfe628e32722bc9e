"""The server under load, under attack, and while a version is swapped: throughput, latency, memory, failures.

    python benchmarks/serving.py --json serving.json                    # compact networks with random weights
    python benchmarks/serving.py --model-dir runs/demo/model --json serving.json

Everything runs on this machine and goes over 127.0.0.1; the clients take their share of its processors. Exit status 1
where a request failed, an answer was wrong, or a hostile request was answered otherwise than the contract says.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import sys
import tempfile
import threading
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from hostile import KINDS, WEIGHTS, Hostile
from serving_load import (
    ask,
    batch_size,
    good_requests,
    processor_s,
    resident_mb,
    run_load,
    server,
    url_of,
    watch_memory,
)

from export.client import Client

# Long enough for clients that share the processors with the server, short enough for a thousand slow senders.
RECEIVE_S = 2.0
HOSTILE_CLIENTS = 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model-dir", type=pathlib.Path, help="what export/run.py wrote (default: random weights)")
    parser.add_argument("--preset", default="compact", help="of the networks with random weights (default: compact)")
    parser.add_argument("--clients", type=int, default=16, help="concurrent clients (default: 16)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of load (default: 60)")
    parser.add_argument(
        "--alone-seconds", type=float, default=20.0, help="of load without batching, and by one client (default: 20)"
    )
    parser.add_argument("--hostile", type=int, default=10_000, help="hostile requests (default: 10000)")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        models = pathlib.Path(scratch) / "models"
        if options.model_dir is None:
            export_random(options.preset, pathlib.Path(scratch))
        else:
            shutil.copytree(find_model(options.model_dir), models / "lsps" / "1")
        figures = measure(models, options)
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return int(any(figures["failures"].values()))


def measure(models: pathlib.Path, options: argparse.Namespace) -> dict[str, Any]:
    """All figures, one server after the other."""
    batched = load_figures(models, options.clients, options.seconds, [])
    print(f"batching: {batched['requests_per_second']} requests/s", file=sys.stderr)
    unbatched = load_figures(models, options.clients, options.alone_seconds, ["--max-batch-size", "1"])
    print(f"without batching: {unbatched['requests_per_second']} requests/s", file=sys.stderr)
    alone = load_figures(models, 1, options.alone_seconds, [])
    print(f"one client: {alone['requests_per_second']} requests/s", file=sys.stderr)
    swapped = swap_figures(models, options.clients)
    print(f"swap: {swapped}", file=sys.stderr)
    hostile = hostile_figures(models, options.hostile)
    return {
        "cores": os.cpu_count(),
        "clients": options.clients,
        "batching": batched,
        "without_batching": unbatched,
        "one_client": alone,
        "gain_over_no_batching": gain(batched, unbatched),
        "gain_over_one_client": gain(batched, alone),
        "swap": swapped,
        "hostile": hostile,
        "failures": {
            "load": batched["failed"] + unbatched["failed"] + alone["failed"],
            "swap": swapped["failed"],
            "hostile": sum(hostile["wrong_answers"].values()) + hostile["good_requests_failed"],
        },
    }


def gain(batched: dict[str, Any], other: dict[str, Any]) -> float:
    """Throughput with batching over another."""
    return round(batched["requests_per_second"] / max(other["requests_per_second"], 1e-9), 2)


def load_figures(models: pathlib.Path, clients: int, seconds: float, arguments: list[str]) -> dict[str, Any]:
    """Throughput, latency and memory of a fresh server under load."""
    with server(models, arguments) as (address, process):
        requests = good_requests(address)
        before = resident_mb(process)
        samples, stop = [], threading.Event()
        watcher = threading.Thread(target=watch_memory, args=(process, samples, stop))
        watcher.start()
        used_s = processor_s(process)
        latencies, failed = run_load(address, requests, clients, seconds)
        used_s = processor_s(process) - used_s
        stop.set()
        watcher.join()
        batches = batch_size(address)
    after_10_s = next((mb for second, mb in samples if second >= min(10.0, seconds / 2)), before)
    last = samples[-1][1]
    return {
        "seconds": seconds,
        "requests": len(latencies),
        "failed": failed,
        "requests_per_second": round(len(latencies) / seconds, 1),
        "p50_ms": round(1000 * float(np.percentile(latencies, 50)), 1),
        "p99_ms": round(1000 * float(np.percentile(latencies, 99)), 1),
        "requests_per_batch": batches,
        "processor_ms_per_request": round(1000 * used_s / max(len(latencies), 1), 1),
        "memory_mb": {"before": before, "after_10_s": after_10_s, "end": last, "most": max(mb for _, mb in samples)},
        "memory_growth_percent": round(100 * (last / after_10_s - 1), 1),
    }


def swap_figures(models: pathlib.Path, clients: int) -> dict[str, Any]:
    """Requests that failed while version 2 took over from version 1."""
    with server(models, ["--poll-seconds", "0.2"]) as (address, _):
        requests = good_requests(address)
        partial = models / ".partial"
        shutil.copytree(models / "lsps" / "1", partial)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            swap = pool.submit(swap_version, address, partial, models / "lsps" / "2")
            latencies, failed = run_load(address, requests, clients, 600.0, swap)
            seconds = swap.result()
    shutil.rmtree(models / "lsps" / "2")
    return {"requests": len(latencies), "failed": failed, "seconds": round(seconds, 1)}


def swap_version(address: tuple[str, int], partial: pathlib.Path, path: pathlib.Path) -> float:
    """Puts a version in place after 2 s of load; returns when the old one is unloaded, with the seconds it took."""
    time.sleep(2.0)
    partial.rename(path)
    started = time.monotonic()
    with Client(url_of(address)) as client:
        while time.monotonic() - started < 300.0:
            versions = client.status()["model_version_status"]
            if {(one["version"], one["state"]) for one in versions} == {("2", "AVAILABLE"), ("1", "END")}:
                time.sleep(2.0)
                return time.monotonic() - started - 2.0
            time.sleep(0.1)
    raise RuntimeError(f"version 2 was not swapped in: {versions}")


def hostile_figures(models: pathlib.Path, count: int) -> dict[str, Any]:
    """How a server answers hostile requests, and good ones in between and after them."""
    with server(models, ["--receive-seconds", str(RECEIVE_S)]) as (address, process):
        requests = good_requests(address)
        path = "/v1/models/lsps:predict"
        row = json.loads(requests[0][0])["instances"][0]
        makers = [Hostile(address, path, row, RECEIVE_S + 1.0, seed) for seed in range(HOSTILE_CLIENTS)]
        before, started = resident_mb(process), time.monotonic()
        counts = [count // HOSTILE_CLIENTS + (n < count % HOSTILE_CLIENTS) for n in range(HOSTILE_CLIENTS)]
        with concurrent.futures.ThreadPoolExecutor(HOSTILE_CLIENTS) as pool:
            parts = list(pool.map(attack, makers, counts, [requests] * HOSTILE_CLIENTS))
        seconds = time.monotonic() - started
        sent, wrong = collections.Counter(), collections.Counter()
        for part_sent, part_wrong, _ in parts:
            sent.update(part_sent)
            wrong.update(part_wrong)
        _, failed = run_load(address, requests, 1, 2.0)
        return {
            "requests": sum(sent.values()),
            "seconds": round(seconds, 1),
            "by_kind": dict(sorted(sent.items())),
            "wrong_answers": dict(wrong),
            "good_requests_failed": sum(part_failed for _, _, part_failed in parts) + failed,
            "server_alive": process.poll() is None,
            "memory_mb": {"before": before, "end": resident_mb(process)},
        }


def attack(hostile: Hostile, count: int, requests: list) -> tuple[collections.Counter, collections.Counter, int]:
    """Sends hostile requests, a good one after every fiftieth; what was sent, what was wrong, good ones that failed."""
    sent, wrong, failed = collections.Counter(), collections.Counter(), 0
    names = list(KINDS)
    weights = [WEIGHTS.get(name, 1.0) for name in names]
    for number in range(count):
        # Every kind once, then at random.
        kind = names[number] if number < len(names) else hostile.random.choices(names, weights)[0]
        sent[kind] += 1
        answer = hostile.send(kind)
        if answer:
            wrong[f"{kind}: {answer}"] += 1
        if number % 50 == 49:
            failed += not ask(hostile.address, requests[number % len(requests)])
    return sent, wrong, failed


def find_model(directory: pathlib.Path) -> pathlib.Path:
    """The highest version under a folder that export/run.py wrote."""
    found = [path.parent for path in directory.rglob("saved_model.pb") if path.parent.name.isdigit()]
    if not found:
        sys.exit(f"error: {directory}: there is no exported model")
    return max(found, key=lambda path: int(path.name))


def export_random(preset: str, scratch: pathlib.Path) -> None:
    """Writes scratch/models/lsps/1: networks of a preset with random weights, exported like any run."""
    from export.saved_model.signatures import export_saved_model
    from lsps_tf import run_folder
    from lsps_tf.networks import build_networks
    from lsps_tf.presets import PRESETS

    config = PRESETS[preset]
    settings = run_folder.RunSettings(config, "lsps", "nyu", "sim", "")
    run_folder.write_settings(scratch / "run", settings)
    networks = build_networks(config.network, config.data.image_size, seed=0)
    path = run_folder.weights_path(scratch / "run", settings.last_stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    run_folder.save_weights(networks, path)
    export_saved_model(run_folder.load_run(scratch / "run"), scratch / "models")


if __name__ == "__main__":
    sys.exit(main())
