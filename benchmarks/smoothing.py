"""What smoothing does to the joints of a moving hand: how much less they tremble, and how far they lag behind.

    python benchmarks/smoothing.py --model runs/demo/model/lsps.tflite --json smoothing.json

Simulated sequences of a test subject's hand, 30 frames a second, each with its own sensor noise, go through the edge
path, once as predicted and once smoothed. Jitter is the root mean square of the second difference of the joints' errors
from frame to frame, mm, so that the hand's own motion does not count. The lag is the delay at which the smoothed joints
agree best with the predicted ones.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from hand_finding import FRAMES_PER_SECOND, moving_hand
from tabulate import tabulate

from export.edge import EdgePredictor, HandTracker, OneEuroFilter
from lsps_tf.datasets.simulator import SUBJECTS
from lsps_tf.files import write_json
from lsps_tf.simulation import sensor, shape
from lsps_tf.skeleton import NYU, joints_of

LONGEST_LAG = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="a .tflite file that export/run.py wrote")
    parser.add_argument("--sensor", default="structured-light", choices=list(sensor.SENSORS))
    parser.add_argument("--sequences", type=int, default=6, help="of 2.4 seconds each (default: 6)")
    parser.add_argument("--rest-s", type=float, default=0.0, help="seconds that the hand rests at each pose")
    parser.add_argument("--min-cutoff", type=float, nargs="+", help="Hz, to try others than the default")
    parser.add_argument("--beta", type=float, nargs="+", help="Hz per mm/s, to try others than the default")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    default = OneEuroFilter()
    settings = [
        (cutoff, beta)
        for cutoff in options.min_cutoff or [default.min_cutoff_hz]
        for beta in options.beta or [default.beta]
    ]
    sequences = [predict_sequence(options.model, options.sensor, number) for number in range(options.sequences)]
    raw = figures(sequences, [predicted for predicted, _ in sequences])
    rows = {"as predicted": {**raw, "lag_ms": 0.0}}
    for cutoff, beta in settings:
        smoothed = [smooth(predicted, OneEuroFilter(cutoff, beta)) for predicted, _ in sequences]
        lag_s = np.mean([lag_in_frames(s, p) for s, (p, _) in zip(smoothed, sequences)]) / FRAMES_PER_SECOND
        rows[f"{cutoff:g} Hz, {beta:g}"] = {**figures(sequences, smoothed), "lag_ms": 1000.0 * float(lag_s)}
    cells = [[name, *row.values(), row["jitter_mm"] / raw["jitter_mm"]] for name, row in rows.items()]
    print(tabulate(cells, ["smoothing", "jitter mm", "error mm", "lag ms", "jitter's share"], floatfmt=".2f"))
    if options.json:
        write_json(options.json, {"sensor": options.sensor, "sequences": options.sequences, "figures": rows})


def predict_sequence(model: Path, name: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true joints [T, J, 3] in mm of one moving hand, as a tracker without smoothing follows it."""
    settings, subjects = sensor.SENSORS[name], shape.subject_shape(np.array(SUBJECTS["real/test"]))
    predictor = EdgePredictor(model)
    tracker = HandTracker(predictor, settings.camera)
    predicted_mm, true_mm = [], []
    for step, (depth_mm, joints_mm) in enumerate(moving_hand(settings, subjects, number)):
        hand = tracker.update(depth_mm, step / FRAMES_PER_SECOND)
        true = joints_mm[list(joints_of(NYU, predictor.skeleton))]
        true_mm.append(true)
        # Where it is lost for a frame, what was seen last stands.
        predicted_mm.append(hand.joints_mm if hand is not None else predicted_mm[-1] if predicted_mm else true)
    return np.array(predicted_mm, np.float64), np.array(true_mm, np.float64)


def smooth(joints_mm: np.ndarray, one_euro: OneEuroFilter) -> np.ndarray:
    """Joints [T, J, 3] through a filter."""
    return np.array([one_euro(joints, step / FRAMES_PER_SECOND) for step, joints in enumerate(joints_mm)])


def figures(sequences: list[tuple[np.ndarray, np.ndarray]], results: list[np.ndarray]) -> dict[str, float]:
    """Jitter and mean joint error over all sequences, mm."""
    errors_mm = [result - true for result, (_, true) in zip(results, sequences)]
    second = np.concatenate([np.diff(error, 2, axis=0).reshape(-1, 3) for error in errors_mm])
    distances = np.concatenate([np.linalg.norm(error, axis=-1).ravel() for error in errors_mm])
    return {"jitter_mm": float(np.sqrt((second**2).sum(axis=1).mean())), "error_mm": float(distances.mean())}


def lag_in_frames(smoothed: np.ndarray, predicted: np.ndarray) -> float:
    """The delay, to a tenth of a frame, at which smoothed joints are nearest to predicted ones."""
    count, best = len(predicted), (np.inf, 0.0)
    times = np.arange(LONGEST_LAG, count)
    for lag in np.arange(0.0, LONGEST_LAG, 0.1):
        whole, part = divmod(lag, 1.0)
        first, second = predicted[times - int(whole)], predicted[times - int(whole) - (part > 0)]
        distance = float(((smoothed[times] - (1 - part) * first - part * second) ** 2).sum(axis=-1).mean())
        best = min(best, (distance, float(lag)))
    return best[1]


if __name__ == "__main__":
    main()
