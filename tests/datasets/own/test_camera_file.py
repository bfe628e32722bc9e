import dataclasses

import pytest

from lsps_tf.datasets.own.camera_file import CAMERA_FILE, CameraFile, Description, read_camera_file
from lsps_tf.distortion import NO_DISTORTION, Distortion
from lsps_tf.errors import InputError

CAMERA = 'fx = 476.0\nfy = 475.0\ncx = 313.5\ncy = 242.5\ndepth_unit_mm = 0.125\nhand = "left"\n'
LENS = Distortion("brown-conrady", (0.1, 0.0, 0.0, 0.0, 0.0))
KNOWN = {"fx": 500.0, "fy": 501.0, "cx": 320.0, "cy": 240.0, "depth_unit_mm": 1.0, "distortion": LENS}


def write(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CAMERA_FILE).write_text(text)
    return folder


def test_the_camera_s_file_is_read(tmp_path):
    camera = read_camera_file(write(tmp_path, CAMERA + "near_mm = 150\nwidth = 640\nheight = 480\n"))
    assert camera == CameraFile(476.0, 475.0, 313.5, 242.5, 0.125, "left", 150.0, 10_000.0, 640, 480)
    assert camera.camera(640, 480).intrinsics.tolist() == [476.0, 475.0, 313.5, 242.5]


@pytest.mark.parametrize(
    "text, message",
    [
        (CAMERA + "focal = 3\n", "unknown key 'focal'"),
        (CAMERA + "near = 3\n", "unknown key 'near'; the nearest one is 'near_mm'"),
        (CAMERA.replace("fx = 476.0\n", ""), "fx is missing"),
        ("", "fx, fy, cx, cy, depth_unit_mm are missing"),
        (CAMERA.replace("476.0", "0"), "fx = 0 must be more than 0"),
        (CAMERA.replace("475.0", "-1.5"), "fy = -1.5 must be more than 0"),
        (CAMERA.replace("0.125", "0"), "depth_unit_mm = 0 must be more than 0; it is the mm"),
        (CAMERA.replace("476.0", '"476"'), "fx = '476' is no number"),
        (CAMERA.replace("476.0", "nan"), "fx = nan is no number"),
        (CAMERA.replace('"left"', '"both"'), "hand = 'both'; choose one of right, left, auto"),
        (CAMERA + "near_mm = 900\nfar_mm = 300\n", "hold nothing between them"),
        (CAMERA + "fx 3", "this is no TOML"),
        (CAMERA + "rotation_degrees = 45", "rotation_degrees = 45; choose one of 0, 90, 180, 270"),
        (CAMERA + "rotation_degrees = true", "rotation_degrees = True is no number"),
    ],
)
def test_mistakes_in_the_camera_s_file_are_named(tmp_path, text, message):
    with pytest.raises(InputError, match="camera.toml") as raised:
        read_camera_file(write(tmp_path, text))
    assert message in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
        lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "  \t\n").encode(),
        lambda text: ("# für die Kamera\n" + text).encode("latin-1"),
    ],
)
def test_the_camera_s_file_is_read_as_editors_write_it(tmp_path, encode):
    """Read like the same file without the mark."""
    expected = read_camera_file(write(tmp_path, CAMERA))
    (tmp_path / CAMERA_FILE).write_bytes(encode(CAMERA))
    assert read_camera_file(tmp_path) == expected


def test_what_is_known_need_not_be_written(tmp_path):
    camera = read_camera_file(tmp_path, Description(KNOWN), "left")
    assert camera == CameraFile(500.0, 501.0, 320.0, 240.0, 1.0, "left", distortion=LENS)
    # What is written wins, and intrinsics that are written are a pinhole's.
    write(tmp_path, 'hand = "right"\ndepth_unit_mm = 0.5\n')
    read = read_camera_file(tmp_path, Description(KNOWN))
    assert read == dataclasses.replace(camera, hand="right", depth_unit_mm=0.5)
    assert read_camera_file(write(tmp_path, CAMERA), Description(KNOWN)).distortion == NO_DISTORTION
    assert read_camera_file(tmp_path, Description(KNOWN), "auto").hand == "auto"


def test_what_is_missing_is_asked_for_by_name(tmp_path):
    assert read_camera_file(tmp_path, Description(KNOWN)).hand == "auto"
    with pytest.raises(InputError, match=r"fx, fy, cx, cy are missing \(no camera_info\); write .* fx = \.\.\., fy"):
        read_camera_file(tmp_path, Description({"depth_unit_mm": 1.0}, "no camera_info"), "right")


def test_the_text_of_a_recording_that_is_a_file_lies_beside_it(tmp_path):
    (tmp_path / "a.bag").write_bytes(b"")
    (tmp_path / "a.camera.toml").write_text(CAMERA)
    assert read_camera_file(tmp_path / "a.bag").hand == "left"
    (tmp_path / "a.camera.toml").unlink()
    with pytest.raises(InputError, match=r"a\.camera\.toml"):
        read_camera_file(tmp_path / "a.bag", Description({"fx": 1.0}, "x"), "left")
