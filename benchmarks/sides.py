"""Which hand a single frame shows, by the finder alone and as the program tells it: `python benchmarks/sides.py [RUN]`.

Hands of sim-v2's test subjects among things, and their mirror images. The hand's place is given, 12 mm off along each
axis. A side counts as right where the program takes the hand for one of that side. Where it is not sure, it takes a
right hand. So right hands and left ones have rows of their own. "by sign" is the share of the logits on the right side
of 0, the same for both. A thumb is visible where what is measured at two of its four outer joints is within 20 mm of
them. Errors are those of the evaluated joints, with the side told by the finder alone, by the program, and said.
Frames in which nothing was measured around the place have none.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tabulate import tabulate

import lsps_tf  # noqa: F401  (chooses Keras before TensorFlow is imported)
from lsps_tf import crop, mirror
from lsps_tf.camera import mm_to_uvd
from lsps_tf.datasets.simulated import build_simulator
from lsps_tf.datasets.simulator import BATCH, VERSIONS, Simulation
from lsps_tf.hand import SURE_SIDE
from lsps_tf.hand_finding import search
from lsps_tf.predictor import Predictor, predictor_of_run
from lsps_tf.run_folder import SHIPPED, load_run
from lsps_tf.simulation.sensor import SENSORS
from lsps_tf.skeleton import NYU

THUMB = [NYU.joint_names.index(f"thumb_{part}") for part in ("tip", "distal", "ip", "mcp")]
VISIBLE, VISIBLE_MM = 2, 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", type=pathlib.Path, default=SHIPPED, help="default: the shipped model")
    parser.add_argument("--frames", type=int, default=512, help="per sensor (default: 512)")
    parser.add_argument("--output", type=pathlib.Path, metavar="FILE.json", help="write the figures there, too")
    given = parser.parse_args()
    predictor, report = predictor_of_run(load_run(given.run)), {}
    for sensor in SENSORS:
        report[sensor] = measure(predictor, sensor, given.frames)
        rows = [[name, *figures.values()] for name, figures in report[sensor].items()]
        print(f"\n{sensor}\n{tabulate(rows, ('', *report[sensor]['finder']), floatfmt='.1f')}", flush=True)
    if given.output:
        given.output.write_text(json.dumps(report, indent=2) + "\n")


def measure(predictor: Predictor, sensor: str, frames: int) -> dict[str, dict[str, float]]:
    """Percent of sides that are right and mean errors in mm, by who tells the side: "finder", "program" or "said"."""
    simulation = Simulation(sensor, "nyu", predictor.image_size, predictor.cube_mm, VERSIONS[1])
    simulator = build_simulator(simulation, "real/test")

    @tf.function
    def look(depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor) -> tuple[tf.Tensor, ...]:
        sides = (tf.fill([BATCH], side) for side in ("auto", *mirror.HANDS))
        told, *said = (predictor(depth_mm, intrinsics, center_mm, side) for side in sides)
        looks_right = search.judge_hand(depth_mm, intrinsics, center_mm)[2]
        return looks_right, told["right_logit"], *(each["joints_mm"] for each in said)

    columns: list[tuple[np.ndarray, ...]] = []
    for number in range(-(-frames // BATCH)):
        rows = simulator.batch(number)
        depth_mm, intrinsics = _frames(rows)
        *logits, as_right_mm, as_left_mm = look(depth_mm, intrinsics, tf.constant(rows["center_mm"]))
        errors_mm = [_errors(joints_mm, rows) for joints_mm in (as_right_mm, as_left_mm)]
        columns.append((*(logit.numpy() for logit in logits), *errors_mm, _thumb_is_seen(depth_mm, intrinsics, rows)))
    finder, program, right_mm, left_mm, thumb = (np.concatenate(parts)[:frames] for parts in zip(*columns))
    logits = {"finder": finder, "program": program, "said": np.full(frames, np.inf)}
    return {name: _figures(logit, right_mm, left_mm, thumb) for name, logit in logits.items()}


def _figures(logit: np.ndarray, right_mm: np.ndarray, left_mm: np.ndarray, thumb: np.ndarray) -> dict[str, float]:
    """Of right hands with their logits. Those of their mirror images are the logits with the other sign."""
    as_right, as_left = logit >= -SURE_SIDE, logit > SURE_SIDE
    percent = {
        "right hands, %": as_right,
        "left hands, %": as_left,
        "by sign, %": logit > 0.0,
        "by sign with a thumb, %": logit[thumb] > 0.0,
    }
    errors_mm = {"right hands, mm": as_right, "left hands, mm": as_left}
    return {
        **{name: 100.0 * float(np.mean(value)) for name, value in percent.items()},
        **{name: float(np.nanmean(np.where(told, right_mm, left_mm))) for name, told in errors_mm.items()},
    }


def _frames(rows: dict[str, np.ndarray]) -> tuple[tf.Tensor, tf.Tensor]:
    """A batch's stored crops as frames in mm, [B, H, W], and their intrinsics [B, 4]."""
    depth_mm = tf.constant(rows["depth_mm"], tf.float32)
    centers_mm, extent_mm = (tf.constant(rows[name]) for name in ("center_mm", "extent_mm"))
    return depth_mm, crop.crop_intrinsics(centers_mm, extent_mm, depth_mm.shape[1])


def _errors(joints_mm: tf.Tensor, rows: dict[str, np.ndarray]) -> np.ndarray:
    """Mean errors [B] of the evaluated joints, mm."""
    away_mm = np.linalg.norm(joints_mm.numpy() - rows["joints_mm"], axis=-1)
    return away_mm[:, list(NYU.evaluated)].mean(axis=1)


def _thumb_is_seen(depth_mm: tf.Tensor, intrinsics: tf.Tensor, rows: dict[str, np.ndarray]) -> np.ndarray:
    u, v, z = np.moveaxis(mm_to_uvd(rows["joints_mm"][:, THUMB], intrinsics.numpy()[:, None]), -1, 0)
    last = depth_mm.shape[1] - 1
    u, v = (np.rint(value).clip(0, last).astype(int) for value in (u, v))
    seen_mm = depth_mm.numpy()[np.arange(len(u))[:, None], v, u]
    return (np.abs(seen_mm - z) < VISIBLE_MM).sum(axis=1) >= VISIBLE


if __name__ == "__main__":
    main()
