"""What adapting to one's own camera brings: error before and after, on a simulated camera that no training knows.

    python benchmarks/adaptation.py --output runs/adaptation --json adaptation.json

Writes a recording as a user would make one: 2,000 unlabelled frames of a sensor with effects of its own (block-matching
stereo: `lsps_tf.simulation.active_stereo`), its own resolution and field of view, and 512 frames with labels that serve
as the test. What is done is kept: start it again to go on. Options that are not its own go to the trainings.

`--scenes room`: hands alone, before walls and of persons, other subjects in the test. Two trainings by `training/run.py
--dataset frames`: with the simulator's clean frames alone (before), and with the unlabelled frames besides (after).
With --recipe fitting a third row shows what the stages before the fitting reach.

`--scenes desk`: one subject's hand over tables, at things and beside another hand. Before is the shipped model; after,
`--method adapt` has gone on from it. The recording has takes of two seconds, in each of which the scene stands still
and the hand goes from one pose to another. The test is every fourth frame of each take, which the training has not.
"""

from __future__ import annotations

import argparse
import csv
import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import lsps_tf  # noqa: F401  It chooses Keras 2, so it comes before TensorFlow.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tabulate import tabulate
from tqdm import tqdm

from lsps_tf.commandline.command import run_command
from lsps_tf.datasets.simulator import SUBJECTS
from lsps_tf.depth_files import write_depth_png16
from lsps_tf.files import atomic_path, write_json
from lsps_tf.run_folder import SHIPPED, load_run, read_settings, settings_path
from lsps_tf.simulation import scene_renderer, scenes, shape, takes
from lsps_tf.simulation.sensor import HELD_OUT_SENSOR
from lsps_tf.simulation.surroundings import Scene
from lsps_tf.skeleton import NYU
from training.evaluation.measure import predict_store, summarize
from training.evaluation.pictures import write_evaluation
from training.methods import LSPS

RUN = Path(__file__).resolve().parents[1] / "training" / "run.py"
BATCH = 16
POSTERIOR = LSPS.stages[-1]
UNIT_MM = 0.1
FARTHEST_MM = 6000.0
# Of rooms, in turn.
ROOMS = ("bare", "wall", "person")
# The other recording's subject, its frames a take, and which of them are for the test: one of so many.
DESK, SUBJECT, TAKE, TESTED = "desk", 20, 48, 4


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Every other option goes to training/run.py, such as --preset and --recipe.",
        allow_abbrev=False,
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the recording and the runs")
    parser.add_argument("--frames", type=int, default=2000, help="unlabelled frames (default: 2000)")
    parser.add_argument(
        "--test-frames", type=int, default=512, help="labelled frames to test on, of rooms (default: 512)"
    )
    parser.add_argument("--scenes", choices=("room", DESK), default="room", help="where the hands are (default: room)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments, training = parser.parse_known_args()
    camera = arguments.output / "camera"
    if arguments.scenes == DESK:
        record_takes(camera, arguments.frames)
    else:
        record_rooms(camera, arguments.frames, arguments.test_frames)
    common = ["--dataset", "frames", "--data-root", str(camera), "--store-dir", str(arguments.output), *training]
    figures = (_adapt if arguments.scenes == DESK else _train_twice)(arguments.output, common)
    keys = ("mean_error_mm", "within_40_mm_percent", "auc", "frames")
    report = {name: {key: found[key] for key in keys} for name, found in figures.items()}
    report["unlabelled_frames"] = arguments.frames
    print(tabulate([[name, *report[name].values()] for name in figures], ("", *keys), floatfmt=".2f"))
    for path in (arguments.output / "summary.json", arguments.json):
        if path is not None:
            write_json(path, report)
    return 0


def _train_twice(output: Path, common: list[str]) -> dict[str, dict]:
    after, before = output / "after", output / "before"
    # The pose stage is the same, and trained once.
    poses = ["--method", "synthetic-only", "--pretrained", str(after), "--pretrained-stage", "pose"]
    for run_dir, options in ((after, []), (before, poses)):
        _train(run_dir, [*common, *options])
    figures = {"before": _evaluate(before)}
    if read_settings(after).config.training.fit_rounds:
        figures["after, without fitting"] = _evaluate(after, POSTERIOR)
    return {**figures, "after": _evaluate(after)}


def _adapt(output: Path, common: list[str]) -> dict[str, dict]:
    _train(output / "after", [*common, "--method", "adapt"])
    run, shipped = load_run(output / "after"), load_run(SHIPPED)
    before = predict_store(run, predict_joints=lambda image: shipped.networks.predict_joints(image, shipped.domain))
    return {"before": summarize(before, run.skeleton), "after": _evaluate(output / "after")}


def record_rooms(folder: Path, count: int, test_count: int) -> None:
    """Writes a recording of rooms, the kinds in turn, and the labels of the test frames."""
    lines = []
    for name, split, wanted in (("unlabelled", "real/train", count), ("test", "real/test", test_count)):
        for number in tqdm(range(-(-wanted // BATCH)), desc=name, unit="batch"):
            paths = [folder / name / f"{n:05d}.png" for n in range(number * BATCH, min((number + 1) * BATCH, wanted))]
            sense = functools.partial(_sense_room, split, number, ROOMS[number % len(ROOMS)])
            joints_mm = _write_frames(paths, _labels_path(folder, f"{name}-{number:05d}"), sense)
            lines += _label_lines(paths, joints_mm) if name == "test" else []
    _write_recording(folder, lines)


def record_takes(folder: Path, count: int) -> None:
    """Writes a recording of takes over tables, with `count` unlabelled frames or a few more, and the others' labels."""
    lines = []
    for number in tqdm(range(-(-count // (TAKE - TAKE // TESTED))), desc="takes", unit="take"):
        splits = ["test" if place % TESTED == TESTED - 1 else "unlabelled" for place in range(TAKE)]
        paths = [folder / split / f"{number:03d}-{place:02d}.png" for place, split in enumerate(splits)]
        joints_mm = _write_frames(
            paths, _labels_path(folder, f"take-{number:05d}"), functools.partial(_sense_take, number)
        )
        tested = [place for place, split in enumerate(splits) if split == "test"]
        lines += _label_lines([paths[place] for place in tested], joints_mm[tested])
    _write_recording(folder, lines)


def _write_frames(paths: list[Path], labels: Path, sense: Callable[[], tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Writes what was sensed as images, unless they are there. Returns the joints, which come into `labels`."""
    if not all(path.exists() for path in (*paths, labels)):
        depth_mm, joints_mm = sense()
        for path, frame_mm in zip(paths, depth_mm):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_depth_png16(path, np.where(frame_mm < FARTHEST_MM, frame_mm, 0.0), UNIT_MM)
        labels.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(labels) as partial, partial.open("wb") as file:
            np.save(file, joints_mm)
    return np.load(labels)


def _write_recording(folder: Path, lines: list[list[str]]) -> None:
    """Writes `joints.csv` with the test frames' labels, and `camera.toml`."""
    camera = HELD_OUT_SENSOR.camera
    columns = [f"{joint}_{axis}" for joint in NYU.joint_names for axis in "xyz"]
    with atomic_path(folder / "joints.csv") as partial, partial.open("w", newline="") as file:
        csv.writer(file).writerows([["frame", "split", *columns], *lines])
    numbers = "".join(f"{name} = {getattr(camera, name)}\n" for name in ("fx", "fy", "cx", "cy", "width", "height"))
    (folder / "camera.toml").write_text(f'{numbers}depth_unit_mm = {UNIT_MM}\nhand = "right"\nfar_mm = 1500\n')


def _labels_path(folder: Path, name: str) -> Path:
    # Beside the recording: inside it an array would count as a video.
    return folder.parent / "labels" / f"{name}.npy"


def _label_lines(paths: list[Path], joints_mm: np.ndarray) -> list[list[str]]:
    return [
        [f"test/{path.name}", "test", *(f"{value:.4f}" for value in joints.ravel())]
        for path, joints in zip(paths, joints_mm)
    ]


def _sense_room(split: str, number: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A batch of frames and their joints; `number` and the split fix it."""
    depth_mm, joints_mm = _build_rooms(split, kind)(tf.constant([list(SUBJECTS).index(split) + 8000, number]))
    return depth_mm.numpy(), joints_mm.numpy()


@functools.cache
def _build_rooms(split: str, kind: str) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    subjects = shape.subject_shape(np.array(SUBJECTS[split]))

    @tf.function
    def sense(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        hands_seed, scene_seed, noise_seed = tf.unstack(tf.random.split(seed, 3))
        hands = scenes.draw_hands(HELD_OUT_SENSOR, subjects, BATCH, hands_seed)
        return scenes.sense_scene(HELD_OUT_SENSOR, kind, hands, scene_seed, noise_seed)

    return sense


def _sense_take(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A take's frames and their joints; the number fixes it."""
    draw, sense = _build_takes()
    take = draw(tf.constant([8100, number]))
    parts = zip(*(tf.split(part, TAKE // BATCH) for part in tf.nest.flatten(take)))
    batches = [tf.nest.pack_sequence_as(take, list(part)) for part in parts]
    depth_mm = [sense(batch, tf.constant([8200 + place, number])) for place, batch in enumerate(batches)]
    return np.concatenate(depth_mm), take.hand.joints_mm.numpy()


@functools.cache
def _build_takes() -> tuple[Callable[[tf.Tensor], Scene], Callable[[Scene, tf.Tensor], tf.Tensor]]:
    one, distance_mm = shape.subject_shape(np.array([SUBJECT])), HELD_OUT_SENSOR.distance_mm
    draw = tf.function(lambda seed: takes.draw_take(one, TAKE, *distance_mm, seed))
    return draw, tf.function(lambda part, seed: scene_renderer.sense_scene(HELD_OUT_SENSOR, part, seed))


def _train(run_dir: Path, options: list[str]) -> None:
    print(f"\n== {run_dir.name}", flush=True)
    options = ["--resume"] if settings_path(run_dir).exists() else options
    # A process of its own: TensorFlow's threads, which the settings choose, cannot change once it has run.
    command = [sys.executable, str(RUN), *options, "--run-dir", str(run_dir)]
    status = subprocess.run(command, check=False).returncode
    if status:
        sys.exit(status)


def _evaluate(run_dir: Path, stage: str | None = None) -> dict:
    run = load_run(run_dir, stage)
    predictions = predict_store(run)
    figures = summarize(predictions, run.skeleton)
    write_evaluation(run, "test", predictions, figures, run_dir / f"evaluation{'-' + stage if stage else ''}")
    return figures


if __name__ == "__main__":
    run_command(main)
