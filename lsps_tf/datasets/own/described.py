"""What recordings, and files beside frames, say of the camera, so that `camera.toml` has less to say, or nothing.

camera_intrinsic.json    Open3D: the intrinsics; a count is 1 mm unless depth_scale says otherwise
*camera_info*.yaml       ROS: the intrinsics and the distortion
*_metadata.csv           RealSense Viewer: the intrinsics
depth.txt                TUM RGB-D: 5,000 counts are a metre
a recording              see `lsps_tf.recordings.opening`: what it says of its depth
"""

from __future__ import annotations

import functools
import pathlib
from typing import Any

from lsps_tf.camera_files import read_camera_settings
from lsps_tf.datasets.own.camera_file import Description
from lsps_tf.errors import InputError
from lsps_tf.recordings.opening import open_recording
from lsps_tf.recordings.recording import DepthStream

DEPTH_FOLDER, TUM_LIST = "depth", "depth.txt"
_OPEN3D, _OPEN3D_UNIT_MM = ("camera_intrinsic.json", "intrinsic.json"), 1.0
_TUM_UNIT_MM = 0.2
_TUM_ADVICE = "the TUM RGB-D benchmark advises fx = fy = 525, cx = 319.5, cy = 239.5"


def describe_folder(folder: pathlib.Path) -> Description:
    """What the files beside the frames of a folder say; InputError where two say what the camera is."""
    depth = folder / DEPTH_FOLDER
    places = [folder, depth] if depth.is_dir() else [folder]
    found = [folder / name for name in _OPEN3D if (folder / name).is_file()]
    for pattern in ("*camera_info*.y*ml", "*[Dd]epth*_metadata.csv"):
        # The Viewer writes one per frame, and they are of one camera.
        found += [path for place in places for path in sorted(place.glob(pattern))[:1]]
    if len(found) > 1:
        raise InputError(f"{found[0]}: {found[1]} says what the camera is, too; remove one of them")
    is_tum = (folder / TUM_LIST).is_file() and depth.is_dir()
    if not found:
        return Description({"depth_unit_mm": _TUM_UNIT_MM}, _TUM_ADVICE) if is_tum else Description({})
    said = read_camera_settings(found[0])
    values = {name: getattr(said, name) for name in ("fx", "fy", "cx", "cy", "width", "height", "distortion")}
    unit_mm = said.depth_unit_mm or (_OPEN3D_UNIT_MM if found[0].name in _OPEN3D else _TUM_UNIT_MM if is_tum else None)
    if unit_mm is not None:
        values["depth_unit_mm"] = unit_mm
    return Description(values, f"{found[0].name} does not say it")


def describe_recordings(streams: dict[pathlib.Path, DepthStream]) -> Description:
    """What recordings say; InputError where they are not of one camera."""
    described = {path: _values(stream) for path, stream in streams.items()}
    first, values = next(iter(described.items()))
    other = next((path for path, said in described.items() if said != values), None)
    if other is not None:
        raise InputError(
            f"{first}: {other.name} is of another camera, or of the same one in another mode; train on one at a time"
        )
    stream = streams[first]
    return Description(values, stream.camera_missing or "the recording does not say it")


def stream_of(path: pathlib.Path, topic: str | None) -> DepthStream:
    """What a recording says of its depth; it is opened once for as long as it does not change."""
    status = path.stat()
    return _stream_of(path, topic, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _stream_of(path: pathlib.Path, topic: str | None, size: int, changed_ns: int) -> DepthStream:
    del size, changed_ns
    with open_recording(path, topic) as recording:
        return recording.stream


def _values(stream: DepthStream) -> dict[str, Any]:
    values: dict[str, Any] = {"width": stream.width, "height": stream.height}
    if stream.depth_unit_mm is not None:
        values["depth_unit_mm"] = stream.depth_unit_mm
    if stream.camera is not None:
        values |= {name: getattr(stream.camera, name) for name in ("fx", "fy", "cx", "cy")}
        values["distortion"] = stream.distortion
    return values
