"""What the command leaves behind: grids of pictures (PNG), walks (GIF and MP4) and arrays (.npz)."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image
from tqdm import tqdm

from lsps_tf import draw
from lsps_tf.animation import write_gif, write_mp4
from lsps_tf.files import atomic_path
from lsps_tf.generate import Hands
from lsps_tf.skeleton import Skeleton

# A grid shows so many of what was made, evenly chosen; the arrays hold all.
COLUMNS = 12
_SMALLEST_SIDE = 128


def write_arrays(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> pathlib.Path:
    """Writes arrays by name as a compressed .npz."""
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return path


def write_image_grid(path: pathlib.Path, rows: Mapping[str, np.ndarray]) -> pathlib.Path:
    """Writes rows of crops [N, S, S], each under its title, as PNG."""
    shown = {title.replace("_", " "): images[_chosen(len(images))] for title, images in rows.items()}
    return _write_png(path, draw.picture_grid(shown, _SMALLEST_SIDE))


def write_hands_grid(path: pathlib.Path, hands: Hands, skeleton: Skeleton) -> pathlib.Path:
    """Writes hands in all three domains, a row each, as PNG."""
    chosen = _chosen(len(hands.joints_norm))
    columns = [_three_pictures(hands, number, skeleton) for number in chosen]
    images = [column[domain] for domain in ("synthetic", "real", "pose") for column in columns]
    titles = [title for name in ("synthetic", "real", "pose") for title in (name, *[""] * (len(columns) - 1))]
    return _write_png(path, draw.contact_sheet(images, titles, len(columns)))


def write_walk(
    folder: pathlib.Path, hands: Hands, skeleton: Skeleton, per_second: float, closed: bool
) -> list[pathlib.Path]:
    """Writes a walk as GIF and MP4, the three domains side by side. One that is not closed goes back as it came."""
    pictures = []
    for number in tqdm(range(len(hands.joints_norm)), desc="draw", unit="step", leave=False):
        three = _three_pictures(hands, number, skeleton)
        pictures.append(draw.contact_sheet(list(three.values()), list(three), len(three)))
    if not closed:
        pictures += pictures[-2:0:-1]
    gif, mp4 = folder / "walk.gif", folder / "walk.mp4"
    write_gif(gif, pictures, per_second)
    write_mp4(mp4, pictures, per_second)
    return [gif, mp4]


def say_written(paths: Sequence[pathlib.Path]) -> None:
    """Prints where the files are."""
    print("Written: " + "\n         ".join(str(path) for path in paths))


def _chosen(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, COLUMNS).astype(int))


def _three_pictures(hands: Hands, number: int, skeleton: Skeleton) -> dict[str, Image.Image]:
    pictures = {
        "synthetic": draw.crop_picture(hands.synthetic[number], _SMALLEST_SIDE),
        "real": draw.crop_picture(hands.real[number], _SMALLEST_SIDE),
    }
    pictures["pose"] = draw.pose_picture(hands.joints_norm[number], skeleton, pictures["real"].width)
    return pictures


def _write_png(path: pathlib.Path, picture: Image.Image) -> pathlib.Path:
    with atomic_path(path) as partial:
        picture.save(partial, format="PNG")
    return path
