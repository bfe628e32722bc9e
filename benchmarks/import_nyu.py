"""Speed and memory of the NYU import, and what kills leave of it, on a tree of simulated frames in NYU's encoding.

    python benchmarks/import_nyu.py --json import_nyu.json
    python benchmarks/import_nyu.py --frames 2000 --kills 10

Frames are 640 x 480 PNGs like the dataset's; the labels are as many as the real dataset's. Figures are of the import
alone: reading labels, decoding, centres, crops, the store. Memory is the sum over its processes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import pathlib
import random
import signal
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

LABELS = {"train": 72_757, "test": 8_252}
DIFFERENT = 24
CUBE_MM = 300.0
# In a child process, which alone loads TensorFlow: nothing of this file's own counts in its memory.
SPAWN = multiprocessing.get_context("spawn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[1000, 4000], help="frames per import (1000 4000)")
    parser.add_argument("--image-size", type=int, default=128, help="pixels of the network's image (default 128)")
    parser.add_argument("--workers", type=int, help="processes that read (default: one per core)")
    parser.add_argument("--kills", type=int, default=0, help="kill an import so often at random, and compare (0)")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="import-nyu-") as temporary:
        root = pathlib.Path(temporary)
        _in_child(build_tree, root / "nyu", max(given.frames))
        kilobytes = (root / "nyu" / "train" / "depth_1_0000001.png").stat().st_size / 1024
        report = {"cores": len(os.sched_getaffinity(0)), "png_kb": round(kilobytes), "image_size": given.image_size}
        report["imports"] = [measure(root, frames, given) for frames in given.frames]
        if given.kills:
            report["kills"] = kill_and_compare(root, given)
    print(json.dumps(report, indent=1))
    if given.json:
        given.json.write_text(json.dumps(report, indent=1) + "\n")


def build_tree(folder: pathlib.Path, frames: int) -> None:
    """The dataset's folders with files for an import of `frames`; few are different, the others are links to them."""
    import scipy.io
    from PIL import Image

    from lsps_tf import camera
    from lsps_tf.datasets.simulator import Simulation, Simulator

    joints_uvd = []
    counts = _counts(frames)
    for part in counts:
        (folder / part).mkdir(parents=True)
    simulators = {
        "depth": Simulator(Simulation("structured-light", "nyu", 64, CUBE_MM), "real/train"),
        "synthdepth": Simulator(Simulation("structured-light", "nyu", 64, CUBE_MM), "synthetic/train"),
    }
    for number in range(DIFFERENT):
        for prefix, simulator in simulators.items():
            depth_mm, joints_mm = simulator.whole_frame(number)
            encoded = encode(with_scene(depth_mm, number) if prefix == "depth" else np.where(depth_mm, depth_mm, 2001))
            Image.fromarray(encoded).save(folder / f"{prefix}_{number}.png")
            if prefix == "depth":
                joints_uvd.append(camera.mm_to_uvd(joints_mm.astype(np.float64), camera.NYU.intrinsics))
    for part, count in counts.items():
        for row, prefix in itertools.product(range(count), simulators):
            os.link(folder / f"{prefix}_{row % DIFFERENT}.png", folder / part / f"{prefix}_1_{row + 1:07d}.png")
        labels = np.stack(joints_uvd)[np.arange(LABELS[part]) % DIFFERENT]
        scipy.io.savemat(folder / part / "joint_data.mat", {"joint_uvd": np.stack([labels] * 3)}, do_compression=True)


def with_scene(depth_mm: np.ndarray, seed: int) -> np.ndarray:
    """A frame with a body behind the hand, noisy as the sensor is, and no reading elsewhere."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: depth_mm.shape[0], : depth_mm.shape[1]]
    body_mm = 1150.0 + 0.5 * np.abs(columns - 350.0) + rng.normal(0.0, 2.0, depth_mm.shape)
    body_mm = np.where((rows > 120) & (np.abs(columns - 350.0) < 0.6 * rows), body_mm, 2001.0)
    return np.where(depth_mm > 0, depth_mm, body_mm)


def encode(depth_mm: np.ndarray) -> np.ndarray:
    """8-bit RGB with mm = 256 G + B."""
    whole_mm = np.rint(depth_mm).astype(np.uint16)
    return np.stack([np.zeros_like(whole_mm), whole_mm >> 8, whole_mm & 255], axis=-1).astype(np.uint8)


def run_import(folder: pathlib.Path, path: pathlib.Path, frames: int, image_size: int, workers: int | None) -> None:
    """One import of `frames`; prints its seconds, which do not hold the start of Python and TensorFlow."""
    from lsps_tf import camera
    from lsps_tf.datasets.importing import Target, import_store
    from lsps_tf.datasets.public import nyu
    from lsps_tf.datasets.public.source import RecordedSource
    from lsps_tf.jobs import Workers

    path.with_suffix(".started").touch()
    started = time.perf_counter()
    recordings = nyu.recordings(folder, limit=_counts(frames)["train"])
    test = recordings["real/test"]
    recordings["real/test"] = test.replace(numbers=test.numbers[: _counts(frames)["test"]])
    sources = {split: RecordedSource(recording, CUBE_MM, image_size) for split, recording in recordings.items()}
    import_store(Target(path, "nyu", camera.NYU, image_size, CUBE_MM, {}), sources, workers=Workers(workers))
    path.with_suffix(".seconds").write_text(str(time.perf_counter() - started))


def measure(root: pathlib.Path, frames: int, given: argparse.Namespace) -> dict:
    """Frames per second and peak memory of one import."""
    path = root / f"{frames}.h5"
    process = SPAWN.Process(target=run_import, args=(root / "nyu", path, frames, given.image_size, given.workers))
    process.start()
    peak_mb, processor_seconds = 0.0, 0.0
    while process.is_alive():
        tree = _process_tree(process.pid)
        peak_mb = max(peak_mb, sum(_status(pid, "VmRSS") for pid in tree) / 1024)
        processor_seconds = max(processor_seconds, sum(_processor_seconds(pid) for pid in tree))
        time.sleep(0.05)
    if process.exitcode:
        sys.exit(f"the import failed with {process.exitcode}")
    total = sum(_counts(frames).values()) + _counts(frames)["train"]
    seconds = float(path.with_suffix(".seconds").read_text())
    figures = {
        "frames": total,
        "seconds": round(seconds, 2),
        "frames_per_second": round(total / seconds, 1),
        "processor_ms_per_frame": round(1000 * processor_seconds / total, 1),
        "peak_rss_mb": round(peak_mb),
        "store_mb": round(path.stat().st_size / 2**20, 1),
    }
    print(figures, flush=True)
    return figures


def kill_and_compare(root: pathlib.Path, given: argparse.Namespace) -> dict:
    """Kills an import at random moments, lets it finish, and compares its store with the uninterrupted one."""
    frames = given.frames[0]
    path, whole = root / "killed.h5", root / f"{frames}.h5"
    seconds = float(whole.with_suffix(".seconds").read_text())
    arguments = (root / "nyu", path, frames, given.image_size, given.workers)
    progress = []
    for _ in range(given.kills):
        path.with_suffix(".started").unlink(missing_ok=True)
        process = SPAWN.Process(target=run_import, args=arguments)
        process.start()
        while process.is_alive() and not path.with_suffix(".started").exists():
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.8 * seconds))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        progress.append(len(list(path.with_name(path.name + ".parts").glob("*.h5"))))
        if path.exists():
            break
    _in_child(run_import, *arguments)
    return {"kills": len(progress), "parts_after_each": progress, "identical": _same(whole, path)}


def _same(a: pathlib.Path, b: pathlib.Path) -> bool:
    """Whether two stores hold the same datasets and attributes."""
    import h5py

    with h5py.File(a) as first, h5py.File(b) as second:
        names: list[list[str]] = [[], []]
        first.visit(names[0].append)
        second.visit(names[1].append)
        if names[0] != names[1] or any(np.any(first.attrs[key] != second.attrs[key]) for key in first.attrs):
            return False
        datasets = [name for name in names[0] if isinstance(first[name], h5py.Dataset)]
        return all(
            first[name].shape == second[name].shape
            and all(np.array_equal(first[name][k], second[name][k]) for k in range(len(first[name])))
            for name in datasets
        )


def _counts(frames: int) -> dict[str, int]:
    """Training frames, of which each is imported real and synthetic, and test frames."""
    test = frames // 10
    return {"train": (frames - test) // 2, "test": test}


def _in_child(function, *arguments) -> None:
    process = SPAWN.Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"{function.__name__} failed with {process.exitcode}")


def _process_tree(pid: int) -> list[int]:
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [pid, *(child for part in text.split() for child in _process_tree(int(part)))]


def _status(pid: int, name: str) -> float:
    """A figure of /proc/PID/status in kB, 0 where the process has ended."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0.0)


def _processor_seconds(pid: int) -> float:
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
