"""Which hand the sequences of a recording show."""

from __future__ import annotations

import pathlib

import numpy as np

from lsps_tf.datasets.own.camera_file import CAMERA_FILE
from lsps_tf.datasets.own.files import FrameFile
from lsps_tf.errors import InputError

# A side is told from at least so many frames, and where the mean logit is at least so far from 0.
FEWEST_FRAMES, SURE = 20, 0.25
Sequences = dict[str, list[FrameFile]]


def decide_sides(folder: pathlib.Path, sequences: Sequences, said: str, right: np.ndarray) -> dict[str, str]:
    """Which hand each sequence shows.

    Args:
        folder: of the recording, for messages.
        sequences: its frames by sequence.
        said: "right", "left", or "auto" to have it told.
        right: [N] per frame the logit of a right hand (`search.judge_hand`), NaN where there is none.

    Returns:
        "right" or "left" by the sequence's name.

    Raises:
        InputError: for "auto", where a sequence has too few frames with a hand, or looks like neither clearly enough.
    """
    if said != "auto":
        return dict.fromkeys(sequences, said)
    return {name: _side(folder, name, logits) for name, logits in _by_sequence(sequences, right).items()}


def doubtful_sides(sequences: Sequences, said: str, right: np.ndarray) -> list[str]:
    """Sequences that clearly look like the other hand than was said; arguments as of `decide_sides`."""
    if said == "auto":
        return []
    other = -1.0 if said == "right" else 1.0
    logits = _by_sequence(sequences, right)
    return [name for name, seen in logits.items() if len(seen) >= FEWEST_FRAMES and other * seen.mean() > SURE]


def _side(folder: pathlib.Path, name: str, right: np.ndarray) -> str:
    if len(right) < FEWEST_FRAMES or abs(right.mean()) < SURE:
        where = "the recording" if name == "." else f"'{name}'"
        raise InputError(
            f"{folder}: which hand {where} shows cannot be told from {len(right)} frames with a hand; say "
            f'hand = "right" or "left" in {CAMERA_FILE}, or --hand'
        )
    return "right" if right.mean() > 0 else "left"


def _by_sequence(sequences: Sequences, right: np.ndarray) -> dict[str, np.ndarray]:
    """Per sequence the logits of its frames with a hand."""
    ends = np.cumsum([len(names) for names in sequences.values()])[:-1]
    return {name: part[np.isfinite(part)] for name, part in zip(sequences, np.split(right, ends))}
