"""The ICVL hand posture dataset (Tang et al., 2014) in its official folders.

`Training` holds `labels.txt` and `Depth`, `Testing` holds `test_seq_1.txt`, `test_seq_2.txt` and `Depth`; both may lie
in one folder. A line of labels is a file's path below `Depth` and 16 joints as `u v d` (pixels, pixels, mm). Files are
16-bit PNGs in mm. Original sequences are folders named by their date; folders named by an angle ("22-5", "-45") hold
rotated copies of them.

The hands are left ones. They are stored mirrored (x negated), as right hands like NYU's and the simulator's; what is
predicted from the store has to be mirrored back. Training frames become "real/train" but for the last sequences, at
least VALIDATION_FRACTION of the frames with all their rotated copies, which become "real/validation". Test frames, one
sequence after the other, become "real/test".
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re

import numpy as np

from lsps_tf import camera
from lsps_tf.datasets.public import nyu
from lsps_tf.datasets.public.dataset import PublicDataset
from lsps_tf.datasets.public.folders import Layout
from lsps_tf.datasets.public.recording import Recording, labels_to_mm, start_centers, tail_count, unusable_frames
from lsps_tf.depth_files import read_png16
from lsps_tf.errors import InputError
from lsps_tf.files import open_text
from lsps_tf.skeleton import ICVL

VERSION = "icvl-v1"
CUBE_MM = 250.0
MIRRORED = True
# The sensor's codes for saturation and low confidence start here.
NO_READING = 32000
TEST_FILES = ("test_seq_1.txt", "test_seq_2.txt")
LAYOUT = Layout(
    name="icvl",
    marks=("Training", "Testing", "labels.txt", "test_seq_1.txt"),
    inside=(),
    description="Training/ with labels.txt and Depth/, and Testing/ with test_seq_1.txt, test_seq_2.txt and Depth/",
    source="the page 'ICVL Hand Posture Dataset' of Imperial College London (labicvl.github.io/hand.html)",
)

_ROOT = re.compile(r"[\\/]|[A-Za-z]:|\.\.")
_ANGLE = re.compile(r"-?(\d{1,3})(?:[-.](\d))?")


def read_frame(path: pathlib.Path) -> np.ndarray:
    """A frame in mm, uint16 [240, 320], 0 = no reading; InputError where the file is damaged."""
    depth_mm = read_png16(path)
    depth_mm[depth_mm >= NO_READING] = 0
    return depth_mm


@dataclasses.dataclass(frozen=True)
class Labels:
    """A file of labels.

    Attributes:
        names: N paths below `Depth`.
        joints_uvd: float32 [N, 16, 3] in pixels, pixels and mm.
        depth_folder: what the paths are relative to.
    """

    names: list[str]
    joints_uvd: np.ndarray
    depth_folder: pathlib.Path

    def __getitem__(self, rows: slice | np.ndarray) -> Labels:
        names = self.names[rows] if isinstance(rows, slice) else [self.names[row] for row in rows]
        return Labels(names, self.joints_uvd[rows], self.depth_folder)


def read_labels(path: str | pathlib.Path, rotated: bool = True) -> Labels:
    """Reads a file of labels; without `rotated` only the lines of original sequences.

    Raises:
        InputError: where the file is missing or a line is not a path and 48 numbers.
    """
    path = pathlib.Path(path)
    names, rows = [], []
    try:
        with open_text(path) as file:
            for number, line in enumerate(file, start=1):
                written, *values = line.split() or [""]
                name = path_below_depth(written)
                if name and (rotated or not is_rotated(name)):
                    names.append(name)
                    rows.append(_joints(path, number, values))
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path}: the labels cannot be read ({error}); copy the file again") from error
    if not names:
        raise InputError(f"{path}: the file holds no labels; copy it again")
    return Labels(names, np.stack(rows), path.parent / "Depth")


def path_below_depth(written: str) -> str:
    """A path below `Depth` as the dataset has it, of one that another program or system wrote into the labels.

    Backslashes, `./`, quotes, and folders above: all up to `Depth`, and of paths from a root that do not name it all
    but a sequence, with its angle, and the file.
    """
    parts = [part for part in re.split(r"[\\/]+", written.strip("\"'")) if part not in ("", ".")]
    depth = max((place for place, part in enumerate(parts[:-1]) if part.lower() == "depth"), default=-1)
    if depth >= 0:
        return "/".join(parts[depth + 1 :])
    if _ROOT.match(written.strip("\"'")):
        angle = len(parts) > 2 and _ANGLE.fullmatch(parts[-3])
        parts = parts[-3 if angle else -2 :]
    return "/".join(parts)


def is_rotated(name: str) -> bool:
    """Whether a path below `Depth` is of a rotated copy."""
    angle = _ANGLE.fullmatch(name.split("/")[0])
    return angle is not None and bool(int(angle[1]) or int(angle[2] or 0))


def sequence_of(name: str) -> str:
    """The original sequence that a path below `Depth` belongs to."""
    return name.split("/")[-2] if "/" in name else ""


def recordings(
    folder: str | pathlib.Path,
    limit: int | None = None,
    centers_path: str | pathlib.Path | None = None,
    rotated: bool = False,
) -> dict[str, Recording]:
    """The real splits of a dataset's folder.

    Args:
        folder: with `Training` and `Testing`, or with what they hold.
        limit: only the first so many frames of the training and of the test set.
        centers_path: a file of centres of the test frames to start from (see `start_centers`).
        rotated: use the rotated copies, too.

    Raises:
        InputError: where labels are missing or damaged.
    """
    folder = pathlib.Path(folder)
    train = read_labels(_find(folder, "Training", "labels.txt"), rotated)[slice(limit)]
    validates = _held_out([sequence_of(name) for name in train.names])
    test = read_test_labels(folder)[slice(limit)]
    numbers = {sequence: k for k, sequence in enumerate(sorted({sequence_of(n) for n in (*train.names, *test.names)}))}
    test_recording = _recording(folder, test, np.arange(len(test.names)), numbers)
    start_mm = start_centers(test_recording.joints_mm, centers_path, limit)
    return {
        "real/train": _recording(folder, train, np.flatnonzero(~validates), numbers),
        "real/validation": _recording(folder, train, np.flatnonzero(validates), numbers),
        "real/test": test_recording.replace(start_mm=start_mm),
    }


def read_test_labels(folder: str | pathlib.Path) -> Labels:
    """The labels of both test sequences, one after the other; InputError where they are missing or damaged."""
    parts = [read_labels(_find(pathlib.Path(folder), "Testing", name)) for name in TEST_FILES]
    names = [name for part in parts for name in part.names]
    return Labels(names, np.concatenate([part.joints_uvd for part in parts]), parts[0].depth_folder)


def _find(folder: pathlib.Path, part: str, name: str) -> pathlib.Path:
    for path in (folder / part / name, folder / name):
        if path.is_file():
            return path
    raise InputError(f"{folder / part / name}: the file is missing; the folder has to hold {LAYOUT.description}")


def _joints(path: pathlib.Path, number: int, values: list[str]) -> np.ndarray:
    try:
        return np.array([float(value) for value in values], np.float32).reshape(ICVL.num_joints, 3)
    except ValueError:
        raise InputError(
            f"{path}: line {number} is not a path and {3 * ICVL.num_joints} numbers ({len(values)} are there); "
            "copy the file again"
        ) from None


def _held_out(sequences: list[str]) -> np.ndarray:
    """Which frames validate, bool [N]: the last sequences by name, or the last frames where there is one sequence."""
    count, wanted = len(sequences), tail_count(len(sequences))
    ordered = sorted(set(sequences))
    names, held = np.array(sequences), np.zeros(count, bool)
    if len(ordered) == 1:
        held[count - wanted :] = True
        return held
    while held.sum() < wanted and len(ordered) > 1:
        held |= names == ordered.pop()
    return held


def _recording(folder: pathlib.Path, labels: Labels, rows: np.ndarray, numbers: dict[str, int]) -> Recording:
    own, missing = _found(labels[rows])
    joints_mm = labels_to_mm(own.joints_uvd, camera.ICVL)
    return Recording(
        folder=folder,
        camera=camera.ICVL,
        read=read_frame,
        path_of=lambda position: own.depth_folder / own.names[position],
        numbers=rows,
        joints_mm=joints_mm,
        start_mm=start_centers(joints_mm),
        subjects=np.array([numbers[sequence_of(name)] for name in labels[rows].names], np.int32),
        unusable=unusable_frames(missing, own.joints_uvd),
        mirrored=MIRRORED,
    )


def _found(labels: Labels) -> tuple[Labels, np.ndarray]:
    """The labels with their files' names as they are on the disk, in whatever case, and which are not there, bool [N].

    Looks into each folder once.
    """
    there: dict[pathlib.Path, dict[str, str]] = {}

    def find(folder: pathlib.Path, name: str) -> str | None:
        if folder not in there:
            entries = sorted(entry.name for entry in os.scandir(folder)) if folder.is_dir() else []
            # By its own name first, then in any case.
            there[folder] = {**{entry.lower(): entry for entry in entries}, **{entry: entry for entry in entries}}
        return there[folder].get(name) or there[folder].get(name.lower())

    names, missing = list(labels.names), np.zeros(len(labels.names), bool)
    for row, name in enumerate(labels.names):
        found, folder = [], labels.depth_folder
        for part in name.split("/"):
            entry = find(folder, part)
            if entry is None:
                break
            found.append(entry)
            folder = folder / entry
        missing[row] = len(found) != name.count("/") + 1
        names[row] = name if missing[row] else "/".join(found)
    return dataclasses.replace(labels, names=names), missing


DATASET = PublicDataset(
    layout=LAYOUT,
    version=VERSION,
    skeleton=ICVL,
    camera=camera.ICVL,
    cube_mm=CUBE_MM,
    sensor="time-of-flight",
    mirrored=MIRRORED,
    has_rotated=True,
    recordings=lambda folder, chosen: recordings(folder, chosen.limit, chosen.centers_path, chosen.rotated),
    test_labels=lambda folder: read_test_labels(folder).joints_uvd,
    # As in section 5.
    renderings=nyu.renderings_for(ICVL),
)
