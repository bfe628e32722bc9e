"""Files that say what a camera is: a recording's `camera.toml`, Open3D's intrinsics, ROS' camera_info. NumPy alone.

camera.toml              see `lsps_tf.datasets.own.files`; it says unit, hand, limits and turn, too
camera_intrinsic.json    Open3D: width, height, intrinsic_matrix (by columns), depth_scale (counts per metre)
camera_info.yaml         ROS: a calibration file (camera_matrix), or an echoed message (K or k)
*_metadata.csv           RealSense Viewer, of each frame that it exports
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from lsps_tf.camera import Camera
from lsps_tf.distortion import NO_DISTORTION, Distortion, named_distortion
from lsps_tf.errors import InputError
from lsps_tf.files import parse_json

ENDINGS = (".toml", ".json", ".yaml", ".yml", ".csv")
_KINDS = {".json": "Open3D's camera_intrinsic.json", ".csv": "RealSense Viewer's metadata"}
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?\.?(?:nan|inf)"


@dataclasses.dataclass(frozen=True)
class CameraSettings:
    """What a file says of a camera and its frames.

    Attributes:
        fx, fy, cx, cy: pixels, pixel centres at integers.
        width, height: of the frames in pixels, 0 where not said.
        depth_unit_mm: mm that one count stands for; None where not said.
        hand: which hand the frames show, "right", "left" or "auto"; None where not said.
        near_mm, far_mm: readings outside are none.
        rotation_degrees: how far clockwise the frames are turned to stand upright.
        distortion: of the lens.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int = 0
    height: int = 0
    depth_unit_mm: float | None = None
    hand: str | None = None
    near_mm: float = 0.0
    far_mm: float = float("inf")
    rotation_degrees: int = 0
    distortion: Distortion = NO_DISTORTION

    def camera(self, height: int, width: int) -> Camera:
        """The camera of frames of this size; InputError where the file says another, or its numbers have no meaning."""
        if (self.width or width, self.height or height) != (width, height):
            raise InputError(
                f"the frame is {width}x{height} pixels but the camera's file says {self.width}x{self.height}; give the "
                "file of the camera that made it"
            )
        try:
            return Camera(self.fx, self.fy, self.cx, self.cy, width, height)
        except ValueError as error:
            raise InputError(f"the camera's file has no meaning: {error}") from error


def read_camera_settings(path: str | pathlib.Path) -> CameraSettings:
    """Reads a camera's file, whose kind its ending tells.

    Raises:
        InputError: where it is missing, damaged, or of no kind that is known.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; give a camera's file, its name, or fx,fy,cx,cy")
    if path.suffix.lower() == ".toml":
        return _read_toml(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            return _read_open3d(parse_json(text))
        return _read_realsense(text, path) if path.suffix.lower() == ".csv" else _read_ros(text, path)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        if isinstance(error, InputError):
            raise
        kind = _KINDS.get(path.suffix.lower(), "a ROS camera_info")
        raise InputError(f"{path}: this is not {kind} ({type(error).__name__}: {error}); check the file") from error


def _read_toml(path: pathlib.Path) -> CameraSettings:
    from lsps_tf.datasets.own.camera_file import CAMERA_FILE, read_camera_file

    if path.name != CAMERA_FILE:
        raise InputError(f"{path}: a recording's camera is called {CAMERA_FILE}; rename the file")
    said = read_camera_file(path.parent)
    return CameraSettings(**{field.name: getattr(said, field.name) for field in dataclasses.fields(CameraSettings)})


def _read_open3d(values: dict[str, Any]) -> CameraSettings:
    inner = values.get("intrinsic", values)
    fx, _, _, _, fy, _, cx, cy, _ = (float(number) for number in inner["intrinsic_matrix"])
    scale = values.get("depth_scale")
    unit_mm = None if scale is None else 1000.0 / float(scale)
    return CameraSettings(fx, fy, cx, cy, int(inner.get("width", 0)), int(inner.get("height", 0)), unit_mm)


def _read_ros(text: str, path: pathlib.Path) -> CameraSettings:
    matrix = _numbers(text, "camera_matrix", "data") or _numbers(text, "[Kk]")
    if len(matrix) != 9:
        raise ValueError(f"it has no matrix K of nine numbers, but {len(matrix)}")
    fx, _, cx, _, fy, cy, _, _, _ = matrix
    coefficients = _numbers(text, "distortion_coefficients", "data") or _numbers(text, "[Dd]")
    model = re.search(r"^distortion_model:[ \t]*[\"']?([^\"'\n]*)", text, re.MULTILINE)
    distortion = named_distortion(model.group(1) if model else "plumb_bob", tuple(coefficients), path)
    width, height = (int((_numbers(text, f"(?:image_)?{name}") or [0])[0]) for name in ("width", "height"))
    return CameraSettings(fx, fy, cx, cy, width, height, distortion=distortion)


def _read_realsense(text: str, path: pathlib.Path) -> CameraSettings:
    values = dict(line.split(",")[:2] for line in text.splitlines() if "," in line)
    fx, fy, cx, cy = (float(values[name]) for name in ("Fx", "Fy", "PPx", "PPy"))
    width, height = (int(values[f"Resolution {axis}"]) for axis in "xy")
    # The Viewer's own spelling. It writes no coefficients: RealSense's depth is rectified, whatever the model's name.
    named_distortion(values.get("Distorsion", "none"), (), path)
    return CameraSettings(fx, fy, cx, cy, width, height)


def _numbers(text: str, key: str, inner: str | None = None) -> Sequence[float]:
    """The numbers that YAML has under a key at the start of a line: one, [a, b] over any lines, or a list of "- a"."""
    found = re.search(rf"^{key}:", text, re.MULTILINE)
    if found is None:
        return []
    rest = text[found.end() :]
    if inner is not None:
        found = re.match(rf"(?:\s*\n\s+\w+:[^\n]*)*?\s*\n\s+{inner}:", rest)
        if found is None:
            return []
        rest = rest[found.end() :]
    several = re.match(rf"\s*\[([^\]]*)\]|((?:\s*\n\s*-\s*(?:{_NUMBER}))+)|\s*({_NUMBER})\b", rest, re.IGNORECASE)
    if several is None:
        return []
    # The dash of a list is no minus: it has a blank behind it.
    return [float(number) for number in re.findall(_NUMBER, several.group(0).replace("- ", "  "), re.IGNORECASE)]
