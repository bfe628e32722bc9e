"""An enlarged depth image that skeletons are drawn on. Near is bright, nothing is dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lsps_tf.skeleton import Skeleton

Color = tuple[int, int, int]

BACKGROUND = (16, 18, 24)
TRUTH = (176, 255, 170)
SMALLEST_SIDE = 384
# What counts as the hand around the joints' depth; a hand is at most so deep from its middle.
HAND_REACH_MM = 150.0
_SUPERSAMPLING = 4
_LABEL = 24


class Canvas:
    """An enlarged image that lines are drawn on at a finer resolution, which smooths them."""

    def __init__(self, depth_mm: np.ndarray, hands_uv: Sequence[np.ndarray], line: float = 1.0):
        """`line` multiplies the thickness of lines, for pictures that are made smaller afterwards."""
        scale = max(1, math.ceil(SMALLEST_SIDE / min(depth_mm.shape)))
        self._scale = scale * _SUPERSAMPLING
        self._image = enlarged(_shade_mm(depth_mm, hands_uv), self._scale)
        self._draw = ImageDraw.Draw(self._image)
        finite = [joints_uv[np.isfinite(joints_uv).all(axis=1), :2] for joints_uv in hands_uv]
        hand = scale * max((float(np.ptp(joints, axis=0).max()) for joints in finite if len(joints)), default=0.0)
        # A hand that fills a crop takes lines of three pixels; one far away in a frame takes thinner ones.
        self._thickness = line * _SUPERSAMPLING * float(np.clip(hand / 90.0, 1.2, 3.2))

    def draw_hand(self, joints_uv: np.ndarray, skeleton: Skeleton, colors: Mapping[str, Color]) -> None:
        """Bones and joints in the fingers' colours."""
        for parent, child in skeleton.bones:
            color = colors[skeleton.finger_of[child]]
            self._line(joints_uv[parent], joints_uv[child], self._thickness, color)
        for joint, finger in zip(joints_uv, skeleton.finger_of):
            self._dot(joint, 1.05 * self._thickness, BACKGROUND)
            self._dot(joint, 0.8 * self._thickness, colors[finger])

    def draw_outline(self, joints_uv: np.ndarray, skeleton: Skeleton) -> None:
        """Bones alone, thin, in the colour of the labels."""
        for parent, child in skeleton.bones:
            self._line(joints_uv[parent], joints_uv[child], 0.45 * self._thickness, TRUTH)

    def label(self, picture: Image.Image, text: str, joints_uv: np.ndarray, color: Color) -> None:
        """Writes a text above a hand into the picture that was made of the canvas."""
        places = [place for place in map(self._place, joints_uv) if place is not None]
        if not places:
            return
        font, (x, y) = ImageFont.load_default(15), np.divide(np.min(places, axis=0), _SUPERSAMPLING)
        draw, (width, height) = ImageDraw.Draw(picture), picture.size
        left = float(np.clip(x, 0, max(0.0, width - draw.textlength(text, font))))
        top = float(np.clip(y - _LABEL, 0, max(0, height - _LABEL)))
        draw.text((left, top), text, fill=color, font=font, stroke_width=2, stroke_fill=BACKGROUND)

    def picture(self) -> Image.Image:
        return self._image.reduce(_SUPERSAMPLING)

    def _place(self, joint: np.ndarray) -> tuple[float, float] | None:
        if not np.isfinite(joint[:2]).all():
            return None
        # Far outside the image a line still has its direction, and Pillow's integers do not overflow.
        place = np.clip((joint[:2] + 0.5) * self._scale - 0.5, -1e5, 1e5)
        return float(place[0]), float(place[1])

    def _line(self, start: np.ndarray, end: np.ndarray, width: float, color: Color) -> None:
        places = self._place(start), self._place(end)
        if None not in places:
            self._draw.line(places, fill=color, width=max(1, round(width)))

    def _dot(self, joint: np.ndarray, radius: float, color: Color) -> None:
        place = self._place(joint)
        if place is not None:
            x, y = place
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)


def _shade_mm(depth_mm: np.ndarray, hands_uv: Sequence[np.ndarray]) -> np.ndarray:
    """Brightness [H, W] in [0, 1]: the hands from dim to bright, what lies behind them fading away, no reading 0."""
    ranges_mm = [_hand_range_mm(depth_mm, joints_uv) for joints_uv in hands_uv]
    nearest_mm, farthest_mm = min(first for first, _ in ranges_mm), max(last for _, last in ranges_mm)
    position = (depth_mm - nearest_mm) / max(farthest_mm - nearest_mm, 1.0)
    on_hand = 0.95 - 0.6 * np.clip(position, 0.0, 1.0)
    return np.where(depth_mm > 0, on_hand * np.exp(-0.7 * np.maximum(position - 1.0, 0.0)), 0.0)


def _hand_range_mm(depth_mm: np.ndarray, joints_uv: np.ndarray) -> tuple[float, float]:
    """Depths between which the hand lies: those near the median of the readings at the joints, in their box."""
    readings = depth_mm[depth_mm > 0]
    if not readings.size:
        return 0.0, 1.0
    finite = joints_uv[np.isfinite(joints_uv).all(axis=1), :2]
    # The clip comes before the cast because a huge float is no valid integer.
    pixels = np.clip(np.rint(finite), -1, max(depth_mm.shape)).astype(np.int64)
    inside = pixels[((pixels >= 0) & (pixels < depth_mm.shape[::-1])).all(axis=1)]
    at_joints = depth_mm[inside[:, 1], inside[:, 0]]
    if at_joints.any():
        (left, top), (right, bottom) = inside.min(axis=0), inside.max(axis=0) + 1
        middle_mm = np.median(at_joints[at_joints > 0])
        box = depth_mm[top:bottom, left:right]
        readings = box[(box > 0) & (np.abs(box - middle_mm) < HAND_REACH_MM)]
    nearest_mm, farthest_mm = np.percentile(readings, [1.0, 99.0])
    return float(nearest_mm), float(farthest_mm)


def enlarged(shade: np.ndarray, scale: int) -> Image.Image:
    """Brightness [H, W] in [0, 1] as grey on the dark background; pixels stay squares."""
    dark, bright = np.array(BACKGROUND, np.float32), np.array((250, 250, 250), np.float32)
    colors = dark + shade[..., None].astype(np.float32) * (bright - dark)
    image = Image.fromarray(np.rint(colors).astype(np.uint8), "RGB")
    return image.resize((image.width * scale, image.height * scale), Image.NEAREST)
