"""Which thresholds tell hands from what is none, on simulated views of validation subjects.

    python benchmarks/hand_finding_thresholds.py --finer 4 --views 128

Views of hands among things by all sensors, and views without a hand. A row is a choice of thresholds. Its `score` is
the percent of a recording's views that are right, nine in ten of which have a hand. A view is right whose nearest find
is a hand, or that has neither hand nor find. The best rows are printed, and that of the thresholds in
`lsps_tf/hand_finding/constants.py`. They are near the best.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import lsps_tf  # noqa: F401  It chooses Keras 2, so it comes before TensorFlow.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from hand_finding import judge_view
from tabulate import tabulate
from tqdm import tqdm

from lsps_tf.datasets.simulator import SUBJECTS
from lsps_tf.hand_finding import search
from lsps_tf.hand_finding.constants import MORE_PLACES
from lsps_tf.hand_finding.search import JudgedPlaces, Thresholds
from lsps_tf.simulation import sensor, shape
from training.hand_finding.views import Views, make_views

BATCH, LOWEST_LOGIT = 32, -6.0
GRID = {
    "frame_logit": (-6.0, -4.0),
    "frame_share": (0.2, 0.5, 0.9, 1.3, 2.0),
    "least_score": (-5.0, -3.5, -2.5, -1.5, -0.5),
    "score_margin": (1.0, 2.0, 3.0),
}
# Share of a recording's frames in which there is a hand.
WITH_HAND = 0.9
COLUMNS = ("found_percent", "nearest_is_a_hand_percent", "false_alarms_percent")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--views", type=int, default=384, help="per sensor (default: 384)")
    parser.add_argument("--finer", type=int, default=1, help="4 shows views as a camera of 640 pixels (default: 1)")
    parser.add_argument("--rows", type=int, default=10, help="of the table (default: 10)")
    arguments = parser.parse_args()
    subjects = shape.subject_shape(np.array(SUBJECTS["real/validation"]))
    batches = []
    finer = arguments.finer
    at_once = BATCH // finer
    for name in sensor.SENSORS:
        make = tf.function(lambda seed, name=name: make_views(name, subjects, at_once, seed, finer))
        for number in tqdm(range(-(-arguments.views // at_once)), desc=name):
            views = make(tf.constant([8500, number]))
            batches.append((views, _judge(views.depth_mm, views.intrinsics)))
    choices = [Thresholds(*values) for values in itertools.product(*GRID.values())]
    rows = sorted((_row(choice, batches, finer) for choice in tqdm(choices, desc="choices")), key=lambda row: -row[-1])
    rows = [*rows[: arguments.rows], _row(Thresholds(), batches, finer)]
    print(tabulate(rows, (*Thresholds._fields, *COLUMNS, "score"), floatfmt=".1f"))


def _row(choice: Thresholds, batches: list[tuple[Views, JudgedPlaces]], finer: int) -> list[float]:
    figures: dict[str, list[float]] = {}
    for views, places in batches:
        found = _choose(places, *(tf.constant(value) for value in choice))
        truth = (views.middle_mm, views.right, views.intrinsics, views.pixels, views.share)
        for each in zip(*(value.numpy() for value in (*found, *truth))):
            for key, value in judge_view(*each, finer).items():
                figures.setdefault(key, []).append(100.0 * value)
    means = [float(np.mean(figures[key])) for key in COLUMNS]
    return [*choice, *means, WITH_HAND * means[1] + (1.0 - WITH_HAND) * (100.0 - means[2])]


_judge = tf.function(
    lambda depth_mm, intrinsics: search.judge_places(depth_mm, intrinsics, 1 + MORE_PLACES, LOWEST_LOGIT)
)
_choose = tf.function(lambda places, *values: search.choose_hands(places, 1, Thresholds(*values)))


if __name__ == "__main__":
    main()
