"""What a frame costs in each kind of job, in CPU time of one core, and what many frames take by these rates.

    python benchmarks/scale.py --json scale.json
    python benchmarks/scale.py --recordings 10000 --frames 2000 --cores 256

CPU time is what a core takes where nothing else runs on it, so the figures hold on a machine that others use, too. The
start of a process and the building of its graphs are counted apart. `stream` is the simulator against what trains on
it: crops that a core renders in the CPU time that the regression's step takes for one crop.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import lsps_tf  # noqa: F401  It chooses Keras 2, so it comes before TensorFlow.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tabulate import tabulate

from benchmarks.import_nyu import with_scene
from lsps_tf import augment
from lsps_tf.camera import NYU
from lsps_tf.config import Config
from lsps_tf.datasets.feeds import ReadRows
from lsps_tf.datasets.own.frame_folder import FrameFolder, open_recording
from lsps_tf.datasets.own.hands import USED, FindBlock, FoundHands
from lsps_tf.datasets.own.source import OwnSource
from lsps_tf.datasets.simulated import SimulateFrames
from lsps_tf.datasets.simulator import BATCH, DATASETS, Simulation, Simulator
from lsps_tf.datasets.store import create_store, open_store, stored_size
from lsps_tf.depth_files import write_depth_png16
from lsps_tf.files import write_json
from lsps_tf.fitting.jobs import FitImages
from lsps_tf.fitting.to_depth import SIZE, FitSettings
from lsps_tf.jobs.processes import prepare_worker
from lsps_tf.networks import build_networks
from lsps_tf.presets import PRESETS
from lsps_tf.run_folder import RunSettings
from lsps_tf.simulation.shape import NUM_SHAPE_PARAMETERS
from training.methods import build_plan

FRAMES = 16
UNIT_MM = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(PRESETS), default="compact", help="whose crops (default: compact)")
    parser.add_argument("--repeats", type=int, default=3, help="of each measurement (default: 3)")
    parser.add_argument("--recordings", type=int, default=10_000, help="in the estimate (default: 10,000)")
    parser.add_argument("--frames", type=int, default=2_000, help="of each recording (default: 2,000)")
    parser.add_argument("--cores", type=int, default=64, help="in the estimate (default: 64)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    prepare_worker()
    config, rates = PRESETS[given.preset], Rates(given.repeats)
    with tempfile.TemporaryDirectory() as scratch:
        rows = simulating(config, rates)
        recorded(config, rates, Path(scratch))
        stored(config, rates, rows, Path(scratch) / "a.h5")
        fitting(rates, rows)
        training(config, rates, Path(scratch) / "a.h5")
    print(rates.table(given.recordings * given.frames, given.cores))
    for name in (name for name in rates.ms if name.startswith("simulate: ")):
        crops = rates.ms["train: regression"] / rates.ms[name]
        print(
            f"stream: {crops:.2f} crops of {name.removeprefix('simulate: ')} in the CPU time that a trained one takes"
        )
    if given.json:
        write_json(given.json, {"preset": given.preset, "cpu_ms_per_frame": rates.ms, "start_s": rates.start_s})


class Rates:
    """CPU time of each kind of job: ms per frame, and seconds of the first call, which builds graphs."""

    def __init__(self, repeats: int):
        self.ms: dict[str, float] = {}
        self.start_s: dict[str, float] = {}
        self._repeats = repeats

    def measure(self, name: str, frames: int, work: Callable[[], object]) -> object:
        """Times `work`, which does so many frames; gives what it returns."""
        started = time.process_time()
        result = work()
        first = time.process_time() - started
        times = []
        for _ in range(self._repeats):
            started = time.process_time()
            work()
            times.append(time.process_time() - started)
        seconds = float(np.median(times))
        self.ms[name], self.start_s[name] = 1e3 * seconds / frames, first - seconds
        print(f"{name}: {self.ms[name]:.2f} ms a frame, {self.start_s[name]:.1f} s to start", flush=True)
        return result

    def table(self, frames: int, cores: int) -> str:
        """What so many frames take on one core and on several."""
        rows = [(name, ms, 1e3 / ms, ms * frames / 3.6e6, ms * frames / 3.6e6 / cores) for name, ms in self.ms.items()]
        headers = (
            "",
            "ms a frame",
            "frames/s of a core",
            f"core-hours of {frames:,} frames",
            f"hours on {cores} cores",
        )
        return tabulate(rows, headers, floatfmt=(None, ".2f", ".0f", ".1f", ".2f"))


def simulating(config: Config, rates: Rates) -> dict[str, np.ndarray]:
    """Rendering; gives a batch of the real domain."""
    rows = {}
    for name, version in DATASETS.items():
        data = config.data
        simulation = Simulation("structured-light", "nyu", data.image_size, data.cube_mm, version)
        for split in ("synthetic/train", "real/train"):
            job = SimulateFrames(simulation, split, range(BATCH))
            rows[name, split] = rates.measure(f"simulate: {name}, {split.split('/')[0]}", BATCH, job).rows
    return rows["sim", "real/train"]


def recorded(config: Config, rates: Rates, folder: Path) -> None:
    """Finding hands in whole frames of 640 x 480 pixels, and cropping them; both read PNGs."""
    own = recording(folder / "frames")
    job = FindBlock(own.frames, 0, np.full(3, np.nan, np.float32), own.camera_file, own.camera, {})
    hands: FoundHands = rates.measure("find hands: a recording", FRAMES, job)
    found = np.flatnonzero(hands.kind == USED)
    source = OwnSource(own, hands, {".": "right"}, found, config.data.cube_mm, config.data.image_size)
    rates.measure("import: a recording", len(found), source.job(range(len(found))))


def recording(folder: Path) -> FrameFolder:
    """Simulated hands before a body, as one's own recording."""
    folder.mkdir()
    simulator = Simulator(Simulation("structured-light", "nyu", 64, 250.0), "real/train")
    for number in range(FRAMES):
        depth_mm, _ = simulator.whole_frame(number)
        write_depth_png16(folder / f"{number}.png", with_scene(depth_mm, number), UNIT_MM)
    lens = "".join(f"{name} = {getattr(NYU, name)}\n" for name in ("fx", "fy", "cx", "cy"))
    (folder / "camera.toml").write_text(f'{lens}depth_unit_mm = {UNIT_MM}\nhand = "right"\n')
    return open_recording(folder)


def stored(config: Config, rates: Rates, rows: dict[str, np.ndarray], path: Path) -> None:
    """Writing into a store, which one process does, and reading from it."""
    with create_store(path, "nyu", NYU, stored_size(config.data.image_size), {}) as store:
        rates.measure("write a store", BATCH, lambda: store.append("real/train", rows))
        store.append("synthetic/train", rows)
    with open_store(path) as store:
        job = ReadRows(path, 0, "real/train", np.random.default_rng(0).permutation(BATCH), True)
        rates.measure("read a store", BATCH, lambda: job.read(store))


def fitting(rates: Rates, rows: dict[str, np.ndarray]) -> None:
    """Fitting the hand to depth, from joints that are a few mm off."""
    images = augment.view_stored_crops(*(rows[name] for name in augment.IMAGE_COLUMNS), SIZE)[..., 0].numpy()
    start_mm = rows["joints_mm"] + np.random.default_rng(0).normal(0, 5, rows["joints_mm"].shape).astype(np.float32)
    shapes = np.zeros([BATCH, NUM_SHAPE_PARAMETERS], np.float32)
    job = FitImages(
        tuple(range(36)), FitSettings(), images, rows["center_mm"], rows["cube_mm"], start_mm, shapes, seed=0
    )
    rates.measure("fit", BATCH, job)


def training(config: Config, rates: Rates, path: Path) -> None:
    """The regression's step, augmentation included."""
    networks = build_networks(config.network, config.data.image_size, seed=0)
    settings = RunSettings(config, "synthetic-only", "nyu", "sim", str(path), "structured-light", domain="synthetic")
    batch = config.training.posterior_batch
    with open_store(path) as store:
        plan = build_plan("regression", settings, networks, store)
        rows = store.read("synthetic/train", np.arange(batch) % BATCH)
    columns = {name: tf.constant(rows[name]) for name in plan.streams["synthetic"].columns}
    given = {"synthetic": columns, "seed": tf.constant([0, 0])}
    step = tf.function(plan.model.train_step)
    rates.measure("train: regression", batch, lambda: tf.nest.map_structure(lambda t: t.numpy(), step(given)))


if __name__ == "__main__":
    main()
