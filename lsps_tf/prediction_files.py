"""The text layout in which results on NYU and ICVL are published: a row per frame, `u v d` per evaluated joint.

Pixels, pixels and mm, separated by spaces, the joints in the order of `Skeleton.evaluated`, the frames in that of the
test set.
"""

from __future__ import annotations

import pathlib
import warnings

import numpy as np

from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path, open_text
from lsps_tf.skeleton import Skeleton


def read_joints_uvd(path: str | pathlib.Path, skeleton: Skeleton) -> np.ndarray:
    """Reads a file of predictions or labels.

    Args:
        path: the file; it may hold all joints of the skeleton, too, of which the evaluated ones are taken.
        skeleton: of the dataset.

    Returns:
        float64 [N, E, 3]: u, v in pixels and d in mm of the E evaluated joints.

    Raises:
        InputError: where the file is missing or empty, or a row has other numbers than these joints', or NaN.
    """
    path = pathlib.Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's word on empty files; ours follows.
            with open_text(path) as file:
                values = np.loadtxt(file, ndmin=2)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; give a file of predictions, `u v d` per joint") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no table of numbers, `u v d` per joint and a row per frame ({error})") from error
    joints, every = len(skeleton.evaluated), skeleton.num_joints
    if not len(values) or values.shape[1] not in (3 * joints, 3 * every):
        raise InputError(
            f"{path}: {len(values)} rows of {values.shape[1]} numbers; the {skeleton.name} dataset has {joints} "
            f"evaluated joints, so {3 * joints} numbers a row are needed; check --dataset"
        )
    unplaced = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(unplaced):
        raise InputError(f"{path}: {len(unplaced)} rows hold NaN or infinity, the first is row {unplaced[0] + 1}")
    joints_uvd = values.reshape(len(values), -1, 3)
    return joints_uvd if joints_uvd.shape[1] == joints else joints_uvd[:, list(skeleton.evaluated)]


def write_joints_uvd(path: str | pathlib.Path, joints_uvd: np.ndarray) -> None:
    """Writes [N, E, 3] in this layout; InputError where the file cannot be written."""
    with atomic_path(path) as partial:
        np.savetxt(partial, joints_uvd.reshape(len(joints_uvd), -1), fmt="%.3f")
