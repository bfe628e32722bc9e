"""`camera.toml` of a recording of one's own (see `lsps_tf.datasets.own.files`), with what is known without it."""

from __future__ import annotations

import dataclasses
import difflib
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from lsps_tf.camera import Camera
from lsps_tf.datasets.own.folders import beside
from lsps_tf.distortion import NO_DISTORTION, Distortion
from lsps_tf.errors import InputError
from lsps_tf.files import read_text
from lsps_tf.mirror import AUTO, HAND_SETTINGS
from lsps_tf.rotation import ROTATIONS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CAMERA_FILE = "camera.toml"
# No number of a camera comes near; what is computed with it stays finite.
_LARGEST = 1e30
_EXAMPLE = "fx, fy, cx, cy in pixels and depth_unit_mm (docs/data.md has an example)"


@dataclasses.dataclass(frozen=True)
class CameraFile:
    """What `camera.toml` says.

    Attributes:
        fx, fy, cx, cy: intrinsics in pixels, pixel centres at integers.
        depth_unit_mm: mm that one count stands for.
        hand: "right", "left" or "auto".
        near_mm, far_mm: readings outside are not looked at.
        width, height: of the frames in pixels as they are recorded, 0 where not said.
        rotation_degrees: how far clockwise the frames are turned to stand upright, one of `rotation.ROTATIONS`.
        distortion: of the lens; never in `camera.toml`, but in what else says what the camera is.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    depth_unit_mm: float
    hand: str = AUTO
    near_mm: float = 0.0
    far_mm: float = 10_000.0
    width: int = 0
    height: int = 0
    rotation_degrees: int = 0
    distortion: Distortion = NO_DISTORTION

    def camera(self, width: int, height: int) -> Camera:
        """The camera of frames of this size, as they are recorded."""
        return Camera(self.fx, self.fy, self.cx, self.cy, width, height)


@dataclasses.dataclass(frozen=True)
class Description:
    """What is known of a camera without `camera.toml`.

    Attributes:
        values: by the names of `CameraFile`.
        lacking: why there is no more, "" where nobody knows.
    """

    values: dict[str, Any]
    lacking: str = ""


def read_camera_file(
    folder: str | pathlib.Path, described: Description | None = None, hand: str | None = None
) -> CameraFile:
    """Reads and checks `camera.toml` of a recording.

    Args:
        folder: the recording.
        described: what is known without it, and need not stand there.
        hand: in place of what it says.

    Raises:
        InputError: where it is missing, no TOML, lacks a key, has an unknown one (the nearest known one is named), or
            holds a value of the wrong type or without meaning.
    """
    path = beside(pathlib.Path(folder), CAMERA_FILE)
    known = {} if described is None else described.values
    if not path.is_file() and not known:
        raise InputError(f"{path}: there is no such file; write one with {_EXAMPLE}")
    given = _read_toml(path) if path.is_file() else {}
    if "fx" in given:
        # Who gives the intrinsics gives those of a pinhole.
        known = {name: value for name, value in known.items() if name != "distortion"}
    values = {**known, **given, **({} if hand is None else {"hand": hand})}
    fields = dataclasses.fields(CameraFile)
    missing = [field.name for field in fields if field.default is dataclasses.MISSING and field.name not in values]
    if missing:
        _raise_missing(pathlib.Path(folder), path, missing, described if known else None)
    return _checked(CameraFile(**values), path)


def _raise_missing(folder: pathlib.Path, path: pathlib.Path, missing: list[str], described: Description | None) -> None:
    names = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    if described is None:
        raise InputError(f"{path}: {names}; it needs {_EXAMPLE}")
    ways = f"write {path} with {', '.join(f'{name} = ...' for name in missing)}"
    raise InputError(f"{folder}: {names} ({described.lacking}); {ways}")


def _read_toml(path: pathlib.Path) -> Mapping[str, Any]:
    """The values of `camera.toml`, checked one by one."""
    try:
        values = tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: this is no TOML ({error}); write {_EXAMPLE}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check who may read it") from error
    known = [field.name for field in dataclasses.fields(CameraFile) if field.name != "distortion"]
    for name in values:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise InputError(f"{path}: unknown key '{name}'; the nearest one is '{nearest}'")
    return {name: _typed(path, name, value) for name, value in values.items()}


def _typed(path: pathlib.Path, name: str, value: Any) -> Any:
    if name == "hand":
        value = value.strip() if isinstance(value, str) else value
        if value not in HAND_SETTINGS:
            raise InputError(f"{path}: hand = {value!r}; choose one of {', '.join(HAND_SETTINGS)}, in quotes")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LARGEST:
        raise InputError(f"{path}: {name} = {value!r} is no number; write it without quotes")
    if name == "rotation_degrees" and value not in ROTATIONS:
        raise InputError(f"{path}: rotation_degrees = {value:g}; choose one of {', '.join(map(str, ROTATIONS))}")
    return float(value) if name not in ("width", "height", "rotation_degrees") else int(value)


def _checked(camera: CameraFile, path: pathlib.Path) -> CameraFile:
    for name in ("fx", "fy", "depth_unit_mm"):
        if getattr(camera, name) <= 0:
            what = "mm that one count stands for" if name == "depth_unit_mm" else "focal length in pixels"
            raise InputError(f"{path}: {name} = {getattr(camera, name):g} must be more than 0; it is the {what}")
    if not 0 <= camera.near_mm < camera.far_mm:
        raise InputError(
            f"{path}: near_mm = {camera.near_mm:g} and far_mm = {camera.far_mm:g} hold nothing between them; "
            "near_mm must be the smaller one"
        )
    if camera.width < 0 or camera.height < 0:
        raise InputError(f"{path}: width = {camera.width} and height = {camera.height} must be the frames' pixels")
    return camera
