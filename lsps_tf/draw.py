"""Pictures: skeletons over depth, grids of crops, error curves. Depth is grey, near is bright, nothing is dark.

Images are Pillow's; plots are drawn by Matplotlib without a display and loaded only when one is asked for.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lsps_tf.canvas import BACKGROUND, SMALLEST_SIDE, Canvas, enlarged
from lsps_tf.files import atomic_path
from lsps_tf.skeleton import Skeleton

TEXT = (222, 226, 234)
FINGER_COLORS = {
    "thumb": (255, 92, 92),
    "index": (255, 176, 46),
    "middle": (255, 110, 200),
    "ring": (64, 156, 255),
    "pinky": (168, 112, 255),
    "palm": (40, 200, 200),
}
# Of several hands each has a colour of its own, which is darkest in the palm and brightest in the little finger.
HAND_COLORS = ((255, 160, 40), (60, 170, 255), (110, 230, 90), (255, 90, 190))
_FINGER_SHADES = {"palm": 0.55, "thumb": 0.64, "index": 0.73, "middle": 0.82, "ring": 0.91, "pinky": 1.0}
_GAP, _LINE = 6, 20


def picture_grid(rows: Mapping[str, np.ndarray], smallest_side: int = 96) -> Image.Image:
    """Rows of normalised crops, each under its title.

    Args:
        rows: by title images [B, S, S] in [-1, 1], +1 = background; B may differ from row to row.
        smallest_side: smaller crops are enlarged by a whole number to at least this many pixels.

    Returns:
        RGB image. ValueError where there are no rows or one is not [B, S, S].
    """
    shapes = {title: np.shape(images) for title, images in rows.items()}
    if not rows or any(len(shape) != 3 or 0 in shape for shape in shapes.values()):
        raise ValueError(f"rows of images [B, S, S] are needed, not {shapes}")
    strips = {title: _strip(np.asarray(images, np.float32), smallest_side) for title, images in rows.items()}
    width = max(strip.width for strip in strips.values()) + 2 * _GAP
    grid = Image.new("RGB", (width, _GAP + sum(_LINE + strip.height + _GAP for strip in strips.values())), BACKGROUND)
    top = _GAP
    for title, strip in strips.items():
        _write(grid, title, _GAP, top)
        grid.paste(strip, (_GAP, top + _LINE))
        top += _LINE + strip.height + _GAP
    return grid


def overlay(
    depth_mm: np.ndarray,
    joints_uv: np.ndarray,
    skeleton: Skeleton,
    true_uv: np.ndarray | None = None,
    line: float = 1.0,
) -> Image.Image:
    """A skeleton over a depth image, enlarged by a whole number where it is small.

    Args:
        depth_mm: [H, W] mm, 0 = no reading.
        joints_uv: [J, 2] (or more columns) in pixels of `depth_mm`, pixel centres at integers; what is not finite is
            left out.
        skeleton: names the bones and the fingers, whose colours tell them apart.
        true_uv: the labels, drawn as thin lines.
        line: multiplies the thickness of lines, for a picture that is made smaller afterwards.

    Returns:
        RGB image. ValueError where the shapes do not fit.
    """
    depth_mm, joints_uv = np.asarray(depth_mm, np.float32), np.asarray(joints_uv, np.float64)
    for joints in (joints_uv,) if true_uv is None else (joints_uv, np.asarray(true_uv)):
        if depth_mm.ndim != 2 or joints.ndim != 2 or len(joints) != skeleton.num_joints or joints.shape[1] < 2:
            raise ValueError(f"[H, W] and [{skeleton.num_joints}, 2] are needed, not {depth_mm.shape}, {joints.shape}")
    canvas = Canvas(depth_mm, [joints_uv], line)
    canvas.draw_hand(joints_uv, skeleton, FINGER_COLORS)
    if true_uv is not None:
        canvas.draw_outline(np.asarray(true_uv, np.float64), skeleton)
    return canvas.picture()


def overlay_hands(
    depth_mm: np.ndarray, joints_uv: Sequence[np.ndarray], sides: Sequence[str], skeleton: Skeleton
) -> Image.Image:
    """Skeletons of several hands over a depth image, each in its colour and with its side; as `overlay`.

    Args:
        depth_mm: [H, W] mm, 0 = no reading.
        joints_uv: of each hand [J, 2] in pixels of `depth_mm`.
        sides: what is written beside each.
        skeleton: of all.
    """
    depth_mm = np.asarray(depth_mm, np.float32)
    joints_uv = [np.asarray(joints, np.float64) for joints in joints_uv]
    if depth_mm.ndim != 2 or any(joints.shape != (skeleton.num_joints, 2) for joints in joints_uv):
        raise ValueError(f"[H, W] and [{skeleton.num_joints}, 2] are needed, not {[j.shape for j in joints_uv]}")
    canvas = Canvas(depth_mm, joints_uv)
    # The nearest last, so that it covers the others.
    for number, joints in reversed(list(enumerate(joints_uv))):
        color = HAND_COLORS[number % len(HAND_COLORS)]
        shades = {finger: tuple(round(share * c) for c in color) for finger, share in _FINGER_SHADES.items()}
        canvas.draw_hand(joints, skeleton, shades)
    picture = canvas.picture()
    for number, (joints, side) in enumerate(zip(joints_uv, sides)):
        canvas.label(picture, side, joints, HAND_COLORS[number % len(HAND_COLORS)])
    return picture


def crop_picture(image: np.ndarray, smallest_side: int = 96) -> Image.Image:
    """One normalised crop [S, S], +1 = background, enlarged by a whole number to at least `smallest_side` pixels."""
    return _strip(np.asarray(image, np.float32)[None], smallest_side)


def pose_picture(joints_norm: np.ndarray, skeleton: Skeleton, side: int) -> Image.Image:
    """A skeleton [J, 3] in half cubes as the crop's picture of `side` pixels would show it, on nothing."""
    pixels = 0.5 * (np.asarray(joints_norm, np.float64)[:, :2] + 1.0) * SMALLEST_SIDE - 0.5
    empty = np.zeros((SMALLEST_SIDE, SMALLEST_SIDE), np.float32)
    line = max(1.0, 0.7 * SMALLEST_SIDE / side)
    return overlay(empty, pixels, skeleton, line=line).resize((side, side), Image.Resampling.LANCZOS)


def contact_sheet(images: Sequence[Image.Image], titles: Sequence[str], columns: int) -> Image.Image:
    """Images side by side, each under its title, in rows of `columns`. ValueError where there are none."""
    if not images or len(images) != len(titles) or columns < 1:
        raise ValueError(f"{len(images)} images, {len(titles)} titles and {columns} columns make no sheet")
    width, height = max(i.width for i in images), max(i.height for i in images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    size = (_GAP + columns * (width + _GAP), _GAP + rows * (_LINE + height + _GAP))
    sheet = Image.new("RGB", size, BACKGROUND)
    for number, (image, title) in enumerate(zip(images, titles)):
        row, column = divmod(number, columns)
        left, top = _GAP + column * (width + _GAP), _GAP + row * (_LINE + height + _GAP)
        _write(sheet, title, left, top)
        sheet.paste(image, (left, top + _LINE))
    return sheet


def error_curve(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], path: str | pathlib.Path) -> None:
    """Writes the plot of `metrics.frames_within_percent` to a PNG; `curves` has (thresholds_mm, percent) by name."""
    many = len(curves) > 4
    figure, axes = _new_figure(9.6 if many else 6.4, 4.4)
    for name, (thresholds_mm, percent) in curves.items():
        axes.plot(thresholds_mm, percent, linewidth=2.2, label=name)
    axes.set(xlabel="distance d (mm)", ylabel="frames with all joints within d (%)", ylim=(0, 100))
    axes.set_xlim(0, max(float(np.max(thresholds_mm)) for thresholds_mm, _ in curves.values()))
    axes.grid(alpha=0.3)
    if many:  # inside, their names would hide them
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    else:
        axes.legend(loc="lower right" if _ends_high(curves) else "upper left", frameon=False)
    _save(figure, path)


def joint_bars(names: Sequence[str], errors_mm: Sequence[float], path: str | pathlib.Path) -> None:
    """Writes a bar per joint, in the order given, and a line at their mean, to a PNG; errors in mm."""
    figure, axes = _new_figure(6.4, 1.2 + 0.26 * len(names))
    places = np.arange(len(names))
    bars = axes.barh(places, errors_mm, height=0.72, color="#4c8dca")
    axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
    mean_mm = float(np.mean(errors_mm))
    axes.axvline(mean_mm, color="#d1495b", linewidth=1.4, label=f"mean {mean_mm:.1f} mm")
    axes.set_yticks(places, [name.replace("_", " ") for name in names])
    axes.set(xlabel="mean error (mm)", ylim=(len(names) - 0.4, -0.6))
    axes.margins(x=0.1)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False)
    _save(figure, path)


def grouped_joint_bars(
    names: Sequence[str], errors_mm: Mapping[str, Sequence[float]], path: str | pathlib.Path
) -> None:
    """Writes a group of bars per joint, one for each result, to a PNG; errors in mm by the results' names."""
    figure, axes = _new_figure(1.6 + (0.25 + 0.11 * len(errors_mm)) * len(names), 4.4)
    places, width = np.arange(len(names)), 0.82 / len(errors_mm)
    for number, (name, values) in enumerate(errors_mm.items()):
        offset = (number - 0.5 * (len(errors_mm) - 1)) * width
        axes.bar(places + offset, values, width, label=f"{name}, mean {np.mean(values):.1f} mm")
    axes.set_xticks(places, [name.replace("_", " ") for name in names], rotation=40, ha="right")
    axes.set(ylabel="mean error (mm)", xlim=(-0.6, len(names) - 0.4))
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False, ncols=2)
    _save(figure, path)


def label_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]], path: str | pathlib.Path
) -> None:
    """Writes errors over the share of labels to a PNG, in even steps as the paper's figure 5.

    `curves` has (percent of the labels, mean error in mm, its spread in mm) by name.
    """
    figure, axes = _new_figure(6.4, 4.4)
    steps = sorted({percent for percents, _, _ in curves.values() for percent in percents})
    for name, (percents, errors_mm, spreads_mm) in curves.items():
        places = [steps.index(percent) for percent in percents]
        axes.errorbar(places, errors_mm, spreads_mm, linewidth=2.2, capsize=4, marker="o", label=name)
    axes.set_xticks(range(len(steps)), [f"{percent:g}" for percent in steps])
    axes.set(xlabel="real labels (%)", ylabel="mean error (mm)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    _save(figure, path)


def spread_bars(
    names: Sequence[str], errors_mm: Sequence[float], spreads_mm: Sequence[float], path: str | pathlib.Path
) -> None:
    """Writes a bar per result with its spread, in the order given, to a PNG; errors in mm."""
    figure, axes = _new_figure(7.2, 1.2 + 0.36 * len(names))
    bars = axes.barh(np.arange(len(names)), errors_mm, xerr=spreads_mm, height=0.72, color="#4c8dca", capsize=3)
    axes.bar_label(bars, [f"{error_mm:.1f}" for error_mm in errors_mm], padding=3, fontsize=8)
    axes.set_yticks(np.arange(len(names)), names)
    axes.set(xlabel="mean error (mm)", ylim=(len(names) - 0.4, -0.6))
    axes.margins(x=0.1)
    _save(figure, path)


def _strip(images: np.ndarray, smallest_side: int) -> Image.Image:
    """Normalised crops [B, S, S] side by side."""
    count, height, width = images.shape
    scale = max(1, math.ceil(smallest_side / height))
    gap = _GAP // 2
    strip = Image.new("RGB", (count * (width * scale + gap) - gap, height * scale), BACKGROUND)
    for number, image in enumerate(images):
        shade = np.clip(0.5 * (1.0 - image), 0.0, 1.0)
        strip.paste(enlarged(shade, scale), (number * (width * scale + gap), 0))
    return strip


def _write(image: Image.Image, text: str, left: int, top: int) -> None:
    ImageDraw.Draw(image).text((left, top + 1), text, fill=TEXT, font=ImageFont.load_default(13))


def _ends_high(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> bool:
    return min(float(percent[-1]) for _, percent in curves.values()) > 50.0


def _new_figure(width_inches: float, height_inches: float) -> tuple[Any, Any]:
    # Matplotlib takes a second to load. Its figures need neither pyplot nor a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Any, path: str | pathlib.Path) -> None:
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=130)
