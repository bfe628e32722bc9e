"""Files of cameras as other programs write them; the numbers come from the text of each."""

import json

import pytest

from lsps_tf.camera import Camera
from lsps_tf.camera_files import read_camera_settings
from lsps_tf.errors import InputError

TOML = """
fx = 475.5
fy = 476.5
cx = 314.0
cy = 245.0
depth_unit_mm = 0.125
hand = "left"
near_mm = 150
far_mm = 900
"""
# camera_calibration_parsers of ROS and ROS 2.
CALIBRATION = """
image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [438.783367, 0.000000, 305.593336, 0.000000, 437.302876, 243.738352,
         0.000000, 0.000000, 1.000000]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.361976, 0.110510, 0.001014, 0.000505, 0.000000]
"""
# rostopic echo /camera/depth/camera_info
MESSAGE_1 = """
header:
  seq: 12
height: 480
width: 640
distortion_model: "plumb_bob"
D: [0.0, 0.0, 0.0, 0.0, 0.0]
K: [385.5, 0.0, 321.25, 0.0, 386.5, 238.75, 0.0, 0.0, 1.0]
R: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
"""
# ros2 topic echo
MESSAGE_2 = """
height: 480
width: 640
d:
- 0.0
- 0.0
k:
- 385.5
- 0.0
- 321.25
- 0.0
- 3.865e+2
- 238.75
- 0.0
- 0.0
- 1.0
r:
- -1.0
"""


def write(path, text, mark=False):
    path.write_text(text, encoding="utf-8-sig" if mark else "utf-8")
    return path


def test_a_recording_s_file_says_unit_hand_and_limits(tmp_path):
    settings = read_camera_settings(write(tmp_path / "camera.toml", TOML))
    assert settings.camera(480, 640) == Camera(475.5, 476.5, 314.0, 245.0, 640, 480)
    assert (settings.depth_unit_mm, settings.hand) == (0.125, "left")
    assert (settings.near_mm, settings.far_mm) == (150.0, 900.0)


def test_open3d_writes_the_matrix_by_columns(tmp_path):
    inner = {"width": 640, "height": 480, "intrinsic_matrix": [585.0, 0, 0, 0, 586.0, 0, 319.5, 239.5, 1]}
    for values in (inner, {"class_name": "PinholeCameraParameters", "intrinsic": inner}):
        settings = read_camera_settings(write(tmp_path / "camera_intrinsic.json", json.dumps(values), mark=True))
        assert settings.camera(480, 640) == Camera(585.0, 586.0, 319.5, 239.5, 640, 480)
        assert settings.depth_unit_mm is None and settings.hand is None
    recorder = {**inner, "depth_scale": 4000.0}
    assert read_camera_settings(write(tmp_path / "a.json", json.dumps(recorder))).depth_unit_mm == 0.25


@pytest.mark.parametrize(
    ("text", "expected", "distorted"),
    [
        (CALIBRATION, (438.783367, 437.302876, 305.593336, 243.738352), True),
        (MESSAGE_1, (385.5, 386.5, 321.25, 238.75), False),
        (MESSAGE_2, (385.5, 386.5, 321.25, 238.75), False),
    ],
)
def test_ros_writes_it_by_rows(tmp_path, text, expected, distorted):
    settings = read_camera_settings(write(tmp_path / "camera_info.yaml", text))
    assert settings.camera(480, 640) == Camera(*expected, 640, 480)
    assert bool(settings.distortion) == distorted
    with pytest.raises(InputError, match="the frame is 320x240 pixels but the camera's file says 640x480"):
        settings.camera(240, 320)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "this is not Open3D's camera_intrinsic.json"),
        ("a.json", "[]", "this is not Open3D's camera_intrinsic.json"),
        ("a.json", '{"intrinsic_matrix": [1, 2]}', "this is not Open3D's camera_intrinsic.json"),
        ("a.yaml", "hello: 1", "this is not a ROS camera_info"),
        ("a.yaml", "K: [1, 2, 3]", "has no matrix K of nine numbers, but 3"),
        ("mine.toml", TOML, "a recording's camera is called camera.toml"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path, name, text, message):
    with pytest.raises(InputError) as caught:
        read_camera_settings(write(tmp_path / name, text))
    assert message in str(caught.value) and name in str(caught.value) and "\n" not in str(caught.value)


def test_numbers_without_meaning_are_named(tmp_path):
    settings = read_camera_settings(write(tmp_path / "a.yaml", MESSAGE_1.replace("385.5", "0.0")))
    with pytest.raises(InputError, match="has no meaning"):
        settings.camera(480, 640)
    with pytest.raises(InputError, match="there is no such file"):
        read_camera_settings(tmp_path / "none.yaml")
