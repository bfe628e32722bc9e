"""The whole path on an edge device, frame in, joints out: frames per second from a 640x480 depth array.

    python benchmarks/edge.py --model runs/demo/model/lsps.tflite --json edge.json

Every frame shows the hand of the example frame somewhere else. Frames in which it is not found are left out. `find`
takes each frame by itself, and predicts both sides. `track` follows the hand, of one side once that is sure, and
smooths. `track, both sides` is a hand whose side never is. On one thread unless --threads says otherwise.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

# NumPy's matrix products take all cores unless they are told not to, and that must be said before NumPy is loaded.
os.environ.update({name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")})
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from export.edge import EdgePredictor, HandTracker, OneEuroFilter
from lsps_tf.camera import NYU
from lsps_tf.depth_files import read_depth
from lsps_tf.device.crop import crop_frame, normalize_depth
from lsps_tf.device.search import find_hand
from lsps_tf.files import write_json

EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "example" / "structured-light.png"
BACKGROUND_MM = 1600.0
STEP_PX, FRAMES = 4, 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="a .tflite file that export/run.py wrote")
    parser.add_argument("--threads", type=int, default=1, help="of the network (default: 1)")
    parser.add_argument("--seconds", type=float, default=5.0, help="per figure (default: 5)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    predictor = EdgePredictor(options.model, options.threads)
    report = {}
    for scene, frames in {"bare": moving_frames(None), "wall": moving_frames(BACKGROUND_MM)}.items():
        frames = [depth_mm for depth_mm in frames if predictor(depth_mm, NYU) is not None]
        if not frames:
            sys.exit(f"error: no hand was found in the example frame, {scene}")
        for name, work in paths(predictor, frames).items():
            milliseconds = measure(work, frames, options.seconds)
            figures = {"median_ms": float(np.median(milliseconds)), "p90_ms": float(np.percentile(milliseconds, 90))}
            report[f"{scene}/{name}"] = {**figures, "frames_per_second": 1000.0 / float(np.mean(milliseconds))}
            row = report[f"{scene}/{name}"]
            print(
                f"{scene:5s} {name:17s} {row['frames_per_second']:7.1f} frames/s, median {row['median_ms']:.2f} ms, "
                f"p90 {row['p90_ms']:.2f} ms"
            )
    if options.json:
        write_json(options.json, {"model": str(options.model), "threads": options.threads, "figures": report})


def moving_frames(background_mm: float | None) -> list[np.ndarray]:
    """The example frame, moved to and fro; with a wall behind the hand, or nothing."""
    depth_mm = read_depth(EXAMPLE)
    if background_mm is not None:
        depth_mm = np.where(depth_mm > 0, depth_mm, np.float32(background_mm))
    return [np.roll(depth_mm, STEP_PX * min(n, FRAMES - n) - 120, axis=1) for n in range(FRAMES)]


def paths(predictor: EdgePredictor, frames: list[np.ndarray]) -> dict[str, Callable[[np.ndarray], object]]:
    """What is measured: the whole path in both ways, and its parts."""
    tracker = HandTracker(predictor, NYU, OneEuroFilter())
    center_mm = find_hand(frames[0], NYU.intrinsics)
    size, cube_mm = predictor.model.info.image_size, predictor.model.info.cube_mm

    def crop(depth_mm: np.ndarray) -> np.ndarray:
        return normalize_depth(crop_frame(depth_mm, NYU.intrinsics, center_mm, cube_mm, size), center_mm, cube_mm)

    image = crop(frames[0])
    return {
        "find": lambda depth_mm: predictor(depth_mm, NYU),
        "track": tracker.update,
        "track, both sides": lambda depth_mm: HandTracker(predictor, NYU, OneEuroFilter()).update(depth_mm),
        "find only": lambda depth_mm: find_hand(depth_mm, NYU.intrinsics),
        "crop only": crop,
        "net only": lambda depth_mm: predictor.network(image),
    }


def measure(work: Callable[[np.ndarray], object], frames: list[np.ndarray], seconds: float) -> np.ndarray:
    """Milliseconds of each call, after a round of them that does not count."""
    for depth_mm in frames:
        work(depth_mm)
    milliseconds, number = [], 0
    while sum(milliseconds) < 1000.0 * seconds:
        started = time.perf_counter()
        work(frames[number % len(frames)])
        milliseconds.append(1000.0 * (time.perf_counter() - started))
        number += 1
    return np.array(milliseconds)


if __name__ == "__main__":
    main()
