"""How near each stage's training step is to the machine's limit, beside the same step written plainly in PyTorch.

    python benchmarks/train_step.py --preset compact paper --json train_step.json
    python benchmarks/train_step.py --preset paper --stages posterior --forms careful --turns 3 --steps 1

Each form of the step runs in a process of its own, and they take turns. A ratio is that of the medians of one turn, so
a machine that others use too disturbs both alike; the table shows the median ratio and the smallest and largest one.
The peak is the largest rate of a matrix product in the same run, of TensorFlow or of PyTorch. The peer is
benchmarks/torch_steps.py. It needs PyTorch (pip install torch==2.13.0), and without it our step stands alone. All forms
of a stage are in memory at once: the posterior stage of `paper` as released takes more than 13 GB, hence --forms.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from tabulate import tabulate

from benchmarks.timing import add_clock_option
from benchmarks.train_step_worker import OURS
from lsps_tf.files import write_json
from lsps_tf.presets import PRESETS

WORKER = Path(__file__).with_name("train_step_worker.py")
STAGES = ("pose", "depth", "posterior")
PEERS = ("released", "careful")
BEFORE = "before"
TITLES = {
    OURS: "this project",
    BEFORE: "this project, before",
    "released": "PyTorch, as released",
    "careful": "PyTorch, careful",
}
MATRIX = 1536
# Of a turn: enough that a turn is not over at once.
STEPS = {"pose": 100, "depth": 3, "posterior": 3}
# What it should reach: another form's time over ours, and, for compact, that of the code before 28 November 2026.
TARGETS = {
    "depth": {"released": 1.8, "careful": 1.2, BEFORE: 1.3},
    "posterior": {"careful": 1.1},
    "pose": {"careful": 1.1},
}


class Worker:
    """A process with one form of a step.

    Attributes:
        said: what it says of itself.
        peak_mb: its largest memory, once it has ended.
    """

    def __init__(
        self, preset: str, stage: str, form: str, threads: int, clock: str, weights: Path, script: Path = WORKER
    ):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **{name: str(threads) for name in names}}
        command = [sys.executable, *map(str, (script, preset, stage, form, threads, clock, weights))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True)
        self.said: dict[str, Any] = self._answer()
        self.peak_mb = 0.0

    def ask(self, command: str, number: int) -> Any:
        """The answer to a command of benchmarks/train_step_worker.py."""
        self._process.stdin.write(f"{command} {number}\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """Waits for the process's end."""
        self._process.stdin.close()
        self.peak_mb = self._answer()
        self._process.wait()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("A process of the measurement ended early; its message stands above.")
        return json.loads(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", nargs="+", choices=sorted(PRESETS), default=["compact", "paper"])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES), help="(default: all)")
    parser.add_argument("--forms", nargs="+", choices=PEERS, default=list(PEERS), help="of the peer (default: both)")
    parser.add_argument("--against", type=Path, help="a checkout of this project before, whose step takes turns, too")
    parser.add_argument("--turns", type=int, default=5, help="of each form (default: 5)")
    parser.add_argument("--steps", type=int, help="of a turn (default: 3, of the pose stage 100)")
    parser.add_argument("--threads", type=int, default=1, help="of each form (default: 1)")
    add_clock_option(parser)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    peers = tuple(given.forms) if importlib.util.find_spec("torch") else ()
    if not peers:
        print("PyTorch is not installed here, so there is no peer.")
    figures: dict[str, Any] = {}
    for preset in given.preset:
        figures[preset] = {}
        for stage in given.stages:
            figures[preset][stage] = measure(preset, stage, peers, given)
            print(f"\n{preset}, {stage}\n{table(figures[preset][stage])}", flush=True)
            print("\n".join(verdicts(stage, figures[preset][stage])), flush=True)
            if given.json:
                write_json(given.json, {"threads": given.threads, "clock": given.clock, "figures": figures})


def measure(preset: str, stage: str, peers: tuple[str, ...], given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Per form: milliseconds, GFLOP/s, its share of the peak, memory, and its time over ours per turn."""
    with tempfile.TemporaryDirectory() as scratch:
        where = preset, stage
        rest = given.threads, given.clock, Path(scratch) / "weights.h5"
        workers = {form: Worker(*where, form, *rest) for form in (OURS, *peers)}
        if given.against:
            own = given.threads, given.clock, Path(scratch) / "before.h5", given.against / "benchmarks" / WORKER.name
            workers[BEFORE] = Worker(*where, OURS, *own)
        # The first steps fill buffers and caches.
        for worker in workers.values():
            worker.ask("step", 2)
        peak, times = 0.0, {form: [] for form in workers}
        for _ in range(given.turns):
            for form, worker in workers.items():
                times[form].append(float(np.median(worker.ask("step", given.steps or STEPS[stage]))))
                peak = max(peak, worker.ask("matmul", MATRIX))
        for worker in workers.values():
            worker.end()
    gflop = workers[OURS].said["gflop"]
    return {form: figures_of(times[form], times[OURS], gflop, peak, worker) for form, worker in workers.items()}


def figures_of(times: list[float], ours: list[float], gflop: float, peak: float, worker: Worker) -> dict[str, Any]:
    """One form's figures; all forms are held against the operations that the step of this project takes."""
    seconds = float(np.median(times))
    ratios = np.array(times) / np.array(ours)
    return {
        "version": worker.said["version"],
        "ms": 1e3 * seconds,
        "multiply_adds_g": 0.5 * gflop,
        "gflop_per_s": gflop / seconds,
        "peak_gflop_per_s": peak,
        "share_of_peak": gflop / seconds / peak,
        "memory_mb": worker.peak_mb,
        "time_over_ours": float(np.median(ratios)),
        "time_over_ours_range": [float(ratios.min()), float(ratios.max())],
    }


def table(figures: dict[str, dict[str, Any]]) -> str:
    """A row per form."""
    headers = ["", "ms", "10^9 multiply-adds", "GFLOP/s", "% of peak", "memory, MB", "time over ours"]
    rows = []
    for form, row in figures.items():
        low, high = row["time_over_ours_range"]
        rows.append(
            [
                TITLES[form],
                f"{row['ms']:.1f}",
                f"{row['multiply_adds_g']:.3f}",
                f"{row['gflop_per_s']:.1f}",
                f"{100 * row['share_of_peak']:.1f}",
                f"{row['memory_mb']:.0f}",
                f"{row['time_over_ours']:.2f} ({low:.2f} to {high:.2f})",
            ]
        )
    return tabulate(rows, headers, disable_numparse=True, colalign=("left", *["right"] * (len(headers) - 1)))


def verdicts(stage: str, figures: dict[str, dict[str, Any]]) -> list[str]:
    """A line per target."""
    return [
        f"{TITLES[form]}: {figures[form]['time_over_ours']:.2f} times our time (at least {target:g})"
        for form, target in TARGETS[stage].items()
        if form in figures
    ]


if __name__ == "__main__":
    main()
