"""Errors of a trained run among things and without them, per sensor: `python benchmarks/surroundings.py [RUN]`.

Test subjects of the simulator. "among things" and "alone" are the same hands of sim-v2, with and without what stands
around them. "sim-v1" are free hands, seen as in its tables. Every crop is centred where the hand finder may find the
hand: on the mean of its joints, 12 mm off along each axis.

--picture FILE.png draws whole frames of the same kind with what the run finds and predicts in them.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from tabulate import tabulate  # noqa: E402

import lsps_tf  # noqa: F401, E402  (chooses Keras before TensorFlow is imported)
from lsps_tf import augment, crop, load_predictor  # noqa: E402
from lsps_tf.datasets.simulated import build_simulator  # noqa: E402
from lsps_tf.datasets.simulated_scenes import CENTER_SPREAD_MM  # noqa: E402
from lsps_tf.datasets.simulator import BATCH, SUBJECTS, VERSIONS, Simulation  # noqa: E402
from lsps_tf.draw import contact_sheet, overlay_hands  # noqa: E402
from lsps_tf.run_folder import SHIPPED, Run, load_run  # noqa: E402
from lsps_tf.simulation import scene_renderer, shape  # noqa: E402
from lsps_tf.simulation.sensor import SENSORS  # noqa: E402
from lsps_tf.skeleton import NYU  # noqa: E402

OLD, NEW = VERSIONS
# Of the picture: frames of each sensor, their width, and what draws them.
_DRAWN, _WIDTH_PX, _SEED = 4, 320, 7
VIEWS = {"among things": (NEW, "real/test"), "alone": (NEW, "real/empty"), "sim-v1": (OLD, "real/test")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", type=pathlib.Path, default=SHIPPED, help="default: the shipped model")
    parser.add_argument("--frames", type=int, default=512, help="per row (default: 512)")
    parser.add_argument("--picture", type=pathlib.Path, metavar="FILE.png", help="draw some frames instead")
    parser.add_argument("--output", type=pathlib.Path, metavar="FILE.json", help="write the figures there, too")
    given = parser.parse_args()
    if given.picture:
        draw(given.run, given.picture)
        return
    run, rows = load_run(given.run), []
    for sensor in SENSORS:
        errors = {view: measure(run, sensor, *VIEWS[view], given.frames) for view in VIEWS}
        rows.append({"sensor": sensor, **{view: round(error, 2) for view, error in errors.items()}})
        rows[-1]["things / alone"] = round(errors["among things"] / errors["alone"], 3)
    print(tabulate(rows, headers="keys", tablefmt="github"))
    if given.output:
        given.output.write_text(json.dumps(rows, indent=2) + "\n")


def measure(run: Run, sensor: str, version: str, split: str, frames: int) -> float:
    """Mean error of the evaluated joints, mm."""
    data = run.config.data
    simulator = build_simulator(Simulation(sensor, "nyu", data.image_size, data.cube_mm, version), split)
    errors = [errors_of(run, simulator.batch(number), number, version) for number in range(-(-frames // BATCH))]
    return float(np.concatenate(errors)[:frames].mean())


def errors_of(run: Run, rows: dict[str, np.ndarray], number: int, version: str) -> np.ndarray:
    """Errors [B, E] of a batch's evaluated joints, mm."""
    shift_mm = np.zeros([BATCH, 3], np.float32)
    if version == OLD:
        # These crops are centred on what the sensor sees of the hand.
        noise = CENTER_SPREAD_MM * np.random.default_rng(number).standard_normal([BATCH, 3])
        shift_mm = (rows["joints_mm"].mean(axis=1) + noise - rows["center_mm"]).astype(np.float32)
    stored = [tf.constant(rows[name], tf.float32) for name in augment.IMAGE_COLUMNS]
    image = augment.view_crops(*stored, run.config.data.image_size, tf.zeros(BATCH), tf.constant(shift_mm))
    joints = run.networks.predict_joints(image, run.domain)
    joints_mm = crop.denormalize_joints(joints, rows["center_mm"] + shift_mm, rows["cube_mm"]).numpy()
    chosen = list(NYU.evaluated)
    return np.linalg.norm((joints_mm - rows["joints_mm"])[:, chosen], axis=-1)


def draw(run: pathlib.Path, path: pathlib.Path) -> None:
    """Some frames of each sensor with the predictions over them."""
    predictor, subjects = load_predictor(run), shape.subject_shape(np.array(SUBJECTS["real/test"]))
    pictures, titles = [], []
    for number, settings in enumerate(SENSORS.values()):
        depths_mm, joints_mm = scene_renderer.sense_frames(settings, subjects, _DRAWN, tf.constant([_SEED, number]))
        for depth_mm, true_mm in zip(depths_mm.numpy(), joints_mm.numpy()):
            hand = predictor(depth_mm, settings.camera)
            found = [] if hand is None else [hand]
            errors = [np.linalg.norm(hand.joints_mm - true_mm, axis=-1)[list(NYU.evaluated)].mean() for hand in found]
            titles.append(f"{errors[0]:.0f} mm off" if found else "no hand found")
            joints_uv, sides = [hand.joints_uvd[:, :2] for hand in found], [hand.side for hand in found]
            picture = overlay_hands(depth_mm, joints_uv, sides, NYU)
            pictures.append(picture.resize((_WIDTH_PX, picture.height * _WIDTH_PX // picture.width)))
    contact_sheet(pictures, titles, _DRAWN).save(path)


if __name__ == "__main__":
    main()
