import dataclasses
import math
import types

import numpy as np
import pytest

from lsps_tf.camera import mm_to_uvd
from lsps_tf.device.search import FoundHand
from lsps_tf.device.tracking import HandTracker, OneEuroFilter
from lsps_tf.hand import Hand, side_of
from lsps_tf.hand_predictor import View
from lsps_tf.model_info import JOINTS
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


class Seer:
    """Stands for a predictor and its finder: a frame is a list of hands, (x, y, logit) each, at a depth of 600 mm."""

    hands, hand = 1, "auto"
    model = types.SimpleNamespace(info=types.SimpleNamespace(centering=JOINTS))

    def __init__(self, monkeypatch, hands=1, hand="auto"):
        self.hands, self.hand = hands, hand
        self.asked = []
        monkeypatch.setattr("lsps_tf.device.search.find_hands", self.find)

    @staticmethod
    def find(depth_mm, intrinsics, count):
        assert count == 4
        # What is far above looks less like a hand.
        return [
            FoundHand(np.array([x, y, 600.0], np.float32), logit, 0.1 * min(y, 0.0)) for x, y, logit in depth_mm if x
        ]

    def upright(self, depth_mm, camera):
        return View(depth_mm, camera, self.hand)

    def predict(self, view):
        self.asked.append((float(view.center_mm[0]), view.side))
        # The predictions of both sides say as much as the finder, twice.
        logit = 2.0 * next(float(hand[2]) for hand in view.depth_mm if hand[0] == view.center_mm[0])
        side, logit = (side_of(logit), logit) if view.side == "auto" else (view.side, 0.0)
        joints_mm = np.tile(view.center_mm, (3, 1)) + np.float32([0.0, 1.0 if side == "right" else -1.0, 0.0])
        uvd = mm_to_uvd(joints_mm, view.camera.intrinsics)
        return [Hand(joints_mm, uvd, view.center_mm, NYU, side, right_logit=logit)]


CAMERA = (240.0, 240.0, 1.0, 1.0)


def frame(*hands):
    """As many rows as hands, of three numbers."""
    return np.array([(*hand, 0.0, 0.0)[:3] for hand in hands or [(0.0,)]], np.float32)


def follow(tracker, frames, rate=30):
    return [tracker.update(image, number / rate) for number, image in enumerate(frames)]


def test_a_hand_keeps_its_track_while_it_is_near_and_soon_seen_again(monkeypatch):
    tracker = HandTracker(Seer(monkeypatch), CAMERA)
    hands = follow(tracker, [frame((10,)), frame((100,)), frame(), frame((110,)), frame((300,)), frame((310,))])
    assert [None if hand is None else hand.track for hand in hands] == [0, 0, None, 0, 1, 1]
    assert tracker.update(frame((310,)), 5 / 30 + 0.51).track == 2
    assert tracker.update(frame((310,)), 0.1).track == 3


def test_the_followed_hand_is_kept_though_another_comes_nearer(monkeypatch):
    tracker = HandTracker(Seer(monkeypatch), CAMERA)
    hands = follow(
        tracker, [frame((-100,)), frame((100,), (-90,)), frame((100,), (-80,)), frame((105,)), frame((105,))]
    )
    assert [(hand.track, hand.center_mm[0]) for hand in hands] == [(0, -100), (0, -90), (0, -80), (1, 105), (1, 105)]
    assert tracker.seen == 1
    tracker.update(frame((105,), (-80,)), 0.2)
    assert tracker.seen == 2


def test_a_single_hand_starts_where_it_is_surest_and_goes_on_where_it_is_not(monkeypatch):
    tracker = HandTracker(Seer(monkeypatch), CAMERA)
    hands = follow(tracker, [frame((-100, -50), (100,)), frame((-100,), (100, -40)), frame((-100,), (100, -50))])
    assert [(hand.track, hand.center_mm[0]) for hand in hands] == [(0, 100), (0, 100), (0, 100)]
    assert tracker.seen == 1


def test_two_hands_are_told_apart_where_they_are_near_each_other(monkeypatch):
    tracker = HandTracker(Seer(monkeypatch, hands=2), CAMERA)
    frames = [frame((-60, 0, 3), (60, 0, -3)), frame((20, 0, 0), (-30, 0, 0)), frame((-10, 0, 0), (-5, 90, 0))]
    hands = follow(tracker, frames)
    # The order is the finder's, the nearest first; the tracks say which is which.
    assert [[(hand.track, hand.side) for hand in each] for each in hands] == [
        [(0, "right"), (1, "left")],
        [(1, "left"), (0, "right")],
        [(0, "right"), (1, "left")],
    ]
    assert follow(HandTracker(Seer(monkeypatch, hands=2), CAMERA), [frame()]) == [[]]


def test_a_third_hand_waits_until_one_of_two_leaves(monkeypatch):
    tracker = HandTracker(Seer(monkeypatch, hands=2), CAMERA)
    frames = [frame((200,), (-200,)), frame((1,), (200,), (-200,)), frame((1,), (-200,)), frame((1,), (-200,), (200,))]
    tracks = [[hand.track for hand in each] for each in follow(tracker, frames)]
    assert tracks == [[0, 1], [0, 1], [2, 1], [2, 1]]


def test_the_sum_over_a_sequence_decides_the_side(monkeypatch):
    seer = Seer(monkeypatch)
    logits = (0.5, 3.0, -4.0, -1.0, 1.0, -0.5)
    hands = follow(HandTracker(seer, CAMERA), [frame((10, 0, logit)) for logit in logits])
    assert [hand.side for hand in hands] == ["right", "right", "right", "left", "right", "left"]
    np.testing.assert_allclose([hand.right_logit for hand in hands], [1.0, 7.0, -1.0, -3.0, -1.0, -2.0])
    # A frame that looks like the other side is predicted again.
    alone = [side_of(2.0 * logit) for logit in logits]
    assert [side for _, side in seer.asked] == [
        side
        for hand, frames_own in zip(hands, alone)
        for side in ["auto", *([hand.side] if hand.side != frames_own else [])]
    ]
    said = Seer(monkeypatch, hand="left")
    assert {hand.side for hand in follow(HandTracker(said, CAMERA), [frame((10, 0, 5.0))] * 2)} == {"left"}
    assert [side for _, side in said.asked] == ["left", "left"]


def test_a_sure_side_is_predicted_alone_until_frames_speak_against_it(monkeypatch):
    seer = Seer(monkeypatch)
    hands = follow(HandTracker(seer, CAMERA), [frame((10, 0, logit)) for logit in (2.0, 3.0, 1.0, -3.0, -4.0)])
    assert [side for _, side in seer.asked] == ["auto", "auto", "right", "right", "auto", "right"]
    np.testing.assert_allclose([hand.right_logit for hand in hands], [4.0, 10.0, 11.0, 8.0, 0.0])


def test_a_model_that_tells_no_side_leaves_it_to_the_finder(monkeypatch):
    seer = Seer(monkeypatch)
    predict = seer.predict
    seer.predict = lambda view: [dataclasses.replace(hand, right_logit=0.0) for hand in predict(view)]
    hands = follow(HandTracker(seer, CAMERA), [frame((10, 0, logit)) for logit in (3.0, -1.0)])
    np.testing.assert_allclose([hand.right_logit for hand in hands], [3.0, 2.0])


def test_joints_are_smoothed_and_projected_again(monkeypatch):
    tracker = HandTracker(Seer(monkeypatch, hand="right"), CAMERA, OneEuroFilter())
    first, second = (tracker.update(frame((x,)), t) for x, t in [(10, 0.0), (30, 1 / 30)])
    np.testing.assert_array_equal(first.joints_mm[:, 0], 10)
    assert (second.joints_mm[:, 0] > 10).all() and (second.joints_mm[:, 0] < 29).all()
    np.testing.assert_allclose(second.joints_uvd, mm_to_uvd(second.joints_mm, np.float32(CAMERA)), rtol=1e-6)
    assert second.center_mm[0] == 30
    assert tracker.update(frame((290,)), 2 / 30).joints_mm[0, 0] == 290


def test_each_hand_has_its_filter_and_a_new_side_starts_it_anew(monkeypatch):
    tracker = HandTracker(Seer(monkeypatch, hands=2), CAMERA, OneEuroFilter())
    follow(tracker, [frame((-50, 0, 1), (50, 0, 1))])
    moved, still = tracker.update(frame((-20, 0, 1), (50, 0, -9)), 1 / 30)
    assert -50 < moved.joints_mm[0, 0] < -21
    np.testing.assert_array_equal(still.joints_mm[0], [50.0, -1.0, 600.0])


def test_the_clock_is_taken_where_no_time_is_given(monkeypatch):
    tracker = HandTracker(Seer(monkeypatch), CAMERA)
    assert [tracker.update(frame((x,))).track for x in (10, 20)] == [0, 0]
