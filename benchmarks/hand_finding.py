"""How well hands are found, on simulated frames of all sensors.

    python benchmarks/hand_finding.py --json hand_finding.json

Whole frames of test subjects: alone with the forearm, before a wall, of a person, over a table; and scenes without a
hand. Reported are the frames in which a hand is found, how far its centre is from the mean of its joints, and whether
its side is told. Then thinned frames of hands among things, with other hands, and without any (--views). With --run-dir
also what finding costs in joint error. --sequences measures tracking, and telling left from right. The sensor that the
simulator keeps out of training comes last, with its frames turned by quarter turns as a camera's that hangs upside down
or in portrait.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import lsps_tf  # noqa: F401  It chooses Keras 2, so it comes before TensorFlow.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from scipy.spatial.transform import Rotation, Slerp
from tabulate import tabulate

from lsps_tf import mirror, rotation
from lsps_tf.datasets.simulator import SUBJECTS
from lsps_tf.files import write_json
from lsps_tf.hand_finding import search
from lsps_tf.predictor import predictor_of_run
from lsps_tf.run_folder import load_run
from lsps_tf.simulation import scenes, sensor, shape
from training.hand_finding.frame_losses import FEWEST_PIXELS, LEAST_SHARE
from training.hand_finding.views import VIEW_SIZE, make_views

BATCH = 16
FAR_MM = 60.0
# Two hands that are nearer to each other are not asked for both.
APART_MM = 60.0
KEY_SECONDS, FRAMES_PER_SECOND = 0.6, 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=256, help="per sensor and scene (default: 256)")
    parser.add_argument("--sensors", nargs="+", default=list(sensor.SENSORS), choices=list(sensor.SENSORS))
    parser.add_argument("--sequences", type=int, default=8, help="per sensor, of 2 seconds each (default: 8)")
    parser.add_argument("--views", type=int, default=512, help="per sensor, of hands among things (default: 512)")
    parser.add_argument(
        "--finer", type=int, default=1, help="4 shows those as a camera of 640 pixels does (default: 1)"
    )
    parser.add_argument("--run-dir", type=Path, help="a finished run, for the effect on the joint error")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    predict = _build_predict(arguments.run_dir) if arguments.run_dir else None
    subjects = shape.subject_shape(np.array(SUBJECTS["real/test"]))
    report = {"frames": arguments.frames, "subjects": list(SUBJECTS["real/test"]), "sensors": {}}
    for name in arguments.sensors:
        found = {kind: measure_scene(name, kind, subjects, arguments.frames, predict) for kind in scenes.HAND_SCENES}
        found["all"] = {key: float(np.mean([row[key] for row in found.values()])) for key in found["bare"]}
        empty = {kind: false_alarms(name, kind, max(BATCH, arguments.frames // 4)) for kind in scenes.EMPTY_SCENES}
        report["sensors"][name] = {"scenes": found, "false_alarms_percent": empty}
        print(f"\n{name}\n{_table(found)}\n\nfalse alarms: " + ", ".join(f"{k} {v:.1f} %" for k, v in empty.items()))
        if arguments.views:
            report["sensors"][name]["among_things"] = measure_views(name, subjects, arguments.views, arguments.finer)
            print("among things: " + _listed(report["sensors"][name]["among_things"]))
        if arguments.sequences:
            report["sensors"][name]["sequences"] = measure_sequences(name, subjects, arguments.sequences)
            print("sequences: " + _listed(report["sensors"][name]["sequences"]))
    report["turned"] = measure_turned(subjects, arguments.frames)
    rows = [[f"{degrees} degrees", *row.values()] for degrees, row in report["turned"].items()]
    print(f"\nframes that are turned\n{tabulate(rows, ('', 'found, %', 'more than 60 mm off, %'), floatfmt='.1f')}")
    if arguments.json:
        write_json(arguments.json, report)


def measure_turned(subjects: shape.HandShape, count: int) -> dict[int, dict[str, float]]:
    """Percent of the held-out sensor's frames with a hand found, and found far from it, by how they are turned."""
    settings, figures = sensor.HELD_OUT_SENSOR, {}
    for degrees in rotation.ROTATIONS:
        view = rotation.rotate_camera(settings.camera, degrees)
        found, far = [], []
        for kind in scenes.HAND_SCENES:
            for depth_mm, joints_mm in _frames(settings, kind, subjects, count // len(scenes.HAND_SCENES)):
                turned_mm = np.ascontiguousarray(rotation.rotate_depth(depth_mm, degrees))
                intrinsics = np.repeat(view.intrinsics[None], len(depth_mm), axis=0)
                center_mm, present = (value.numpy() for value in _find_alone(turned_mm, intrinsics))
                middle_mm = rotation.rotate_points(joints_mm.mean(axis=1), degrees)
                found.extend(present)
                far.extend(present & (np.linalg.norm(center_mm - middle_mm, axis=1) > FAR_MM))
        figures[degrees] = {
            "found_percent": 100.0 * float(np.mean(found)),
            "more_than_60_mm_off_percent": 100.0 * float(np.mean(far)),
        }
    return figures


def measure_scene(name: str, kind: str, subjects: shape.HandShape, count: int, predict) -> dict[str, float]:
    """Figures of `count` frames of a scene, percent and mm."""
    rows: dict[str, list] = {}
    settings = sensor.SENSORS[name]
    for depth_mm, joints_mm in _frames(settings, kind, subjects, count):
        intrinsics = np.repeat(settings.camera.intrinsics[None], len(depth_mm), axis=0)
        found, present, right = (value.numpy()[:, 0] for value in _find_hands(depth_mm, intrinsics))
        middle_mm = joints_mm.mean(axis=1)
        distance_mm = np.linalg.norm(found - middle_mm, axis=1)
        rows.setdefault("found_percent", []).extend(100.0 * present)
        for limit_mm in (15, 30, 60):
            key = f"center_within_{limit_mm}_mm_percent"
            rows.setdefault(key, []).extend(100.0 * (present & (distance_mm < limit_mm)))
        close = present & (distance_mm < FAR_MM)
        rows.setdefault("center_error_mm", []).extend(np.where(close, distance_mm, np.nan))
        rows.setdefault("side_percent", []).extend(np.where(close, 100.0 * (right > 0.0), np.nan))
        if predict is not None:
            for key, center_mm in (("found", found), ("perfect", middle_mm)):
                error_mm = np.linalg.norm(predict(depth_mm, intrinsics, center_mm) - joints_mm, axis=-1).mean(axis=1)
                rows.setdefault(f"joint_error_{key}_mm", []).extend(np.where(present, error_mm, np.nan))
    return {key: float(np.nanmean(values)) for key, values in rows.items()}


def false_alarms(name: str, kind: str, count: int) -> float:
    """Percent of frames without a hand in which one is found."""
    settings, found = sensor.SENSORS[name], []
    sense = tf.function(lambda seed: scenes.sense_empty(settings, kind, BATCH, seed))
    intrinsics = np.repeat(settings.camera.intrinsics[None], BATCH, axis=0)
    for number in range(-(-count // BATCH)):
        found.extend(_find_alone(sense(tf.constant([4000, number])), intrinsics)[1].numpy())
    return 100.0 * float(np.mean(found))


def measure_sequences(name: str, subjects: shape.HandShape, count: int) -> dict[str, float]:
    """Single frames against tracking on moving hands of a person, and whether the side is told, percent.

    Every other sequence is mirrored, and so shows a left hand.
    """
    settings, rows, sides = sensor.SENSORS[name], {}, []
    for number in range(count):
        left = number % 2 == 1
        camera = mirror.mirror_camera(settings.camera) if left else settings.camera
        intrinsics = tf.constant(camera.intrinsics[None])
        right, previous = [], tf.constant([[np.nan] * 3], tf.float32)
        for depth_mm, joints_mm in moving_hand(settings, subjects, number):
            depth_mm, joints_mm = _mirrored(depth_mm, joints_mm) if left else (depth_mm, joints_mm)
            depth_mm = depth_mm[None]
            single_mm, alone = (value.numpy()[0] for value in _find_alone(depth_mm, intrinsics))
            center, present, tracked = _track(depth_mm, intrinsics, previous)
            previous = center if present[0] else previous * np.nan
            middle_mm = joints_mm.mean(axis=0)
            for key, ok, center_mm in (("single", alone, single_mm), ("tracked", bool(present[0]), center.numpy()[0])):
                near = ok and np.linalg.norm(center_mm - middle_mm) < 60.0
                rows.setdefault(f"{key}_within_60_mm_percent", []).append(100.0 * near)
            rows.setdefault("from_the_frame_before_percent", []).append(100.0 * bool(tracked[0]))
            if present[0]:
                right.append(float(_judge(depth_mm, intrinsics, center)[2][0]))
        sides.append(-np.mean(right) if left else np.mean(right))
    figures = {key: float(np.mean(values)) for key, values in rows.items()}
    figures["side_told_percent"] = 100.0 * float(np.mean(np.abs(sides) > 0.25))
    figures["side_wrong_percent"] = 100.0 * float(np.mean(np.array(sides) < -0.25))
    return figures


def measure_views(name: str, subjects: shape.HandShape, count: int, finer: int) -> dict[str, float]:
    """Percent of frames of hands among things in which they are found, their sides, and false alarms without a hand."""
    rows: dict[str, list] = {}
    at_once = BATCH // finer
    make = tf.function(lambda seed: make_views(name, subjects, at_once, seed, finer))
    for number in range(-(-count // at_once)):
        views = make(tf.constant([8000, number]))
        # To the height of a frame; what is cut off counts as out of view.
        found = _find_hands(views.depth_mm, views.intrinsics)
        truth = (views.middle_mm, views.right, views.intrinsics, views.pixels, views.share)
        for each in zip(*(value.numpy() for value in (*found, *truth))):
            for key, value in judge_view(*each, finer).items():
                rows.setdefault(key, []).append(100.0 * value)
    return {key: float(np.mean(values)) for key, values in rows.items()}


def judge_view(
    center_mm, presence, right, middle_mm, is_right, intrinsics, pixels, share, finer: int = 1
) -> dict[str, float]:
    """What is right and wrong in one view of two hands at most; nothing of views whose hands are hardly seen."""
    (fx, fy, cx, cy), (x, y, z) = intrinsics, middle_mm.T
    place = np.stack([fx * x / z + cx, fy * y / z + cy])
    clear = (
        (pixels >= FEWEST_PIXELS * finer**2)
        & (share >= LEAST_SHARE)
        & (place > 0).all(axis=0)
        & (place < finer * VIEW_SIZE).all(axis=0)
    )
    found_mm = center_mm[presence]
    if not pixels.any():
        return {"false_alarms_percent": float(len(found_mm) > 0)}
    away_mm = np.linalg.norm(found_mm[:, None] - middle_mm, axis=-1)
    hit = (away_mm < FAR_MM).any(axis=0)
    judged = {}
    if clear.any() and (clear | (pixels == 0.0)).all():
        judged["found_percent"] = float(hit[clear].any())
        judged["nearest_is_a_hand_percent"] = float(len(found_mm) > 0 and away_mm[0].min() < FAR_MM)
    for hand in np.flatnonzero(clear & hit):
        number = away_mm[:, hand].argmin()
        judged["side_percent"] = float((right[presence][number] > 0.0) == is_right[hand])
    if clear.all() and np.linalg.norm(middle_mm[0] - middle_mm[1]) >= APART_MM:
        judged["both_of_two_percent"] = float(hit.all())
    return judged


def _frames(settings, kind: str, subjects: shape.HandShape, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    @tf.function
    def sense(seed: tf.Tensor):
        hands_seed, scene_seed, noise_seed = tf.unstack(tf.random.split(seed, 3))
        hands = scenes.draw_hands(settings, subjects, BATCH, hands_seed)
        return scenes.sense_scene(settings, kind, hands, scene_seed, noise_seed)

    for number in range(-(-count // BATCH)):
        depth_mm, joints_mm = sense(tf.constant([3000 + scenes.HAND_SCENES.index(kind), number]))
        yield depth_mm.numpy(), joints_mm.numpy()


def moving_hand(settings, subjects: shape.HandShape, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Two seconds of a person's right hand that moves from one random pose and place to the next."""
    keys = 5
    one = tf.nest.map_structure(lambda part: part[number % len(SUBJECTS["real/test"])][None], subjects)
    hands = scenes.draw_hands(settings, one, keys, tf.constant([5000, number]))
    turn = Slerp(np.arange(keys), Rotation.from_matrix(hands.rotation.numpy()))
    per_key = int(KEY_SECONDS * FRAMES_PER_SECOND)
    for step in range((keys - 1) * per_key):
        first, part = divmod(step / per_key, 1.0)
        part = part * part * (3.0 - 2.0 * part)
        mix = [(1.0 - part) * value[int(first)] + part * value[int(first) + 1] for value in (hands[0], hands[2])]
        rotation = turn(first + part).as_matrix()[None].astype(np.float32)
        posed = scenes.Hands(mix[0][None], tf.constant(rotation), mix[1][None], one)
        depth_mm, joints_mm = scenes.sense_scene(
            settings, "person", posed, tf.constant([6000, number]), tf.constant([7000 + number, step])
        )
        yield depth_mm[0].numpy(), joints_mm[0].numpy()


def _mirrored(depth_mm: np.ndarray, joints_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(mirror.mirror_depth(depth_mm)), mirror.mirror_points(joints_mm)


_FRAMES, _INTRINSICS = tf.TensorSpec([None, None, None], tf.float32), tf.TensorSpec([None, 4], tf.float32)
_find_hands = tf.function(lambda *frames: search.find_hands(*frames, 2), input_signature=[_FRAMES, _INTRINSICS])
_find_alone = tf.function(search.find_hand, input_signature=[_FRAMES, _INTRINSICS])
_track = tf.function(search.track_hand, input_signature=[_FRAMES, _INTRINSICS, tf.TensorSpec([None, 3], tf.float32)])

_judge = tf.function(search.judge_hand, reduce_retracing=True)


def _build_predict(run_dir: Path):
    predictor = predictor_of_run(load_run(run_dir))
    call = tf.function(lambda depth, intrinsics, center: predictor(depth, intrinsics, center)["joints_mm"])
    return lambda *inputs: call(*(tf.constant(value, tf.float32) for value in inputs)).numpy()


def _listed(figures: dict[str, float]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value:.1f}" for key, value in figures.items())


def _table(found: dict[str, dict[str, float]]) -> str:
    keys = list(found["bare"])
    rows = [[key.replace("_", " "), *(found[kind][key] for kind in found)] for key in keys]
    return tabulate(rows, ("", *found), floatfmt=".1f")


if __name__ == "__main__":
    main()
