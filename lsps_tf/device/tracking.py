"""A hand through a sequence of frames: where it was is where it is looked for, and its joints are smoothed.

Smoothing is the one-euro filter (Casiez, Roussel & Vogel, CHI 2012): a low-pass filter whose cutoff rises with speed,
so that a hand at rest does not tremble and a fast one does not lag.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence

import numpy as np

from lsps_tf.camera import Camera, as_camera, mm_to_uvd
from lsps_tf.hand import Hand
from lsps_tf.hand_predictor import HandPredictor

# Chosen on a simulated moving hand with sensor noise: benchmarks/smoothing.py.
MIN_CUTOFF_HZ = 1.5
BETA_HZ_PER_MM_S = 0.007
SPEED_CUTOFF_HZ = 1.0
# A pause this long starts a new sequence: the hand may be anywhere.
LONGEST_PAUSE_S = 0.5
# So does a jump: it is another hand, or the same one found again elsewhere.
LONGEST_JUMP_MM = 150.0


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


class HandTracker:
    """Follows one hand through the frames of one camera."""

    def __init__(
        self,
        predictor: HandPredictor,
        camera: Camera | str | Sequence[float],
        smoothing: OneEuroFilter | None = None,
    ):
        """Args: `predictor`, `camera` of all frames as for it, and `smoothing`, None for none."""
        self._predictor, self._camera, self._filter = predictor, camera, smoothing
        self._center_mm: np.ndarray | None = None
        self._time_s = -math.inf

    def update(self, depth_mm: np.ndarray, time_s: float | None = None) -> Hand | None:
        """The hand in the next frame.

        Args:
            depth_mm: [H, W] mm; 0, NaN and infinite are no reading.
            time_s: when it was seen, rising; None takes the clock's.

        Returns:
            The hand with smoothed joints, or None where there is none; the next one then starts anew.
        """
        time_s = time.monotonic() if time_s is None else time_s
        if not 0.0 < time_s - self._time_s <= LONGEST_PAUSE_S:
            self._forget()
        self._time_s = time_s
        camera = self._camera
        if not isinstance(camera, Camera):
            camera = as_camera(camera, *np.shape(depth_mm))
        hand = self._predictor(depth_mm, camera, previous_mm=self._center_mm)
        if hand is None:
            self._forget()
            return None
        if self._center_mm is not None and np.linalg.norm(hand.center_mm - self._center_mm) > LONGEST_JUMP_MM:
            self._forget()
        self._center_mm = hand.center_mm
        return hand if self._filter is None else self._smoothed(hand, camera, time_s)

    def _smoothed(self, hand: Hand, camera: Camera, time_s: float) -> Hand:
        joints_mm = self._filter(hand.joints_mm, time_s).astype(np.float32)
        uvd = mm_to_uvd(joints_mm, camera.intrinsics)
        return dataclasses.replace(hand, joints_mm=joints_mm, joints_uvd=uvd)

    def _forget(self) -> None:
        self._center_mm = None
        if self._filter is not None:
            self._filter.reset()
