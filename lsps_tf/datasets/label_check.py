"""Whether the labels of a recording are where its hands are: in mm, y down, and of the hand that was found."""

from __future__ import annotations

import pathlib

import numpy as np

from lsps_tf.errors import InputError

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
