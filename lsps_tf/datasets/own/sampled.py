"""What some frames of a recording say of all: their size, and whether the unit of their counts can be right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lsps_tf.camera import Camera
from lsps_tf.datasets.own.camera_file import CAMERA_FILE, CameraFile
from lsps_tf.datasets.own.files import FrameFile, FrameReader
from lsps_tf.datasets.own.hands import NOWHERE_MM, build_find
from lsps_tf.depth_files import counts_to_mm
from lsps_tf.errors import InputError
from lsps_tf.rotation import rotate_depth

_SAMPLES = 12
# What cameras and programs store depth in, mm per count.
_UNITS_MM = (1.0, 1000.0, 0.1, 0.125, 0.25, 0.5, 0.2, 10.0, 100.0, 0.05, 0.01, 0.001)
_FARTHEST_MM, _NEAREST_MM = 5000.0, 80.0


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
    counts, find, degrees = [], build_find(camera), camera_file.rotation_degrees
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
    found = [find((frame * unit_mm).astype(np.float32), NOWHERE_MM) for frame in counts]
    present = np.array([hand.present for hand in found])
    return float(present.mean()), float(np.mean([hand.presence for hand in found if hand.present] or [0.0]))


def _sample(sequences: dict[str, list[FrameFile]]) -> list[FrameFile]:
    frames = [name for names in sequences.values() for name in names]
    return [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, _SAMPLES).astype(int))]
