"""What is said of a recording, for hands whose motion is known."""

import numpy as np
import pytest

from export.recorder.verdict import FEWEST_HANDS, Sightings, judge
from lsps_tf.camera import NYU
from lsps_tf.hand import Hand
from lsps_tf.skeleton import SKELETONS

CAMERA = NYU


def hand(center_mm, spread_mm=0.0, seed=0):
    joints_mm = np.asarray(center_mm) + np.random.default_rng(seed).normal(0.0, spread_mm, (36, 3))
    center_mm = np.asarray(center_mm, np.float32)
    return Hand(joints_mm, joints_mm, center_mm, SKELETONS["nyu"], "right", None)


def seen(hands):
    sightings = Sightings()
    for found in hands:
        sightings.add(found, CAMERA)
    return sightings


def varied(count=20):
    return [hand((0.0, 0.0, 500.0 + 10.0 * i), 30.0, i) for i in range(count)]


def test_a_good_recording():
    lines = judge(seen(varied()), FEWEST_HANDS)
    assert lines[-1] == "This is a recording to train on."
    assert "a whole hand in 100% of those looked at" in lines[0]
    # The 5th and 95th percentile of 500 to 690.
    assert lines[1].startswith("hands 510 to 680 mm away")


@pytest.mark.parametrize(
    ("hands", "frames", "advice"),
    [
        (varied(), FEWEST_HANDS - 1, "record longer"),
        ([*varied(), *[None] * 20], 10_000, "keep the hand in view"),
        ([*varied(), *[hand((-600.0, 0.0, 600.0))] * 5], 10_000, "the hand was cut off in 20%"),
        ([hand((0.0, 0.0, 500.0), 30.0, i) for i in range(20)], 10_000, "move nearer and farther"),
        ([hand((0.0, 0.0, 500.0 + 10.0 * i), 3.0, i) for i in range(20)], 10_000, "open, close and turn"),
        ([None], 10_000, "keep the hand in view"),
    ],
)
def test_what_to_do_better(hands, frames, advice):
    assert advice in judge(seen(hands), frames)[-1]


def test_what_a_frame_shows():
    sightings = Sightings()
    assert sightings.add(None, CAMERA) == "no hand"
    assert sightings.add(hand((30.0, -20.0, 512.0)), CAMERA) == "a hand 512 mm away, 30 mm right and 20 mm above"
    assert "cut off" in sightings.add(hand((-600.0, 0.0, 600.0)), CAMERA)
    assert (sightings.looked, sightings.cut_off, len(sightings.centers_mm)) == (3, 1, 1)
