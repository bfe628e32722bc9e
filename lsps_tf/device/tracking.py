"""Hands through a sequence of frames: which is which, of which side each is, and its joints smoothed.

Smoothing is the one-euro filter (Casiez, Roussel & Vogel, CHI 2012): a low-pass filter whose cutoff rises with speed,
so that a hand at rest does not tremble and a fast one does not lag.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Sequence

import numpy as np

from lsps_tf.camera import Camera, as_camera, mm_to_uvd
from lsps_tf.device import search
from lsps_tf.device.search import FoundHand
from lsps_tf.hand import SAME_HAND_MM, USUAL_HANDS, Hand, side_of
from lsps_tf.hand_predictor import HandPredictor, View
from lsps_tf.mirror import AUTO

# Chosen on a simulated moving hand with sensor noise: benchmarks/smoothing.py.
MIN_CUTOFF_HZ = 1.5
BETA_HZ_PER_MM_S = 0.007
SPEED_CUTOFF_HZ = 1.0
# A hand that was not seen for longer is a new one.
LONGEST_PAUSE_S = 0.5
# From this sum of logits on, either way, a track's side is no longer looked for in predictions of both sides.
SURE_TRACK = 10.0


class OneEuroFilter:
    """Smooths points that move; the cutoff of each follows its own speed.

    Attributes:
        min_cutoff_hz: cutoff at rest; lower is smoother.
        beta: how much the cutoff rises with speed, Hz per unit and second; higher lags less.
        speed_cutoff_hz: cutoff of the speed itself.
    """

    def __init__(
        self,
        min_cutoff_hz: float = MIN_CUTOFF_HZ,
        beta: float = BETA_HZ_PER_MM_S,
        speed_cutoff_hz: float = SPEED_CUTOFF_HZ,
    ):
        if not (min_cutoff_hz > 0 and beta >= 0 and speed_cutoff_hz > 0):
            raise ValueError(f"cutoffs above 0 and a beta of at least 0 are needed, not {min_cutoff_hz}, {beta}")
        self.min_cutoff_hz, self.beta, self.speed_cutoff_hz = min_cutoff_hz, beta, speed_cutoff_hz
        self.reset()

    def anew(self) -> OneEuroFilter:
        """Another one with the same settings, without values."""
        return OneEuroFilter(self.min_cutoff_hz, self.beta, self.speed_cutoff_hz)

    def reset(self) -> None:
        """Forgets all values; the next one comes back as it is."""
        self._time_s: float | None = None

    def __call__(self, points: np.ndarray, time_s: float) -> np.ndarray:
        """Smoothed points.

        Args:
            points: [..., D], of the same shape in every call.
            time_s: when they were measured; a time that does not rise is taken as a new start.
        """
        points = np.asarray(points, np.float64)
        if self._time_s is None or time_s <= self._time_s:
            self._points, self._velocity = points, np.zeros_like(points)
        else:
            step_s = time_s - self._time_s
            velocity = (points - self._points) / step_s
            self._velocity = self._velocity + _share(self.speed_cutoff_hz, step_s) * (velocity - self._velocity)
            speed = np.linalg.norm(self._velocity, axis=-1, keepdims=True)
            share = _share(self.min_cutoff_hz + self.beta * speed, step_s)
            self._points = self._points + share * (points - self._points)
        self._time_s = time_s
        return self._points


def _share(cutoff_hz, step_s: float):
    """The share of a new value in an exponential filter of that cutoff."""
    rate = 2.0 * math.pi * cutoff_hz * step_s
    return rate / (rate + 1.0)


@dataclasses.dataclass(eq=False)
class Track:
    """One hand through the frames that it is seen in.

    Attributes:
        number: from 0, in the order of their beginnings.
        center_mm: [3] where it was seen last, camera space of the upright frame.
        time_s: when it was seen last.
        right_logit: the sum of what its frames say, above 0 for a right hand.
        side: that its last joints were predicted for.
        smoothing: of its joints, None for none.
    """

    number: int
    center_mm: np.ndarray
    time_s: float
    right_logit: float = 0.0
    side: str = ""
    smoothing: OneEuroFilter | None = None

    @property
    def is_sure(self) -> bool:
        """Whether its frames have told its side for good, as long as they do not speak against it."""
        return abs(self.right_logit) >= SURE_TRACK

    def see(self, center_mm: np.ndarray, time_s: float) -> None:
        """Takes in where the hand is now."""
        self.center_mm, self.time_s = center_mm, time_s

    def tell(self, right_logit: float, hand: str) -> None:
        """Takes in what the hand looks like; `hand` as of a predictor."""
        self.right_logit += right_logit
        side = side_of(self.right_logit) if hand == AUTO else hand
        if side != self.side and self.smoothing is not None:
            # Joints of the other side are not where the smoothed ones have been.
            self.smoothing.reset()
        self.side = side


class HandTracker:
    """Follows the hands of one camera: as many at a time as its predictor was made for.

    Hands are found in every frame, and each goes on with the nearest track. One frame does not always tell a right hand
    from a left one. A track decides by the sum of all its frames. Until that is sure, the model predicts both sides, as
    in a single frame. A hand that leaves the view ends its track, unless it is back soon and near.

    Attributes:
        seen: how many hands the last frame shows, of which some may be more than are followed.
    """

    def __init__(
        self,
        predictor: HandPredictor,
        camera: Camera | str | Sequence[float],
        smoothing: OneEuroFilter | None = None,
    ):
        """Args: `predictor`, `camera` of all frames as for it, `smoothing` of each hand's joints, None for none."""
        self._predictor, self._camera, self._smoothing = predictor, camera, smoothing
        self._tracks: list[Track] = []
        self._numbers = itertools.count()
        self._time_s, self.seen = -math.inf, 0

    def update(self, depth_mm: np.ndarray, time_s: float | None = None) -> Hand | list[Hand] | None:
        """The hands in the next frame.

        Args:
            depth_mm: [H, W] mm; 0, NaN and infinite are no reading.
            time_s: when it was seen, rising; None takes the clock's.

        Returns:
            As the predictor gives them: the hand or None, or a list of hands, the nearest first. Their joints are
            smoothed, and their `track` says which is which.
        """
        hands = self.hands_in(depth_mm, time_s)
        return hands if self._predictor.hands > 1 else next(iter(hands), None)

    def hands_in(self, depth_mm: np.ndarray, time_s: float | None = None) -> list[Hand]:
        """The same as a list, whether one hand is followed or several."""
        time_s = time.monotonic() if time_s is None else time_s
        if time_s <= self._time_s:
            self._tracks = []
        self._time_s = time_s
        camera = as_camera(self._camera, *np.shape(depth_mm))
        view = self._predictor.upright(depth_mm, camera)
        found = search.find_hands(view.depth_mm, view.camera.intrinsics, max(USUAL_HANDS, self._predictor.hands))
        sure = search.sure_hands(found)
        self.seen = len(sure)
        # One hand to start with is chosen with more care. Of those that follow it any may be the one.
        if self._predictor.hands == 1 and not self._tracks:
            found = sure
        hands = []
        for number, track in sorted(self._follow(found, time_s).items()):
            track.see(found[number].center_mm, time_s)
            hands += [_of_track(hand, track, camera) for hand in self._predict(track, found[number].right, view)]
        return hands

    def _predict(self, track: Track, looks_right: float, view: View) -> list[Hand]:
        """A track's hand, or none, of the side that all its frames tell; `looks_right` is the finder's logit."""
        model, side = self._predictor.model, self._predictor.hand
        center_mm = search.crop_center(view.depth_mm, view.camera.intrinsics, track.center_mm, model.info.centering)
        view = dataclasses.replace(view, center_mm=center_mm)
        if side != AUTO or track.is_sure:
            track.tell(looks_right, side)
            return self._predictor.predict(dataclasses.replace(view, side=track.side))
        hands = self._predictor.predict(dataclasses.replace(view, side=AUTO))
        # A model that does not look at it gives 0.
        track.tell(next((hand.right_logit for hand in hands), 0.0) or looks_right, side)
        if all(hand.side == track.side for hand in hands):
            return hands
        return self._predictor.predict(dataclasses.replace(view, side=track.side))

    def _follow(self, found: list[FoundHand], time_s: float) -> dict[int, Track]:
        """The tracks of this frame by the numbers of the hands found; those followed already come before new ones."""
        self._tracks = [track for track in self._tracks if time_s - track.time_s <= LONGEST_PAUSE_S]
        goes_on = _matched(self._tracks, found)
        latest = sorted(goes_on, key=lambda number: -goes_on[number].time_s)
        chosen = [*latest, *(number for number in range(len(found)) if number not in goes_on)]
        tracks = {}
        for number in chosen[: self._predictor.hands]:
            if number not in goes_on:
                smoothing = None if self._smoothing is None else self._smoothing.anew()
                goes_on[number] = Track(next(self._numbers), found[number].center_mm, time_s, smoothing=smoothing)
                self._tracks.append(goes_on[number])
            tracks[number] = goes_on[number]
        return tracks


def _of_track(hand: Hand, track: Track, camera: Camera) -> Hand:
    """A hand as a frame shows it, with what its track knows: number, side, and smoothed joints."""
    hand = dataclasses.replace(hand, right_logit=track.right_logit, track=track.number)
    if track.smoothing is None:
        return hand
    joints_mm = track.smoothing(hand.joints_mm, track.time_s).astype(np.float32)
    return dataclasses.replace(hand, joints_mm=joints_mm, joints_uvd=mm_to_uvd(joints_mm, camera.intrinsics))


def _matched(tracks: list[Track], found: list[FoundHand]) -> dict[int, Track]:
    """Tracks by the number of the hand found that goes on with each, the nearest pairs first."""
    distances_mm = {
        (number, track): float(np.linalg.norm(hand.center_mm - track.center_mm))
        for number, hand in enumerate(found)
        for track in tracks
    }
    matched: dict[int, Track] = {}
    for number, track in sorted(distances_mm, key=distances_mm.get):
        near = distances_mm[number, track] <= SAME_HAND_MM
        if near and number not in matched and track not in matched.values():
            matched[number] = track
    return matched
