"""Two workers against one, each on a core of its own: samples per second, and whether the losses are the same.

    python benchmarks/distributed.py --preset compact --json distributed.json

The workers are processes of `training/run.py --strategy multiworker` on this machine, which talk over loopback, and the
one is the same program without a strategy. Both take the same steps with the same batch, so two workers have half of it
each. They take turns, and a ratio is that of one turn. Cores that others use too make the figures doubtful, so the load
of the machine stands beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from tabulate import tabulate

from lsps_tf.files import write_json
from lsps_tf.presets import PRESETS

RUN = Path(__file__).resolve().parents[1] / "training" / "run.py"
TARGET, TOLERANCE = 1.6, 1e-4
FRAMES = 32
# Steps whose losses are compared. Later ones differ more: rounding grows in two players' game.
COMPARED = 2
# Lines of the log between which time is measured, and the first ones, in which graphs are built.
EVERY, SKIPPED = 5, 1
NOT_LOSSES = {"stage", "step", "seconds"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(PRESETS), default="compact", help="(default: compact)")
    parser.add_argument("--batch", type=int, default=16, help="of the depth stage, both workers' (default: 16)")
    parser.add_argument("--steps", type=int, default=30, help="of the depth stage, in a turn (default: 30)")
    parser.add_argument("--turns", type=int, default=3, help="of each (default: 3)")
    parser.add_argument("--cores", type=int, nargs=2, default=(0, 1), help="one for each worker (default: 0 1)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    figures = measure(given)
    print(table(figures))
    if given.json:
        write_json(given.json, figures)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Samples per second of one and of two workers by turn, their ratios, and how far their losses are apart."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        apart = difference(*(run(count, given, folder, "losses", COMPARED, 1) for count in rates))
        for turn in range(given.turns):
            for count, rate in rates.items():
                lines = run(count, given, folder, str(turn), given.steps, EVERY)
                rate.append(samples_per_s(lines, given.batch))
    ratios = np.array(rates[2]) / np.array(rates[1])
    return {
        "preset": given.preset,
        "batch": given.batch,
        "samples_per_s": {str(count): rate for count, rate in rates.items()},
        "two_over_one": float(np.median(ratios)),
        "two_over_one_range": [float(ratios.min()), float(ratios.max())],
        "losses_apart": apart,
        "load": os.getloadavg()[0],
        "cores": os.cpu_count(),
    }


def run(count: int, given: argparse.Namespace, folder: Path, name: str, steps: int, every: int) -> list[dict[str, Any]]:
    """Trains with so many workers; the log's lines of the depth stage, one per so many steps."""
    run_dir = folder / f"{count}-{name}"
    frames = [part for kind in ("synthetic", "real", "test") for part in (f"--sim-{kind}-frames", str(FRAMES))]
    stages = ["--stages", "pose,depth", "--pose-steps", "2", "--depth-steps", str(steps)]
    looks = ["--log-every", str(every), "--checkpoint-every", "1000000", "--picture-every", "1000000"]
    threads = ["--intra-op-threads", "1", "--inter-op-threads", "1", "--depth-batch", str(given.batch)]
    where = ["--data-root", str(folder / "data"), "--run-dir", str(run_dir)]
    command = [sys.executable, str(RUN), "--dataset", "sim", "--preset", given.preset, *frames, *stages, *looks]
    command += [*threads, *where, *(["--strategy", "multiworker"] if count > 1 else [])]
    ports = free_ports(count)
    workers = [start(command, index, ports, given.cores[index]) for index in range(count)]
    statuses = [worker.wait() for worker in workers]
    if any(statuses):
        raise SystemExit("A worker of the measurement failed; its message stands above.")
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["stage"] == "depth"]


def start(command: list[str], index: int, ports: list[int], core: int) -> subprocess.Popen:
    """Starts a worker on a core."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
    return subprocess.Popen(
        command,
        env={**os.environ, "TF_CONFIG": config},
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens at."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def samples_per_s(lines: list[dict[str, Any]], batch: int) -> float:
    """The median rate between the log's lines after the first ones."""
    kept = lines[SKIPPED - 1 :]
    steps, seconds = (np.diff([line[name] for line in kept]) for name in ("step", "seconds"))
    return float(np.median(batch * steps / seconds))


def difference(one: list[dict[str, Any]], two: list[dict[str, Any]]) -> float:
    """How far the losses are apart, as a part of their size."""
    return max(
        abs(other[name] - value) / abs(value)
        for line, other in zip(one, two)
        for name, value in line.items()
        if name not in NOT_LOSSES
    )


def table(figures: dict[str, Any]) -> str:
    """A row per number of workers, and the verdicts."""
    rows = [[count, f"{np.median(rates):.1f}"] for count, rates in figures["samples_per_s"].items()]
    low, high = figures["two_over_one_range"]
    return (
        f"{tabulate(rows, ['workers', 'samples/s'], disable_numparse=True)}\n"
        f"two over one: {figures['two_over_one']:.2f} ({low:.2f} to {high:.2f}; at least {TARGET:g}), at a load of "
        f"{figures['load']:.1f} on {figures['cores']} cores\n"
        f"losses apart: {figures['losses_apart']:.1e} (at most {TOLERANCE:g})"
    )


if __name__ == "__main__":
    main()
