"""Where the hand is in every frame of a recording, found before anything is cropped: centre and side, or why not.

Sequences are tracked, so the frames are taken in order. What is found is kept in blocks beside the store until that is
made, so a stop costs the block in progress.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf.array_files import read_arrays
from lsps_tf.camera import Camera
from lsps_tf.datasets.own.backgrounds import Backgrounds, without_background
from lsps_tf.datasets.own.camera_file import CAMERA_FILE, CameraFile
from lsps_tf.datasets.own.files import FrameFile, FrameReader, to_mm
from lsps_tf.datasets.workers import read_ahead
from lsps_tf.depth_files import counts_to_mm
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path
from lsps_tf.hand_finding import search
from lsps_tf.rotation import opposite, rotate_camera, rotate_depth

BLOCK = 256
# Why a frame gives no crop.
USED, BROKEN, NO_HAND, CUT_OFF = range(4)
REASONS = ("", "cannot be read", "no hand in view", "hand cut off by the frame's border")
# Less of the hand's surroundings than this inside the frame, from its centre, and fingers or palm are missing.
_BORDER_MM = 40.0
_SAMPLES = 12
# What cameras and programs store depth in, mm per count.
_UNITS_MM = (1.0, 1000.0, 0.1, 0.125, 0.25, 0.5, 0.2, 10.0, 100.0, 0.05, 0.01, 0.001)
_FARTHEST_MM, _NEAREST_MM = 5000.0, 80.0
_NOWHERE_MM = np.full(3, np.nan, np.float32)


@dataclasses.dataclass(frozen=True)
class FoundHands:
    """What was found in N frames, in the recording's order.

    Attributes:
        center_mm: float32 [N, 3] camera space, NaN where no crop can be made.
        kind: uint8 [N], index into REASONS.
        detail: str [N], more on what cannot be read.
        tracked: bool [N], whether the centre came from the frame before.
        right: float32 [N], above 0 where the hand looks like a right one; NaN where there is none.
    """

    center_mm: np.ndarray
    kind: np.ndarray
    detail: np.ndarray
    tracked: np.ndarray
    right: np.ndarray


def find_hands(
    sequences: dict[str, list[FrameFile]],
    camera_file: CameraFile,
    camera: Camera,
    folder: pathlib.Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    backgrounds: Backgrounds | None = None,
) -> FoundHands:
    """Finds the hand in every frame, or goes on where a stop left it.

    Args:
        sequences: of `files.list_sequences`.
        camera_file: of the recording.
        camera: that took the frames, turned upright; frames of another size cannot be used.
        folder: where the blocks are kept; of this recording alone.
        progress: called with the frames done and all frames.
        backgrounds: what stands still, which is not looked at; None where all is.
    """
    frames = [(name, number) for number, names in enumerate(sequences.values()) for name in names]
    find = _build_find(camera)
    paths = [folder / f"{number:06d}.npz" for number in range(-(-len(frames) // BLOCK))]
    blocks = [_read_block(path) for path in itertools.takewhile(pathlib.Path.is_file, paths)]
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(FrameReader())
        read = functools.partial(
            _read, reader=reader, camera_file=camera_file, camera=camera, backgrounds=backgrounds or {}
        )
        depths = stack.enter_context(contextlib.closing(read_ahead(read, frames[len(blocks) * BLOCK :])))
        look = functools.partial(_look, camera=camera, find=find)
        for number, path in enumerate(paths[len(blocks) :], start=len(blocks)):
            previous_mm = blocks[-1].center_mm[-1] if blocks else _NOWHERE_MM
            block = _find_block(
                frames, number * BLOCK, previous_mm, depths, look, lambda done: progress(done, len(frames))
            )
            with atomic_path(path) as partial, partial.open("wb") as file:
                np.savez(file, **dataclasses.asdict(block))
            blocks.append(block)
    progress(len(frames), len(frames))
    fields = [field.name for field in dataclasses.fields(FoundHands)]
    return FoundHands(*(np.concatenate([getattr(block, name) for block in blocks]) for name in fields))


def frame_size(sequences: dict[str, list[FrameFile]], camera_file: CameraFile) -> tuple[int, int]:
    """Width and height of the recording's frames: those of the camera's file, else those that most sampled frames have.

    Raises:
        InputError: where no sampled frame can be read, or none has the size that the camera's file says.
    """
    sizes, error = [], None
    with FrameReader() as reader:
        for frame in _sample(sequences):
            try:
                sizes.append(reader.read(frame).shape[::-1])
            except InputError as reason:
                error = reason
    if not sizes:
        raise error
    common = max(sizes, key=sizes.count)
    asked = (camera_file.width or common[0], camera_file.height or common[1])
    if asked not in sizes:
        raise InputError(
            f"{CAMERA_FILE}: width and height are {asked[0]} x {asked[1]} pixels, the frames' {common[0]} x {common[1]}"
            "; write the frames' size, and the intrinsics that belong to it"
        )
    return asked


def check_unit(sequences: dict[str, list[FrameFile]], camera_file: CameraFile, camera: Camera) -> None:
    """Raises InputError where depth_unit_mm cannot be right, and says which unit shows a hand.

    Samples of the recording are looked at; as a hand has a hand's size in the right unit alone, the units that cameras
    use are tried where the given one shows none.
    """
    counts, find, degrees = [], _build_find(camera), camera_file.rotation_degrees
    with FrameReader() as reader:
        for frame in _sample(sequences):
            try:
                # Counts in units of 1, so that only what is no reading goes.
                counts.append(rotate_depth(counts_to_mm(reader.read(frame), 1.0), degrees))
            except InputError:
                continue
    counts = [frame for frame in counts if frame.shape == (camera.height, camera.width) and np.any(frame > 0)]
    if not counts:
        return
    shown = {camera_file.depth_unit_mm: _hands_in(counts, camera_file.depth_unit_mm, find)}
    nearest = float(np.median([np.percentile(frame[frame > 0], 2.0) for frame in counts]))
    nearest_mm = nearest * camera_file.depth_unit_mm
    if shown[camera_file.depth_unit_mm] > (0.0, 0.0):
        return
    shown.update({unit: _hands_in(counts, unit, find) for unit in _UNITS_MM if unit not in shown})
    best = max(shown, key=lambda unit: shown[unit])
    where = f"{nearest_mm / 1000:.3g} m" if nearest_mm >= 1000.0 else f"{nearest_mm:.3g} mm"
    if shown[best][0] >= 0.25:
        raise InputError(
            f"{CAMERA_FILE}: with depth_unit_mm = {camera_file.depth_unit_mm:g} what is nearest lies {where} away and "
            f"no hand is found; with depth_unit_mm = {best:g} hands are, {nearest * best:.0f} mm away: write that"
        )
    if not _NEAREST_MM <= nearest_mm <= _FARTHEST_MM:
        raise InputError(
            f"{CAMERA_FILE}: with depth_unit_mm = {camera_file.depth_unit_mm:g} what is nearest lies {where} away, "
            "where no hand can be measured; write the mm that one count stands for (1000 where the files hold metres)"
        )


def _hands_in(counts: list[np.ndarray], unit_mm: float, find: Callable) -> tuple[float, float]:
    """The share of frames with a hand, and how much these look like hands.

    At half the distance half a hand looks the same but for its depth, so that the share alone can be a draw.
    """
    found = [find((frame * unit_mm).astype(np.float32), _NOWHERE_MM) for frame in counts]
    present = np.array([hand.present for hand in found])
    return float(present.mean()), float(np.mean([hand.presence for hand in found if hand.present] or [0.0]))


def _sample(sequences: dict[str, list[FrameFile]]) -> list[FrameFile]:
    frames = [name for names in sequences.values() for name in names]
    return [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, _SAMPLES).astype(int))]


def _find_block(
    frames: list[tuple[FrameFile, int]],
    start: int,
    previous_mm: np.ndarray,
    depths: Iterator[np.ndarray | str],
    look: Callable[[np.ndarray | str, np.ndarray], tuple],
    progress: Callable[[int], None],
) -> FoundHands:
    found = []
    for position in range(start, min(start + BLOCK, len(frames))):
        progress(position)
        if not position or frames[position - 1][1] != frames[position][1]:
            previous_mm = _NOWHERE_MM
        found.append(look(next(depths), previous_mm))
        previous_mm = found[-1][0]
    columns = zip(*found)
    return FoundHands(
        *(np.array(column, kind) for column, kind in zip(columns, (np.float32, np.uint8, np.str_, bool, np.float32)))
    )


def _look(
    depth_mm: np.ndarray | str, previous_mm: np.ndarray, camera: Camera, find: Callable
) -> tuple[np.ndarray, int, str, bool, float]:
    """A frame's values of `FoundHands`, given what `_read` made of it."""
    if isinstance(depth_mm, str):
        return _NOWHERE_MM, BROKEN, depth_mm, False, np.nan
    center_mm, present, tracked, right, _ = find(depth_mm, previous_mm)
    if not present:
        return _NOWHERE_MM, NO_HAND, "", False, np.nan
    if _cut_off(center_mm, camera):
        return _NOWHERE_MM, CUT_OFF, "", False, np.nan
    return center_mm, USED, "", tracked, right


def _read(
    place: tuple[FrameFile, int],
    reader: FrameReader,
    camera_file: CameraFile,
    camera: Camera,
    backgrounds: Backgrounds,
) -> np.ndarray | str:
    """A frame, given with the number of its sequence, in mm; or why it cannot be used."""
    frame, sequence = place
    try:
        counts = reader.read(frame)
    except InputError as error:
        return str(error)
    recorded = rotate_camera(camera, opposite(camera_file.rotation_degrees))
    if counts.shape == (recorded.height, recorded.width):
        return without_background(to_mm(counts, camera_file), backgrounds, sequence)
    height, width = counts.shape
    return f"{frame.name}: its size is {width} x {height} pixels, not {recorded.width} x {recorded.height}"


def _read_block(path: pathlib.Path) -> FoundHands:
    return FoundHands(**read_arrays(path, (field.name for field in dataclasses.fields(FoundHands))))


def _cut_off(center_mm: np.ndarray, camera: Camera) -> bool:
    x, y, z = center_mm
    u, v = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
    reach_u, reach_v = camera.fx * _BORDER_MM / z, camera.fy * _BORDER_MM / z
    return bool(min(u - reach_u, camera.width - u - reach_u) < 0 or min(v - reach_v, camera.height - v - reach_v) < 0)


class Sight(NamedTuple):
    """What is seen in a frame: center_mm (3,), whether there is a hand, whether it was followed, and logits.

    `right` is that of a right hand, `presence` that of any hand around the centre.
    """

    center_mm: np.ndarray
    present: bool
    tracked: bool
    right: float
    presence: float


@functools.lru_cache(maxsize=4)
def _build_find(camera: Camera) -> Callable:
    """A function of one frame [H, W] and the previous centre to what is `Sight` in it."""
    intrinsics = tf.constant(camera.intrinsics[None])
    frame = tf.TensorSpec([camera.height, camera.width], tf.float32)

    @tf.function(input_signature=[frame, tf.TensorSpec([3], tf.float32)])
    def find(depth_mm: tf.Tensor, previous_mm: tf.Tensor):
        center_mm, present, tracked = search.track_hand(depth_mm[None], intrinsics, previous_mm[None])
        _, presence, right = search.judge_hand(depth_mm[None], intrinsics, center_mm)
        return center_mm[0], present[0], tracked[0], right[0], presence[0]

    def run(depth_mm: np.ndarray, previous_mm: np.ndarray) -> Sight:
        # On the CPU, so that a store does not depend on where it was made.
        with tf.device("CPU"):
            center_mm, *others = (value.numpy() for value in find(depth_mm, previous_mm))
        return Sight(center_mm, *(value.item() for value in others))

    return run


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
