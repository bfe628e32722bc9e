"""What feeds a training step: reading, hand-over and augmentation, against the step, and against OpenCV's usual way.

    python benchmarks/pipeline.py --preset compact paper --json pipeline.json

Reading is one batch after another from the store, without augmentation. Hand-over is fetching a batch that lies ready,
which is all that a step waits for while the reading keeps up. Augmentation is `Preparation`, which runs in the step.
OpenCV's way reads the same rows and warps frame by frame in NumPy. All take turns, on as many threads as asked for.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import lsps_tf  # noqa: F401  It chooses Keras 2, so it comes before TensorFlow.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tabulate import tabulate

from benchmarks.timing import CLOCKS, Clock, add_clock_option, seconds
from lsps_tf.config import Config
from lsps_tf.datasets.feeds import Stream, shuffled_indices
from lsps_tf.datasets.simulated import ensure_store
from lsps_tf.datasets.simulator import Simulation
from lsps_tf.datasets.store import Store, open_store
from lsps_tf.files import write_json
from lsps_tf.networks import build_networks
from lsps_tf.pipeline import build_pipeline
from lsps_tf.presets import PRESETS
from lsps_tf.run_folder import RunSettings
from training.methods import LSPS, build_plan
from training.plan import StagePlan

# The pipeline alone is to be so many times as fast as the step that it feeds.
TARGET = 5.0
# Batches that `build_pipeline` keeps ready, and one in work.
AHEAD = 5
COLUMNS = ("joints_mm", "center_mm", "cube_mm", "extent_mm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", nargs="+", choices=sorted(PRESETS), default=["compact", "paper"])
    parser.add_argument("--stages", nargs="+", choices=LSPS.stages, default=list(LSPS.stages), help="(default: all)")
    parser.add_argument("--frames", type=int, default=256, help="of each domain in the store (default: 256)")
    parser.add_argument("--turns", type=int, default=5, help="of each part (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="of TensorFlow and OpenCV (default: 1)")
    add_clock_option(parser)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    tf.config.threading.set_inter_op_parallelism_threads(given.threads)
    figures = {}
    for preset in given.preset:
        config = PRESETS[preset]
        with tempfile.TemporaryDirectory() as scratch:
            path = make_store(config, Path(scratch), given.frames)
            figures[preset] = {stage: measure(config, stage, path, given) for stage in given.stages}
        print(f"\n{preset}\n{table(figures[preset])}", flush=True)
    if given.json:
        write_json(given.json, {"threads": given.threads, "clock": given.clock, "figures": figures})


def make_store(config: Config, folder: Path, frames: int) -> Path:
    """A simulated store with so many frames of each domain."""
    simulation = Simulation("structured-light", "nyu", config.data.image_size, config.data.cube_mm)
    return ensure_store(simulation, folder, {"synthetic/train": frames, "real/train": frames})


def measure(config: Config, stage: str, path: Path, given: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of each part per batch, and the step's time over the pipeline's."""
    networks = build_networks(config.network, config.data.image_size, seed=0)
    settings = RunSettings(config, LSPS.name, "nyu", "sim", str(path), "structured-light")
    with open_store(path) as store:
        plan = build_plan(stage, settings, networks, store)
        parts = parts_of(plan, config, store, given.threads, CLOCKS[given.clock])
        for part in parts.values():
            part()
            part()
        times = {name: [] for name in parts}
        for _ in range(given.turns):
            for name, part in parts.items():
                times[name].append(part())
    medians = {name: 1e3 * float(np.median(values)) for name, values in times.items()}
    step, ours = (np.array(times["step"]), np.array(times["reading"]) + np.array(times["augmentation"]))
    # The step that is measured has its augmentation inside.
    medians["step_over_pipeline"] = float(np.median((step - np.array(times["augmentation"])) / ours))
    if "opencv" in times:
        medians["opencv_over_pipeline"] = float(np.median(np.array(times["opencv"]) / ours))
    return medians


def parts_of(
    plan: StagePlan, config: Config, store: Store, threads: int, clock: Clock
) -> dict[str, Callable[[], float]]:
    """The seconds of one batch, by part; each call goes on with the next batch."""
    reading, ready = (iter(build_pipeline(store.path, plan.streams, seed, 0)) for seed in (0, 1))
    batch = next(ready)
    prepare, step = tf.function(plan.model.prepare), tf.function(plan.model.train_step)
    parts = {
        "reading": lambda: seconds(lambda: [next(reading) for _ in range(2 * AHEAD)], clock=clock) / (2 * AHEAD),
        "hand_over": lambda: _seconds_when_ready(ready, clock),
        "augmentation": lambda: seconds(lambda: _values(prepare(batch)), clock=clock),
        "step": lambda: seconds(lambda: _values(step(batch)), clock=clock),
    }
    if importlib.util.find_spec("cv2"):
        opencv = opencv_part(plan.streams, config, store, threads)
        parts["opencv"] = lambda: seconds(opencv, clock=clock)
    else:
        print("OpenCV is not installed here, so its way is not measured.")
    return parts


def opencv_part(streams: dict[str, Stream], config: Config, store: Store, threads: int) -> Callable[[], None]:
    """Reads and augments one batch, then the next, with NumPy and OpenCV."""
    import cv2

    from benchmarks.opencv_pipeline import augmented

    cv2.setNumThreads(threads)
    data, random, steps = config.data, np.random.default_rng(0), iter(range(10**9))

    def whole() -> None:
        step = next(steps)
        for number, stream in enumerate(streams.values()):
            frames = shuffled_indices(step, stream.batch, store.count(stream.split), (0, number))
            if stream.images:
                rows = store.read(stream.split, frames)
            else:
                rows = {name: store.column(stream.split, name)[frames] for name in COLUMNS}
            augmented(rows, data.image_size, data.rotation_degrees, data.translation_mm, random)

    return whole


def table(figures: dict[str, dict[str, float]]) -> str:
    """A row per stage."""
    headers = [
        "",
        "reading",
        "hand-over",
        "augmentation",
        "step",
        "OpenCV's way, ms",
        "step over pipeline",
        "OpenCV over it",
    ]
    names = ("reading", "hand_over", "augmentation", "step", "opencv", "step_over_pipeline", "opencv_over_pipeline")
    rows = [[stage, *(row.get(name) for name in names)] for stage, row in figures.items()]
    return tabulate(rows, headers, floatfmt=".2f", missingval="") + f"\n(step over pipeline: at least {TARGET:g})"


def _seconds_when_ready(batches: Iterator, clock: Clock) -> float:
    # More are taken than lie ready; then the reading has time to catch up.
    time.sleep(2.0 * seconds(lambda: [next(batches) for _ in range(AHEAD)]))
    return seconds(next, batches, clock=clock)


def _values(tensors) -> None:
    tf.nest.map_structure(lambda tensor: tensor.numpy(), tensors)


if __name__ == "__main__":
    main()
