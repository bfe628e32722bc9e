"""Files of poses and of codes: what `render` and `walk` read, and what `export/predict.py` and `generate.py` write.

Poses are joints in camera space, mm: the array `joints_mm` [N, J, 3] of an .npz, a .npy of that shape or [J, 3], or the
JSON of `export/predict.py`. Codes are the array `codes` [N, Z] of an .npz, or a .npy of that shape.
"""

from __future__ import annotations

import pathlib
import zipfile
from typing import Any

import numpy as np

from lsps_tf.errors import InputError
from lsps_tf.files import parse_json, read_text
from lsps_tf.skeleton import Skeleton

# Of an adult's hand the farthest joint lies about 110 mm from the mean of all, and of a child's 60.
_FARTHEST_MM, _NEAREST_MM = 200.0, 30.0


def read_poses(path: str | pathlib.Path, skeleton: Skeleton) -> np.ndarray:
    """Reads poses of right hands.

    Args:
        path: .npz, .npy or .json.
        skeleton: whose joints are needed.

    Returns:
        float32 [N, J, 3], camera space in mm.

    Raises:
        InputError: where the file is missing or damaged, has other joints, or what it has is no hand in mm.
    """
    path = pathlib.Path(path)
    joints_mm = _json_poses(path) if path.suffix.lower() == ".json" else _array(path, "joints_mm")
    if joints_mm.ndim == 2:
        joints_mm = joints_mm[None]
    if joints_mm.ndim != 3 or joints_mm.shape[-1] != 3 or not len(joints_mm):
        raise InputError(f"{path}: poses are joints [N, J, 3], not of the shape {joints_mm.shape}")
    if joints_mm.shape[1] != skeleton.num_joints:
        raise InputError(
            f"{path}: its poses have {joints_mm.shape[1]} joints, the run has {skeleton.name}'s {skeleton.num_joints}; "
            "give poses of these joints, or a run of the others"
        )
    _check_size(path, joints_mm)
    return joints_mm.astype(np.float32)


def read_codes(path: str | pathlib.Path, size: int) -> np.ndarray:
    """Reads pose codes, float32 [N, Z]; InputError where the file is missing, damaged, or of codes of another size."""
    path = pathlib.Path(path)
    codes = _array(path, "codes")
    if codes.ndim == 1:
        codes = codes[None]
    if codes.ndim != 2 or not len(codes):
        raise InputError(f"{path}: codes are numbers [N, {size}], not of the shape {codes.shape}")
    if codes.shape[1] != size:
        raise InputError(
            f"{path}: its codes have {codes.shape[1]} numbers, the run's have {size}; "
            "codes belong to the run that made them"
        )
    if not np.isfinite(codes).all():
        raise InputError(f"{path}: row {int(np.argwhere(~np.isfinite(codes))[0, 0])} of the codes holds NaN")
    return codes.astype(np.float32)


def _array(path: pathlib.Path, name: str) -> np.ndarray:
    """The array of a .npy, or the one of that name in a .npz, as float64."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; give an .npz with the array '{name}', or a .npy")
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.lib.npyio.NpzFile):
            with content:
                if name not in content.files:
                    raise InputError(f"{path}: it has no array '{name}', but {', '.join(content.files) or 'none'}")
                content = content[name]
        return np.asarray(content, np.float64)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: no array of numbers ({str(error).splitlines()[0]}); give an .npz or a .npy"
        ) from error


def _json_poses(path: pathlib.Path) -> np.ndarray:
    """[N, J, 3] of what `export/predict.py --json` wrote; left hands are mirrored, since networks know right ones."""
    try:
        values = parse_json(read_text(path))
        hands: list[dict[str, Any]] = values.get("hands", [values])
        poses = [_right_hand(np.asarray(hand["joints_mm"], np.float64), hand.get("side", "right")) for hand in hands]
        return np.stack(poses)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; export/predict.py --json writes one") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"{path}: no poses as export/predict.py --json writes them ({error or 'it has no hand'})"
        ) from error


def _right_hand(joints_mm: np.ndarray, side: str) -> np.ndarray:
    if side != "left":
        return joints_mm
    middle = joints_mm.mean(axis=0)
    return (joints_mm - middle) * [-1.0, 1.0, 1.0] + middle


def _check_size(path: pathlib.Path, joints_mm: np.ndarray) -> None:
    if not np.isfinite(joints_mm).all():
        number = int(np.argwhere(~np.isfinite(joints_mm))[0, 0])
        raise InputError(f"{path}: pose {number} has joints that are no numbers; all joints are needed")
    reach_mm = np.linalg.norm(joints_mm - joints_mm.mean(axis=1, keepdims=True), axis=-1).max(axis=1)
    for number in np.flatnonzero((reach_mm > _FARTHEST_MM) | (reach_mm < _NEAREST_MM))[:1]:
        raise InputError(
            f"{path}: the farthest joint of pose {number} lies {reach_mm[number]:.3g} mm from the mean of its joints, "
            "which is no hand; joints are in mm, in camera space"
        )
