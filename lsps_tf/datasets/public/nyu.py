"""The NYU hand pose dataset (Tompson et al., 2014) in its official folders.

`train` and `test` hold `depth_1_0000001.png` (real), `synthdepth_1_0000001.png` (rendered; both 8-bit RGB, depth in
mm = 256 G + B) and `joint_data.mat` with `joint_uvd` [3 cameras, frames, 36 joints, 3]. Only the first camera is used.
The labels are taken from `joint_uvd`: `joint_xyz` has y up, and this project's y is down.

Training frames become "real/train" and "synthetic/train" but for the last VALIDATION_FRACTION of the sequence, which
becomes "real/validation" and "synthetic/validation": neighbours in time look alike, so a random choice would leak, and
so would renderings of the poses held out. Test frames become "real/test".
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from lsps_tf import camera
from lsps_tf.datasets.public.dataset import PublicDataset, Renderings
from lsps_tf.datasets.public.folders import Layout
from lsps_tf.datasets.public.mat_files import MAX_BYTES, read_mat
from lsps_tf.datasets.public.recording import Recording, labels_to_mm, start_centers, tail_count, unusable_frames
from lsps_tf.depth_files import read_nyu_png
from lsps_tf.errors import InputError
from lsps_tf.recordings.recording import first_line
from lsps_tf.skeleton import NYU, Skeleton, joints_of

VERSION = "nyu-v1"
_MATLAB_73 = b"MATLAB 7.3 MAT-file"
CUBE_MM = 300.0
# The sensor's code for "nothing within 2 m"; frames have no 0.
NO_READING_MM = 2001
# The first test frames show the subject of the training set, the others a second one.
SUBJECT_CHANGE = 2440
LAYOUT = Layout(
    name="nyu",
    marks=("train", "test"),
    inside=("dataset",),
    description="train/ and test/, each with depth_1_0000001.png and so on, joint_data.mat and, in train/, "
    "synthdepth_1_0000001.png and so on",
    source="the page 'NYU Hand Pose Dataset' of J. Tompson (jonathantompson.github.io/NYU_Hand_Pose_Dataset.htm)",
)


def read_frame(path: pathlib.Path) -> np.ndarray:
    """A frame in mm, uint16 [480, 640], 0 = no reading; InputError where the file is damaged."""
    depth_mm = read_nyu_png(path)
    depth_mm[depth_mm >= NO_READING_MM] = 0
    return depth_mm


def read_labels(path: str | pathlib.Path) -> np.ndarray:
    """The first camera's `joint_uvd` of a `joint_data.mat`: float32 [N, 36, 3] in pixels, pixels and mm.

    Raises:
        InputError: where the file is missing, damaged, or has no such array of labels.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path}: the file is missing; copy it from the dataset's archive")
    try:
        with path.open("rb") as file:
            is_73 = file.read(len(_MATLAB_73)) == _MATLAB_73
        labels = _read_labels_73(path) if is_73 else read_mat(path, "joint_uvd")
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no MATLAB file, or a damaged one ({error}); copy it again") from error
    _check_shape(path, None if labels is None else labels.shape)
    # What is too large becomes infinity, which is no label.
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(labels[0], np.float32)


def recordings(
    folder: str | pathlib.Path,
    limit: int | None = None,
    centers_path: str | pathlib.Path | None = None,
    synthetic: bool = True,
) -> dict[str, Recording]:
    """The splits of a dataset's folder.

    Args:
        folder: with `train` and `test`.
        limit: only the first so many frames of each of both; the validation splits are the tail of these.
        centers_path: a file of centres of the test frames to start from (see `start_centers`).
        synthetic: the rendered training frames, too, not the real ones alone.

    Raises:
        InputError: where labels or folders are missing or damaged, or labels and frames do not match in number.
    """
    folder = pathlib.Path(folder)
    domains = {"synthetic": "synthdepth", "real": "depth"} if synthetic else {"real": "depth"}
    test = _Part(folder, "test", ["depth"], limit)
    subjects = np.where(np.arange(len(test.joints_uvd)) < SUBJECT_CHANGE, 0, 1)
    test_recording = test.recording("depth", range(len(test.joints_uvd))).replace(subjects=subjects)
    start_mm = start_centers(test_recording.joints_mm, centers_path, limit)
    return {**_train_splits(folder, domains, limit), "real/test": test_recording.replace(start_mm=start_mm)}


def synthetic_recordings(
    folder: str | pathlib.Path, joints: Sequence[int], limit: int | None = None
) -> dict[str, Recording]:
    """The synthetic splits of a dataset's folder with the joints of another skeleton, by their indices."""
    splits = _train_splits(pathlib.Path(folder), {"synthetic": "synthdepth"}, limit)
    return {split: frames.replace(joints_mm=frames.joints_mm[:, list(joints)]) for split, frames in splits.items()}


def _train_splits(folder: pathlib.Path, domains: dict[str, str], limit: int | None) -> dict[str, Recording]:
    train = _Part(folder, "train", list(domains.values()), limit)
    count = len(train.joints_uvd)
    first_held_out = count - tail_count(count)
    rows = {"train": range(first_held_out), "validation": range(first_held_out, count)}
    return {
        f"{domain}/{part}": train.recording(prefix, rows[part]) for domain, prefix in domains.items() for part in rows
    }


class _Part:
    """The first frames of `train` or `test`: their labels, and which of their files are there."""

    def __init__(self, folder: pathlib.Path, part: str, prefixes: list[str], limit: int | None):
        self._folder, self._part = folder, part
        if not (folder / part).is_dir():
            raise InputError(f"{folder / part}: the folder is missing; {folder} has to hold {LAYOUT.description}")
        joints_uvd = read_labels(folder / part / "joint_data.mat")
        self._there = {prefix: self._files(prefix, len(joints_uvd)) for prefix in prefixes}
        self.joints_uvd = joints_uvd[:limit]

    def recording(self, prefix: str, rows: range) -> Recording:
        """Some of the frames, as they come in the labels."""
        folder = self._folder / self._part
        chosen = slice(rows.start, rows.stop)
        joints_mm = labels_to_mm(self.joints_uvd[chosen], camera.NYU)
        return Recording(
            folder=self._folder,
            camera=camera.NYU,
            read=read_frame,
            path_of=lambda position: folder / f"{prefix}_1_{rows[position] + 1:07d}.png",
            numbers=np.arange(rows.start, rows.stop),
            joints_mm=joints_mm,
            start_mm=start_centers(joints_mm),
            subjects=np.zeros(len(rows), np.int32),
            unusable=unusable_frames(~self._there[prefix][chosen], self.joints_uvd[chosen]),
        )

    def _files(self, prefix: str, labelled: int) -> np.ndarray:
        """Which of the labelled frames have a file, bool; InputError where others have one, too."""
        folder = self._folder / self._part
        pattern = re.compile(rf"{prefix}_1_(\d{{7}})\.png")
        matches = (pattern.fullmatch(entry.name) for entry in os.scandir(folder))
        rows = np.array([int(match[1]) for match in matches if match], np.int64) - 1
        if rows.max(initial=0) >= labelled:
            raise InputError(
                f"{folder / 'joint_data.mat'}: it has labels of {labelled} frames, but there is a "
                f"{prefix}_1_{rows.max() + 1:07d}.png; the labels belong to other frames, copy them again"
            )
        there = np.zeros(labelled, bool)
        there[rows[rows >= 0]] = True
        return there


def _read_labels_73(path: pathlib.Path) -> np.ndarray | None:
    """From a MATLAB file of version 7.3, which is HDF5 with the axes reversed: [3, N, 36, 3].

    Raises:
        ValueError: where it is damaged; InputError where it is of other labels.
    """
    # Not at the top: the processes that read frames load this module, too, and have to stay small.
    import h5py

    try:
        with h5py.File(path, "r") as file:
            labels = file.get("joint_uvd")
            if not isinstance(labels, h5py.Dataset) or labels.dtype.kind not in "fiu":
                return None
            _check_shape(path, labels.shape[::-1])
            if labels.nbytes > MAX_BYTES:
                raise ValueError(f"{labels.nbytes} bytes are more than it has labels")
            return labels[...].transpose()
    except InputError:
        raise
    # HDF5 has an error of Python's own for each kind of damage.
    except Exception as error:
        raise ValueError(first_line(error)) from error


def _check_shape(path: pathlib.Path, shape: tuple[int, ...] | None) -> None:
    if shape is None:
        raise InputError(f"{path}: it has no 'joint_uvd' of numbers; give the file of the NYU dataset")
    if len(shape) != 4 or (shape[0], shape[2], shape[3]) != (3, NYU.num_joints, 3) or not shape[1]:
        raise InputError(
            f"{path}: 'joint_uvd' has the shape {shape} and not (3 cameras, frames, {NYU.num_joints} joints, 3); give "
            "the file of the NYU dataset"
        )


def renderings_for(skeleton: Skeleton) -> Renderings:
    """The rendered training frames with the joints of a skeleton."""
    joints = joints_of(NYU, skeleton)
    return Renderings(LAYOUT, "train", lambda folder, limit: synthetic_recordings(folder, joints, limit))


DATASET = PublicDataset(
    layout=LAYOUT,
    version=VERSION,
    skeleton=NYU,
    camera=camera.NYU,
    cube_mm=CUBE_MM,
    sensor="structured-light",
    recordings=lambda folder, chosen: recordings(folder, chosen.limit, chosen.centers_path, synthetic=False),
    test_labels=lambda folder: read_labels(folder / "test" / "joint_data.mat"),
    renderings=renderings_for(NYU),
)
