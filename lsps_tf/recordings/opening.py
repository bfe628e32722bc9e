"""Opens a camera's recording by what it is, and refuses what has lost its depth with the way out."""

from __future__ import annotations

import pathlib

from lsps_tf.errors import InputError
from lsps_tf.recordings.recording import Recording

ENDINGS = (".bag", ".db3", ".mcap", ".mkv")
_ROS2_METADATA = "metadata.yaml"
_VIDEO = "videos keep colors, and their compression destroys depth; record 16-bit PNG, a ROS bag, or the camera's own"
# What cannot be read, by its ending: why, and what to do.
_LOST = {
    ".avi": _VIDEO,
    ".mp4": _VIDEO,
    ".mov": _VIDEO,
    ".webm": _VIDEO,
    ".oni": "no maintained package reads OpenNI's recordings; convert it with OpenNI 2's NiViewer to raw frames, or "
    "play it as a ROS topic (openni2_launch) and record a bag",
    ".xef": "Kinect Studio's recordings are read by its own Windows SDK alone; export its depth frames from there as "
    "16-bit PNG",
    ".xrf": "Kinect Studio's recordings are read by its own Windows SDK alone; export its depth frames from there as "
    "16-bit PNG",
    ".svo": "the ZED's recordings are read by its own SDK alone; export depth with its tool ZED_SVO_Export as PNG",
    ".svo2": "the ZED's recordings are read by its own SDK alone; export depth with its tool ZED_SVO_Export as PNG",
}


def is_recording(path: pathlib.Path) -> bool:
    """Whether a path is a recording that `open_recording` opens, by its name; a folder where it is a ROS 2 bag."""
    if path.is_dir():
        return (path / _ROS2_METADATA).is_file()
    return path.suffix.lower() in ENDINGS


def bag_folder(path: pathlib.Path) -> pathlib.Path | None:
    """The folder of the ROS 2 bag that a file is a part of; None where it is on its own."""
    folder = path.parent
    is_part = path.suffix.lower() in (".db3", ".mcap") and (folder / _ROS2_METADATA).is_file()
    return folder if is_part else None


def open_recording(path: str | pathlib.Path, topic: str | None = None) -> Recording:
    """Opens a recording.

    Args:
        path: a ROS bag (`.bag`, `.db3`, `.mcap`, or the folder of a ROS 2 bag) or the Azure Kinect's `.mkv`.
        topic: which depth, where there are several.

    Raises:
        InputError: where it is missing, of no kind that is read, damaged, or has no depth.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{path}: there is no such file; give a recording")
    check_not_lost(path)
    if not is_recording(path):
        raise InputError(f"{path}: this is no recording that can be read; give one of {', '.join(ENDINGS)}")
    if path.is_file() and not path.stat().st_size:
        raise InputError(f"{path}: the file is empty; record or copy it again")
    if path.suffix.lower() == ".mkv":
        from lsps_tf.recordings.azure_kinect import AzureKinectRecording

        return AzureKinectRecording(path, topic)
    from lsps_tf.recordings.bags import BagRecording

    return BagRecording(path, topic)


def check_not_lost(path: pathlib.Path) -> None:
    """Raises InputError for a kind of file whose depth is lost, or that nothing here reads, with the way out."""
    reason = _LOST.get(path.suffix.lower())
    if reason is not None:
        raise InputError(f"{path}: {reason}")
