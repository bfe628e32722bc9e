"""Labels of one's own recording: `joints.csv`, one line per labelled frame.

    frame,index_tip_x,index_tip_y,index_tip_z,...        camera space in mm: x right, y down, z away from the camera
    frame,index_tip_u,index_tip_v,index_tip_d,...        or pixels, pixels and depth in mm

`frame` is the frame's name (see `lsps_tf.datasets.own.files`). The joints are NYU's 36 or ICVL's 16 by their names in
`lsps_tf.skeleton`, in any order; a joint that has no columns, or an empty field, has no label. The 21 joints of
`skeleton.HAND21` are called as the nearest ones of NYU: a frame so labelled is measured on (`evaluate.py --joints 21`),
and trained on without its labels, as the pose VAE learns whole hands of 36 joints. An optional column
`split` says what a frame is for: train, validation or test.
"""

from __future__ import annotations

import csv
import dataclasses
import difflib
import pathlib

import numpy as np

from lsps_tf import skeleton
from lsps_tf.camera import uvd_to_mm
from lsps_tf.datasets.own.folders import beside
from lsps_tf.datasets.own.frame_names import FrameNames
from lsps_tf.distortion import NO_DISTORTION, Distortion, undistort_pixels
from lsps_tf.errors import InputError
from lsps_tf.files import read_text

JOINTS_FILE = "joints.csv"
PARTS = ("train", "validation", "test")
_TEST_SHARE, _VALIDATION_SHARE = 0.2, 0.1


@dataclasses.dataclass(frozen=True)
class FrameLabels:
    """The labels of a recording.

    Attributes:
        skeleton: whose joints they are.
        joints_mm: float32 [J, 3] camera space by the frame's name, NaN where a joint has no label.
        parts: what each labelled frame is for, by its name: "train", "validation" or "test".
    """

    skeleton: skeleton.Skeleton
    joints_mm: dict[str, np.ndarray]
    parts: dict[str, str]

    @property
    def trainable(self) -> bool:
        """Whether a frame to train on has all joints; others do not serve the training."""
        train = (name for name, part in self.parts.items() if part == "train")
        return any(np.isfinite(self.joints_mm[name]).all() for name in train)


def read_labels(
    folder: str | pathlib.Path,
    frame_names: list[str],
    intrinsics: np.ndarray,
    distortion: Distortion = NO_DISTORTION,
) -> FrameLabels:
    """Reads `joints.csv` of a recording; no labels of NYU's joints where there is no such file.

    Without a column `split`, the last fifth of the labelled frames is for the test and the tenth before it for
    validation, so that no training frame stands between two test frames: in a video neighbours look alike. With fewer
    than three labelled frames all are for the test.

    Args:
        folder: the recording.
        frame_names: of all frames, in order.
        intrinsics: (4,) fx, fy, cx, cy, for labels in pixels.
        distortion: of the lens, whose frames the pixels are of.

    Raises:
        InputError: where a column or a frame is unknown, a field is no number, a depth is not in front of the camera,
            or a frame stands there twice.
    """
    path = beside(pathlib.Path(folder), JOINTS_FILE)
    if not path.is_file():
        return FrameLabels(skeleton.NYU, {}, {})
    lines = _read_lines(path)
    if len(lines) < 2 or lines[0][:1] != ["frame"]:
        raise InputError(f"{path}: it needs a first line 'frame,JOINT_x,JOINT_y,JOINT_z,...' and a line per frame")
    header = lines[0]
    kind, columns, in_pixels = _columns(path, header)
    known, joints_mm, parts = FrameNames(path.parent, frame_names), {}, {}
    for number, line in enumerate(lines[1:], start=2):
        if not any(line):
            continue
        name = _frame(path, number, line, len(header), known, joints_mm)
        joints = _joints(path, number, line, columns, kind.num_joints)
        if in_pixels:
            pixels = undistort_pixels(joints[:, :2], intrinsics, distortion)
            joints = uvd_to_mm(np.concatenate([pixels, joints[:, 2:]], axis=1), intrinsics.astype(np.float64))
        joints_mm[name] = joints.astype(np.float32)
        if "split" in header:
            parts[name] = _part(path, number, line[header.index("split")].strip())
    order = [name for name in frame_names if name in joints_mm]
    return FrameLabels(kind, joints_mm, parts or split_labelled(order))


def split_labelled(names: list[str]) -> dict[str, str]:
    """What each labelled frame is for, the names being in the order of the recording."""
    count = len(names)
    if count < 3:
        return dict.fromkeys(names, "test")
    test = max(1, round(_TEST_SHARE * count))
    validation = max(1, round(_VALIDATION_SHARE * count))
    first_test, first_validation = count - test, count - test - validation
    return {
        name: "test" if i >= first_test else "validation" if i >= first_validation else "train"
        for i, name in enumerate(names)
    }


def _columns(path: pathlib.Path, header: list[str]) -> tuple[skeleton.Skeleton, np.ndarray, bool]:
    """The skeleton, per joint the columns of its three numbers [J, 3] (-1: none), and whether they are pixels."""
    given = [column for column in header if column not in ("frame", "split")]
    stems = {column.rpartition("_")[0] for column in given}
    kinds = sorted(skeleton.SKELETONS.values(), key=lambda kind: -len(stems & set(kind.joint_names)))
    kind = kinds[0]
    endings = "uvd" if any(column.endswith("_u") for column in given) else "xyz"
    known = {f"{joint}_{axis}": (j, a) for j, joint in enumerate(kind.joint_names) for a, axis in enumerate(endings)}
    columns = np.full((kind.num_joints, 3), -1)
    for column in given:
        if column not in known:
            nearest = difflib.get_close_matches(column, known, n=1, cutoff=0.0)[0]
            raise InputError(f"{path}: unknown column '{column}'; the nearest one is '{nearest}'")
        if columns[known[column]] >= 0:
            raise InputError(f"{path}: the column '{column}' stands there twice; keep one")
        columns[known[column]] = header.index(column)
    for joint, places in zip(kind.joint_names, columns):
        if (places < 0).any() and (places >= 0).any():
            raise InputError(
                f"{path}: '{joint}' needs all three of its columns, {', '.join(endings)}; add what is missing"
            )
    if not given:
        raise InputError(f"{path}: no column names a joint, such as 'index_tip_x'; see docs/data.md")
    return kind, columns, endings == "uvd"


def _read_lines(path: pathlib.Path) -> list[list[str]]:
    """The fields of each line, without blanks around them and without empty columns and lines at the end.

    Spreadsheets separate fields by semicolons where numbers have a comma, or by tabs.
    """
    try:
        text = read_text(path)
    except UnicodeError as error:
        raise InputError(f"{path}: this is no text ({error}); save it as CSV in UTF-8") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check who may read it") from error
    rows = text.split("\n")
    if rows[0].lower().startswith("sep="):
        rows = rows[1:]
    first = rows[0] if rows else ""
    separator = max(",;\t", key=first.count)
    lines = [[field.strip() for field in line] for line in csv.reader(rows, delimiter=separator) if line]
    while lines and not any(lines[-1]):
        lines.pop()
    if separator != ",":
        lines = [line[:1] + [field.replace(",", ".") for field in line[1:]] for line in lines]
    width = len(lines[0]) if lines else 0
    while width and not lines[0][width - 1]:
        width -= 1
    return [line if any(line[width:]) else line[:width] for line in lines]


def _frame(path: pathlib.Path, number: int, line: list[str], width: int, known: FrameNames, seen: dict) -> str:
    if len(line) != width:
        raise InputError(f"{path}: line {number} has {len(line)} fields, the first line {width}; complete it")
    name = known.find(line[0])
    if name is None:
        nearest = difflib.get_close_matches(line[0], known.names, n=1, cutoff=0.0)[0]
        raise InputError(f"{path}: line {number}: there is no frame '{line[0]}'; the nearest name is '{nearest}'")
    if name in seen:
        raise InputError(f"{path}: line {number}: the frame '{name}' is labelled twice; keep one line")
    return name


def _joints(path: pathlib.Path, number: int, line: list[str], columns: np.ndarray, count: int) -> np.ndarray:
    """[J, 3] float64 as they stand there, NaN where there is no label."""
    joints = np.full((count, 3), np.nan)
    for joint, axis in np.argwhere(columns >= 0):
        field = line[columns[joint, axis]].strip()
        try:
            joints[joint, axis] = float(field) if field else np.nan
        except ValueError:
            raise InputError(
                f"{path}: line {number}: '{field}' is no number; leave a field empty that has none"
            ) from None
    joints[~np.isfinite(joints).all(axis=1)] = np.nan
    if not np.isfinite(joints).any():
        raise InputError(f"{path}: line {number} labels no joint; remove it")
    if np.nanmin(joints[:, 2]) <= 0:
        raise InputError(
            f"{path}: line {number}: a joint's depth is not in front of the camera; z (or d) is in mm, above 0"
        )
    return joints


def _part(path: pathlib.Path, number: int, part: str) -> str:
    if part not in PARTS:
        raise InputError(f"{path}: line {number}: split '{part}'; choose one of {', '.join(PARTS)}")
    return part


# From the centre of mass no joint of the same hand is this far away, and so no mean of some joints.
FAR_MM = 200.0


_MISTAKES = {
    "as metres": np.array([1000.0, 1000.0, 1000.0]),
    "as centimetres": np.array([10.0, 10.0, 10.0]),
    "with y up": np.array([1.0, -1.0, 1.0]),
    "as metres with y up": np.array([1000.0, -1000.0, 1000.0]),
}


def misplaced_labels(path: pathlib.Path, joints_mm: dict[str, np.ndarray], center_mm: dict[str, np.ndarray]) -> list:
    """The frames whose labels are not of the hand that was found there.

    Args:
        path: of the labels, for messages.
        joints_mm: [J, 3] camera space by the frame's name, NaN where a joint has no label.
        center_mm: (3,) camera space, the hands found, by the frame's name.

    Returns:
        Names, in the order of `joints_mm`.

    Raises:
        InputError: where most labels are misplaced, and so in another unit or another frame of coordinates.
    """
    names = [name for name in joints_mm if name in center_mm]
    if not names:
        return []
    labels_mm = np.stack([np.nanmean(joints_mm[name], axis=0) for name in names]).astype(np.float64)
    centers_mm = np.stack([center_mm[name] for name in names])
    distance_mm = np.linalg.norm(labels_mm - centers_mm, axis=1)
    if np.median(distance_mm) > FAR_MM:
        medians = {
            what: float(np.median(np.linalg.norm(labels_mm * scale - centers_mm, axis=1)))
            for what, scale in _MISTAKES.items()
        }
        best = min(medians, key=medians.__getitem__)
        hint = f"; read {best} they fit" if medians[best] < FAR_MM else ""
        raise InputError(
            f"{path}: in the median the labels lie {np.median(distance_mm):.0f} mm from the hands that are found{hint}"
            "; write camera space in mm, x right, y down, z away from the camera, or u, v in pixels and d in mm"
        )
    return [name for name, far in zip(names, distance_mm > FAR_MM) if far]
