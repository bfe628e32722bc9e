"""Recorded frames: where they lie, what is known of them before they are read, and what makes them unusable."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from lsps_tf.camera import Camera, uvd_to_mm
from lsps_tf.errors import InputError
from lsps_tf.files import read_text

NAMED = 3
MISSING = "the file is missing"
NO_LABEL = "its label holds NaN, infinity or a depth that is not above 0"
# Of the training frames, held out for validation.
VALIDATION_FRACTION = 0.05


@dataclasses.dataclass(frozen=True)
class Recording:
    """The N recorded frames that make one split of a store.

    Attributes:
        folder: what the frames' paths are said relative to.
        camera: that took them; frames of another size are unusable.
        read: a file to whole mm, uint16 [H, W], 0 = no reading; InputError where it is damaged. A function of a module,
            which other processes get by its name.
        path_of: the file of a frame by its position, 0 to N - 1.
        numbers: int64 [N], the frames' numbers in their source.
        joints_mm: float32 [N, J, 3] camera space.
        start_mm: float32 [N, 3], where the search of the hand's centre starts.
        subjects: int32 [N].
        unusable: why a frame cannot be used, by its position, as far as that shows without reading it.
        mirrored: whether the hand is stored as its mirror image (x negated, crops flipped).
    """

    folder: pathlib.Path
    camera: Camera
    read: Callable[[pathlib.Path], np.ndarray]
    path_of: Callable[[int], pathlib.Path]
    numbers: np.ndarray
    joints_mm: np.ndarray
    start_mm: np.ndarray
    subjects: np.ndarray
    unusable: dict[int, str]
    mirrored: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    def replace(self, **changes: Any) -> Recording:
        """A copy with other values of some attributes."""
        return dataclasses.replace(self, **changes)

    def name_of(self, position: int) -> str:
        """The frame's file, relative to the folder."""
        path = self.path_of(position)
        return str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else str(path)

    def digest(self) -> str:
        """A hash of what is known of the frames before they are read."""
        digest = hashlib.sha256(repr((self.camera, self.mirrored)).encode())
        for values in (self.numbers, self.joints_mm, self.start_mm, self.subjects):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()[:16]


def unusable_frames(missing: np.ndarray, joints_uvd: np.ndarray) -> dict[int, str]:
    """Why frames cannot be used: `missing` bool [N] their files, or labels [N, J, 3] that are no places."""
    unplaced = ~(np.isfinite(joints_uvd).all(axis=(1, 2)) & (joints_uvd[..., 2] > 0).all(axis=1))
    reasons = dict.fromkeys(np.flatnonzero(unplaced).tolist(), NO_LABEL)
    return {**reasons, **dict.fromkeys(np.flatnonzero(missing).tolist(), MISSING)}


def check_recordings(recordings: dict[str, Recording], skip_bad: bool) -> None:
    """Raises InputError where frames are known to be unusable, unless they are to be skipped and some are left."""
    problems, lost = [], set()
    for split, recording in recordings.items():
        if not len(recording):
            raise InputError(f"{recording.folder}: no frame is left for '{split}'; give more frames")
        if len(recording.unusable) == len(recording):
            lost.add(split)
        elif skip_bad:
            continue
        for reason in dict.fromkeys(recording.unusable.values()):
            positions = [p for p, why in recording.unusable.items() if why == reason]
            names = ", ".join(recording.name_of(p) for p in sorted(positions)[:NAMED])
            more = ", ..." if len(positions) > NAMED else ""
            problems.append(f"{len(positions)} of {len(recording)} frames of {split}: {reason} ({names}{more})")
    if problems:
        folder = next(iter(recordings.values())).folder
        way_out = "" if lost else ", or leave these frames out with --skip-bad"
        if lost and lost <= {"synthetic/train", "synthetic/validation"}:
            way_out = ", or take simulated frames instead with --synthetic sim"
        raise InputError(f"{folder}: {'; '.join(problems)}; copy the dataset again{way_out}")


def tail_count(count: int) -> int:
    """How many of `count` training frames are held out: VALIDATION_FRACTION of them, but at least 1."""
    return max(1, round(VALIDATION_FRACTION * count))


def start_centers(
    joints_mm: np.ndarray, centers_path: str | pathlib.Path | None = None, first: int | None = None
) -> np.ndarray:
    """Where the search of the hand's centre starts: the joints' mean, or what a file of centres says.

    Args:
        joints_mm: [N, J, 3] camera space.
        centers_path: a published file of centres, a row per frame of the whole split: x (right), y (up), z in mm, or
            "invalid", which leaves the joints' mean.
        first: the recording holds only the split's first N frames, so that the file may hold more.

    Returns:
        float32 [N, 3].

    Raises:
        InputError: where the file is missing, has other rows, or a row is no place.
    """
    means_mm = joints_mm.mean(axis=1).astype(np.float32)
    if centers_path is None:
        return means_mm
    centers_mm = _read_centers(pathlib.Path(centers_path))
    if len(centers_mm) < len(means_mm) or (first is None and len(centers_mm) != len(means_mm)):
        raise InputError(
            f"{centers_path}: it has {len(centers_mm)} centres for {len(means_mm)} frames; give the file of this split"
        )
    centers_mm = centers_mm[: len(means_mm)]
    return np.where(np.isfinite(centers_mm), centers_mm, means_mm)


def _read_centers(path: pathlib.Path) -> np.ndarray:
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path}: cannot be read as a file of centres ({error}); check the path") from error
    rows = []
    for number, line in enumerate((line for line in lines if line.strip()), start=1):
        try:
            x, y, z = (float("nan"),) * 3 if "invalid" in line.lower() else (float(part) for part in line.split())
        except ValueError:
            raise InputError(f"{path}: line {number} is no centre; it has to be 'x y z' in mm or 'invalid'") from None
        rows.append((x, -y, z))
    return np.array(rows, np.float32).reshape(-1, 3)


def labels_to_mm(joints_uvd: np.ndarray, camera: Camera) -> np.ndarray:
    """Labels [N, J, 3] in pixels, pixels and mm to camera space, float32."""
    return uvd_to_mm(joints_uvd.astype(np.float64), camera.intrinsics.astype(np.float64)).astype(np.float32)
