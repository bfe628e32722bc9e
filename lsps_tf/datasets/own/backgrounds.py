"""What stands still in a recording, sequence by sequence: each may be of a camera at another place."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from lsps_tf.background import MOST_FRAMES, Background, NoBackground, learn_background
from lsps_tf.datasets.own.camera_file import CameraFile
from lsps_tf.datasets.own.files import FrameFile, FrameReader, to_mm
from lsps_tf.errors import InputError

# By the number of the sequence; those that have none are missing.
Backgrounds = dict[int, Background]


def learn_backgrounds(
    sequences: dict[str, list[FrameFile]],
    camera_file: CameraFile,
    folder: pathlib.Path,
    report: Callable[[str], None] = lambda text: None,
) -> Backgrounds:
    """Learns what stands still in every sequence, or reads what was learned before.

    Args:
        sequences: of `files.list_sequences`.
        camera_file: of the recording.
        folder: where each sequence's background is kept, as NUMBER.npz.
        report: called with a line for each sequence that has none, which says why.
    """
    found = {}
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, frames) in enumerate(sequences.items()):
        path = folder / f"{number}.npz"
        if path.is_file():
            found[number] = Background.load(path)
            continue
        try:
            found[number] = learn_background(_sample_mm(frames, camera_file))
            found[number].save(path)
        except NoBackground as reason:
            report(f"'{name}': {reason}; it is used with all that it shows")
    return found


def without_background(depth_mm: np.ndarray, backgrounds: Backgrounds, sequence: int) -> np.ndarray:
    """A frame [H, W] without what stands still in its sequence; as it is where that has no background."""
    return backgrounds[sequence].without(depth_mm) if sequence in backgrounds else depth_mm


def _sample_mm(frames: Sequence[FrameFile], camera_file: CameraFile) -> list[np.ndarray]:
    """Frames in mm, evenly spread over a sequence, of the size that most of them have; what cannot be read is none."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, MOST_FRAMES).astype(int))
    sample = []
    with FrameReader() as reader:
        for place in chosen:
            try:
                sample.append(to_mm(reader.read(frames[place]), camera_file))
            except InputError:
                continue
    sizes = [frame_mm.shape for frame_mm in sample]
    return [frame_mm for frame_mm in sample if frame_mm.shape == max(sizes, key=sizes.count)]
