"""What a recording is good for, told from the hands that were found in it while it was made."""

from __future__ import annotations

import dataclasses

import numpy as np

from lsps_tf.camera import Camera
from lsps_tf.hand import Hand

# Less of the hand's surroundings than this inside the frame, from its centre, and fingers or palm are missing.
BORDER_MM = 40.0
# Advice, and no measurement: what docs/data.md calls a start.
FEWEST_HANDS, SMALLEST_SHARE = 2000, 0.6
# A hand at rest trembles by a few mm; one that opens, closes and turns moves its joints by tens about its centre.
SMALLEST_MOTION_MM, SMALLEST_DEPTH_RANGE_MM = 12.0, 60.0


@dataclasses.dataclass
class Sightings:
    """The hands that were seen in some of a recording's frames.

    Attributes:
        looked: frames that were looked at.
        cut_off: of these, those whose hand leaves the frame.
        joints_mm: of the others that show a hand, its joints [J, 3].
        centers_mm: and its centres [3].
    """

    looked: int = 0
    cut_off: int = 0
    joints_mm: list[np.ndarray] = dataclasses.field(default_factory=list)
    centers_mm: list[np.ndarray] = dataclasses.field(default_factory=list)

    def add(self, hand: Hand | None, camera: Camera) -> str:
        """Takes a frame in, and says what it shows."""
        self.looked += 1
        if hand is None:
            return "no hand"
        x, y, z = (float(value) for value in hand.center_mm)
        if _leaves(hand.center_mm, camera):
            self.cut_off += 1
            return f"a hand {z:.0f} mm away, cut off by the frame's border"
        self.joints_mm.append(np.asarray(hand.joints_mm))
        self.centers_mm.append(np.asarray(hand.center_mm))
        return f"a hand {z:.0f} mm away, {abs(x):.0f} mm {'right' if x > 0 else 'left'} and {abs(y):.0f} mm " + (
            "below" if y > 0 else "above"
        )


def judge(seen: Sightings, frames: int) -> list[str]:
    """Lines on what was recorded, and on what to do better; the last one is the verdict."""
    share = len(seen.centers_mm) / max(seen.looked, 1)
    hands = round(share * frames)
    lines = [f"{frames:,} frames; a whole hand in {share:.0%} of those looked at, so in about {hands:,}"]
    advice = []
    if share < SMALLEST_SHARE:
        advice.append("keep the hand in view, nearest to the camera")
    if seen.cut_off > 0.1 * max(seen.looked, 1):
        advice.append(f"stay away from the frame's border: the hand was cut off in {seen.cut_off / seen.looked:.0%}")
    if hands < FEWEST_HANDS:
        advice.append(f"record longer: at least {FEWEST_HANDS:,} frames with a hand")
    if len(seen.centers_mm) > 1:
        depth_mm = np.percentile([center[2] for center in seen.centers_mm], [5, 95])
        about_mm = np.array(seen.joints_mm) - np.array(seen.centers_mm)[:, None]
        motion_mm = float(np.linalg.norm(about_mm.std(axis=0), axis=-1).mean())
        lines.append(
            f"hands {depth_mm[0]:.0f} to {depth_mm[1]:.0f} mm away; joints move by {motion_mm:.0f} mm about the centre"
        )
        if depth_mm[1] - depth_mm[0] < SMALLEST_DEPTH_RANGE_MM:
            advice.append("move nearer and farther")
        if motion_mm < SMALLEST_MOTION_MM:
            advice.append("open, close and turn the hand")
    return [*lines, f"To do better: {'; '.join(advice)}." if advice else "This is a recording to train on."]


def _leaves(center_mm: np.ndarray, camera: Camera) -> bool:
    x, y, z = (float(value) for value in center_mm)
    u, v = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
    reach_u, reach_v = camera.fx * BORDER_MM / z, camera.fy * BORDER_MM / z
    return min(u - reach_u, camera.width - u - reach_u, v - reach_v, camera.height - v - reach_v) < 0
