import math

import numpy as np
import pytest

from lsps_tf.camera import ICVL, mm_to_uvd
from lsps_tf.device.tracking import HandTracker, OneEuroFilter
from lsps_tf.hand import Hand
from lsps_tf.skeleton import NYU

RNG = np.random.default_rng(2)


def by_the_book(values, times_s, min_cutoff, beta, speed_cutoff):
    """Algorithm 1 and 2 of the paper, for one number at a time."""

    def alpha(step_s, cutoff):
        tau = 1.0 / (2 * math.pi * cutoff)
        return 1.0 / (1.0 + tau / step_s)

    smoothed, speed, result = values[0], 0.0, [values[0]]
    for before_s, time_s, value in zip(times_s, times_s[1:], values[1:]):
        step_s = time_s - before_s
        share = alpha(step_s, speed_cutoff)
        speed = share * (value - smoothed) / step_s + (1 - share) * speed
        share = alpha(step_s, min_cutoff + beta * abs(speed))
        smoothed = share * value + (1 - share) * smoothed
        result.append(smoothed)
    return result


def test_one_number_is_filtered_as_the_paper_says():
    times_s = np.cumsum(RNG.uniform(0.02, 0.05, 50))
    values = np.cumsum(RNG.normal(0, 20, 50))
    smooth = OneEuroFilter(1.2, 0.007, 0.8)
    result = [smooth(np.array([value]), time_s)[0] for value, time_s in zip(values, times_s)]
    np.testing.assert_allclose(result, by_the_book(values, times_s, 1.2, 0.007, 0.8), rtol=1e-9)


def test_a_point_at_rest_trembles_less_and_one_that_moves_evenly_is_kept_up_with():
    times_s = np.arange(300) / 30
    noise = RNG.normal(0, 2, (300, 5, 3))
    smooth = OneEuroFilter()
    still = np.stack([smooth(points, time_s) for points, time_s in zip(noise, times_s)])[60:]
    assert (
        np.linalg.norm(np.diff(still, axis=0), axis=-1).mean()
        < 0.5 * np.linalg.norm(np.diff(noise[60:], axis=0), axis=-1).mean()
    )
    smooth.reset()
    straight = times_s[:, None, None] * np.array([400.0, 0.0, -200.0])
    lag_mm = np.linalg.norm(straight[-1] - [smooth(p, t) for p, t in zip(straight, times_s)][-1], axis=-1)
    assert lag_mm.max() < 400 * 2 / 30


def test_the_filter_does_not_depend_on_the_axes():
    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    points, times_s = np.cumsum(RNG.normal(0, 10, (40, 4, 3)), axis=0), np.arange(40) / 30
    one, other = OneEuroFilter(), OneEuroFilter()
    for value, time_s in zip(points, times_s):
        np.testing.assert_allclose(one(value, time_s) @ turn, other(value @ turn, time_s), atol=1e-9)


def test_a_time_that_does_not_rise_starts_anew():
    smooth = OneEuroFilter()
    smooth(np.zeros((1, 3)), 1.0)
    np.testing.assert_array_equal(smooth(np.full((1, 3), 50.0), 1.0), np.full((1, 3), 50.0))
    with pytest.raises(ValueError, match="cutoffs above 0"):
        OneEuroFilter(0.0)


class Recorder:
    """Stands for a predictor: notes where it was told to look; a frame's first number says what it sees."""

    def __init__(self):
        self.asked = []

    def __call__(self, depth_mm, camera, previous_mm):
        self.asked.append(None if previous_mm is None else float(previous_mm[0]))
        if depth_mm[0, 0] == 0:
            return None
        center = np.array([depth_mm[0, 0], 0.0, 600.0], np.float32)
        joints_mm = np.tile(center, (3, 1))
        return Hand(joints_mm, mm_to_uvd(joints_mm, camera.intrinsics), center, NYU)


def frame(x):
    return np.array([[x]], np.float32)


def test_a_hand_is_looked_for_where_it_was_and_anew_once_it_is_lost():
    predictor = Recorder()
    tracker = HandTracker(predictor, ICVL)
    for number, image in enumerate([frame(10), frame(20), frame(30), frame(0), frame(40)]):
        hand = tracker.update(image, number / 30)
        assert (hand is None) == (image[0, 0] == 0)
    assert predictor.asked == [None, 10, 20, 30, None]
    tracker.update(frame(50), 4 / 30 + 0.6)
    tracker.update(frame(60), 0.1)
    assert predictor.asked[-2:] == [None, None]


def test_joints_are_smoothed_and_projected_again():
    tracker = HandTracker(Recorder(), ICVL, OneEuroFilter())
    first, second = (tracker.update(frame(x), t) for x, t in [(10, 0.0), (30, 1 / 30)])
    np.testing.assert_array_equal(first.joints_mm[:, 0], 10)
    assert (second.joints_mm[:, 0] > 10).all() and (second.joints_mm[:, 0] < 29).all()
    np.testing.assert_allclose(second.joints_uvd, mm_to_uvd(second.joints_mm, ICVL.intrinsics), rtol=1e-6)
    assert second.center_mm[0] == 30
    tracker.update(frame(0), 2 / 30)
    assert tracker.update(frame(90), 3 / 30).joints_mm[0, 0] == 90
    assert tracker.update(frame(290), 4 / 30).joints_mm[0, 0] == 290


def test_the_clock_is_taken_where_no_time_is_given():
    predictor = Recorder()
    tracker = HandTracker(predictor, ICVL)
    tracker.update(frame(10))
    tracker.update(frame(20))
    assert predictor.asked == [None, 10]
