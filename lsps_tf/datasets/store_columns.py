"""The columns of a store, and whether a file holds them whole."""

from __future__ import annotations

import pathlib

import h5py
import numpy as np

from lsps_tf import skeleton
from lsps_tf.errors import InputError

FORMAT = "lsps-store"
VERSION = 1
DEPTH_UNIT_MM = 0.1
MARGIN = 1.5
# No crop is larger; a number that says so is damaged.
_LARGEST_SIZE = 4096


def stored_size(image_size: int) -> int:
    """Pixels of a stored crop's side for a network's image size; the pixel pitch is the same."""
    return int(round(image_size * MARGIN / 2)) * 2


def column_shapes(num_joints: int, size: int = 0) -> dict[str, tuple[type, tuple[int, ...]]]:
    """A row's type and shape by the column's name."""
    return {
        "depth": (np.uint16, (size, size)),
        "joints_mm": (np.float32, (num_joints, 3)),
        "center_mm": (np.float32, (3,)),
        "cube_mm": (np.float32, ()),
        "extent_mm": (np.float32, ()),
        "subject": (np.int32, ()),
        "frame": (np.int64, ()),
    }


def check_file(file: h5py.File, path: pathlib.Path) -> None:
    """InputError where an HDF5 file is no store, of another version, or not whole."""
    attributes = file.attrs
    if attributes.get("format") != FORMAT:
        raise InputError(f"{path}: this HDF5 file is no LSPS store; give one that this program wrote")
    if attributes.get("version") != VERSION:
        raise InputError(
            f"{path}: the store has version {attributes.get('version')}, this program reads version {VERSION}; "
            "delete it and make it again"
        )
    for name in ("skeleton", "camera", "size", "source"):
        if name not in attributes:
            raise InputError(f"{path}: the store lacks its attribute '{name}'; delete it and make it again")
    for domain, parts in file.items():
        for part, group in parts.items():
            _check_columns(path, f"{domain}/{part}", group, attributes)


def _check_columns(path: pathlib.Path, split: str, group: h5py.Group, attributes: h5py.AttributeManager) -> None:
    """InputError where a split's columns are not those of its frames, or say that they hold more than they do.

    HDF5 gives zeros for what was never written, as many as a damaged number says.
    """
    size, joints = int(attributes["size"]), skeleton.SKELETONS[attributes["skeleton"]].num_joints
    shapes = column_shapes(joints, size)
    counts = {len(column) for column in group.values()}
    if len(counts) != 1 or set(group) != set(shapes) or not 0 < size <= _LARGEST_SIZE:
        raise InputError(f"{path}: the columns of split '{split}' do not match; delete the store and make it again")
    for name, (dtype, shape) in shapes.items():
        column = group[name]
        if column.shape[1:] != shape or column.dtype != dtype:
            raise InputError(
                f"{path}: '{split}/{name}' has the shape {column.shape}; delete the store and make it again"
            )
        if name != "depth" and column.id.get_storage_size() < column.nbytes:
            raise InputError(f"{path}: '{split}/{name}' is not whole; delete the store and make it again")


def first_line(error: BaseException) -> str:
    """What an error of HDF5 says, short."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
