"""Cameras' files: good ones to damage, and how they are read."""

from __future__ import annotations

import pathlib

import numpy as np

from benchmarks.fuzzing.reader import Reader

# As RealSense Viewer writes it beside raw depth.
VIEWER = b"""Frame Info:
Type,Depth
Resolution x,32
Resolution y,24
Fx,40.0
Fy,41.0
PPx,15.5
PPy,11.25
Distorsion,Brown Conrady
"""
_TOML = b"""fx = 475.0
fy = 475.0
cx = 320.0
cy = 240
depth_unit_mm = 0.125
hand = "left"
near_mm = 100
far_mm = 900
width = 640
height = 480
rotation_degrees = 90
"""
_OPEN3D = b"""{"width": 640, "height": 480, "depth_scale": 1000.0,
 "intrinsic_matrix": [475.0, 0, 0, 0, 475.0, 0, 320.0, 240.0, 1]}
"""
_YAML = b"""image_width: 640
image_height: 480
camera_name: depth
camera_matrix:
  rows: 3
  cols: 3
  data: [475.0, 0.0, 320.0, 0.0, 475.0, 240.0, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [0.1, -0.2, 0.001, 0.002, 0.0]
"""
_ECHO = b"""header:
  seq: 1
height: 480
width: 640
distortion_model: "rational_polynomial"
D: [0.1, 0.2, 0.0, 0.0, 0.1, 0.2, 0.1, 0.0]
K: [475.0, 0.0, 320.0, 0.0, 475.0, 240.0, 0.0, 0.0, 1.0]
"""


def _read_camera(path: pathlib.Path) -> None:
    from lsps_tf.camera_files import read_camera_settings
    from lsps_tf.errors import InputError

    said = read_camera_settings(path)
    try:
        camera = said.camera(said.height or 480, said.width or 640)
    except InputError as error:
        # Its message is completed by whoever knows the file's name.
        raise InputError(f"{path}: {error}") from error
    assert camera.fx > 0 and camera.fy > 0 and np.isfinite(camera.intrinsics).all()


def _read_camera_toml(path: pathlib.Path) -> None:
    from lsps_tf.datasets.own.camera_file import read_camera_file

    said = read_camera_file(path.parent)
    assert said.fx > 0 and 0 <= said.near_mm < said.far_mm and np.isfinite(said.depth_unit_mm)


READERS: dict[str, Reader] = {
    "camera-toml": Reader("camera.toml", lambda _: [_TOML], _read_camera_toml, is_text=True),
    "camera-json": Reader("a.json", lambda _: [_OPEN3D], _read_camera, is_text=True),
    "camera-yaml": Reader("a.yaml", lambda _: [_YAML, _ECHO], _read_camera, is_text=True),
    "camera-csv": Reader("a.csv", lambda _: [VIEWER], _read_camera, is_text=True),
}
