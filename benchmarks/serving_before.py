"""The server beside that of an earlier checkout of this project, by turns on the same machine.

    git worktree add ../before f5b44d9
    python benchmarks/serving_before.py --checkout ../before --json serving_before.json

Both serve `compact` with random weights, each exported by its own code, since the exported graph does the work. What
the server answers is held against the predictor in Python with the same weights: the hand finder is another one than in
old checkouts, so the two servers' answers differ.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from serving import export_random
from serving_load import ROOT, example_frames, good_requests, processor_s, run_load, server
from tabulate import tabulate

from lsps_tf.files import write_json

BEFORE, NOW = "before", "now"
_EXPORT = "import pathlib, sys; sys.path[:0] = ['.', 'benchmarks']; import serving; serving.export_random({!r}, {})"
_WARM_UP_S = 1.0
FIGURES = ("requests_per_second", "p50_ms", "p99_ms", "processor_ms_per_request")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkout", type=pathlib.Path, required=True, help="of this project, from before")
    parser.add_argument("--preset", default="compact", help="of the networks (default: compact)")
    parser.add_argument("--clients", type=int, nargs="+", default=[16, 1], help="at a time (default: 16, then 1)")
    parser.add_argument("--turns", type=int, default=3, help="of each server (default: 3)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a turn (default: 20)")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    options = parser.parse_args()
    roots = {BEFORE: options.checkout.resolve(), NOW: ROOT}
    with tempfile.TemporaryDirectory() as scratch:
        folders = {name: pathlib.Path(scratch, name) for name in roots}
        export_before(roots[BEFORE], options.preset, folders[BEFORE])
        export_random(options.preset, folders[NOW])
        figures: dict[str, Any] = {"off_mm": largest_difference_mm(folders[NOW])}
        for clients in options.clients:
            figures[str(clients)] = take_turns(roots, folders, clients, options)
            print(table(clients, figures[str(clients)]), flush=True)
    print(f"Answers are within {figures['off_mm']:.4f} mm of the predictor in Python (at most 0.01).")
    if options.json:
        write_json(options.json, figures)
    return int(figures["off_mm"] > 0.01)


def export_before(root: pathlib.Path, preset: str, folder: pathlib.Path) -> None:
    """Exports random weights with the code of a checkout."""
    code = _EXPORT.format(preset, f"pathlib.Path({str(folder)!r})")
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def take_turns(
    roots: dict[str, pathlib.Path], folders: dict[str, pathlib.Path], clients: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Figures of each server as medians of its turns, and of each turn's ratio of now to before."""
    turns = {name: [] for name in roots}
    for _ in range(options.turns):
        for name, root in roots.items():
            turns[name].append(one_turn(folders[name] / "models", root, clients, options.seconds))
    arrays = {name: np.array(values) for name, values in turns.items()}
    ratios = arrays[NOW] / arrays[BEFORE]
    medians = {name: dict(zip(FIGURES, np.median(values, axis=0).tolist())) for name, values in arrays.items()}
    return {**medians, "now_over_before": dict(zip(FIGURES, np.median(ratios, axis=0).tolist()))}


def one_turn(models: pathlib.Path, root: pathlib.Path, clients: int, seconds: float) -> tuple[float, ...]:
    """FIGURES of a fresh server under load; SystemExit where an answer was wrong."""
    with server(models, [], root) as (address, process):
        requests = good_requests(address)
        run_load(address, requests, clients, _WARM_UP_S)
        used_s = processor_s(process)
        latencies, failed = run_load(address, requests, clients, seconds)
        used_s = processor_s(process) - used_s
    if failed:
        raise SystemExit(f"{failed} of {len(latencies) + failed} requests failed or were answered wrong")
    p50_s, p99_s = np.percentile(latencies, [50, 99])
    return len(latencies) / seconds, 1e3 * p50_s, 1e3 * p99_s, 1e3 * used_s / len(latencies)


def largest_difference_mm(folder: pathlib.Path) -> float:
    """How far the server's joints are from those of the predictor in Python, over all requests."""
    from lsps_tf.camera import NYU
    from lsps_tf.predictor import predictor_of_run
    from lsps_tf.run_folder import load_run

    predictor = predictor_of_run(load_run(folder / "run"))
    frames = np.stack(example_frames()).astype(np.float32)
    expected = predictor(frames, np.stack([NYU.intrinsics] * len(frames)))["joints_mm"].numpy()
    with server(folder / "models", []) as (address, _):
        answered = np.stack([joints for _, joints in good_requests(address)])
    return float(np.abs(answered - expected).max())


def table(clients: int, figures: dict[str, Any]) -> str:
    """A row per server, and their ratio."""
    headers = [f"{clients} client{'s' * (clients > 1)}", "requests/s", "p50, ms", "p99, ms", "processor, ms a request"]
    rows = [[name, *(row[figure] for figure in FIGURES)] for name, row in figures.items()]
    return tabulate(rows, headers, floatfmt=".2f")


if __name__ == "__main__":
    sys.exit(main())
