"""What a preset costs: seconds and arithmetic of a step of each stage, memory, and the hours that a GPU would take.

    python benchmarks/stage_cost.py --preset paper --json stage_cost.json

A few steps of each stage are trained on simulated frames; only their sizes matter, so the figures hold for NYU too. The
multiplications and additions of a step, forward and backward, are TensorFlow's own count on the step's graph. The hours
are an estimate: the operations of all steps at --tflops, which is what a GPU sustains on such layers, not its peak.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import lsps_tf  # noqa: F401  It chooses Keras 2, so it comes before TensorFlow.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tabulate import tabulate
from tensorflow import keras

from lsps_tf.datasets.store import open_store
from lsps_tf.files import write_json
from lsps_tf.networks import build_networks
from lsps_tf.pipeline import build_pipeline
from lsps_tf.presets import PRESETS
from lsps_tf.run_folder import read_settings
from training.methods import LSPS, build_plan
from training.session import run_session

FRAMES = 128
# The first steps build graphs and fill buffers.
SKIPPED = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(PRESETS), default="paper", help="default: paper")
    parser.add_argument("--steps", type=int, default=10, help="of each stage, to measure (default: 10)")
    parser.add_argument("--tflops", type=float, default=5.0, help="TFLOP/s that the GPU sustains (default: 5)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(given.preset, given.steps, Path(scratch))
    for row in figures.values():
        row["gpu_hours"] = row["steps"] * row["gflop_per_step"] / (given.tflops * 1e3) / 3600
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(tabulate([[name, *row.values()] for name, row in figures.items()], ["", *figures["depth"]], floatfmt=",.3f"))
    hours = sum(row["gpu_hours"] for row in figures.values())
    print(f"\n{hours:.1f} hours at {given.tflops:g} TFLOP/s (an estimate); peak memory here {peak_gb:.1f} GB")
    if given.json:
        write_json(
            given.json,
            {"preset": given.preset, "stages": figures, "tflops": given.tflops, "peak_gb": round(peak_gb, 2)},
        )


def measure(preset: str, steps: int, scratch: Path) -> dict[str, dict[str, float]]:
    """Per stage: steps of the preset, seconds of a step here, and its operations in 1e9."""
    run_dir = scratch / "run"
    few = {f"--{stage}-steps": steps for stage in LSPS.stages}
    frames = {f"--sim-{name}-frames": FRAMES for name in ("synthetic", "real", "test")}
    never = {"--checkpoint-every": 10**6, "--picture-every": 10**6, "--log-every": 1}
    options = [str(part) for pair in {**few, **frames, **never}.items() for part in pair]
    where = ["--data-root", str(scratch), "--run-dir", str(run_dir)]
    run_session(["--dataset", "sim", "--preset", preset, *options, *where])
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    training = PRESETS[preset].training
    figures = {}
    for stage in LSPS.stages:
        times = [line["seconds"] for line in lines if line["stage"] == stage][SKIPPED - 1 :]
        figures[stage] = {
            "steps": getattr(training, f"{stage}_steps"),
            "seconds_per_step": float(np.median(np.diff(times))),
            "gflop_per_step": gflop_of_step(run_dir, stage),
        }
    return figures


def gflop_of_step(run_dir: Path, stage: str) -> float:
    """Floating point operations of a training step in 1e9, as TensorFlow counts them on its graph."""
    settings = read_settings(run_dir)
    networks = build_networks(settings.config.network, settings.config.data.image_size, seed=0)
    with open_store(settings.store) as store:
        plan = build_plan(stage, settings, networks, store)
    batch = next(iter(build_pipeline(settings.store, plan.streams, 0, 0)))
    gflop = gflop_of_graph(tf.function(plan.model.train_step).get_concrete_function(batch).graph)
    keras.backend.clear_session()
    return gflop


def gflop_of_graph(graph: tf.Graph) -> float:
    """Floating point operations of a graph in 1e9, as TensorFlow counts them."""
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops / 1e9


if __name__ == "__main__":
    main()
