"""Frames as other programs export them, written by Pillow, OpenEXR and by hand."""

import numpy as np
import pytest
from PIL import Image

from lsps_tf.depth_files import read_counts, read_depth
from lsps_tf.errors import InputError
from lsps_tf.recordings.pictures import is_picture
from tests.recordings.writers import depth_counts

METADATA = """Frame Info:
Type,Depth
Format,Z16
Frame Number,7
Timestamp (ms),1700000000000.12
Resolution x,32
Resolution y,24
Bytes per pixel,2

Intrinsic:,
Fx,40.000000
Fy,41.000000
PPx,15.500000
PPy,11.250000
Distorsion,Brown Conrady
"""


def test_pgm_by_pillow(tmp_path):
    Image.fromarray(depth_counts(3)).save(tmp_path / "a.pgm")
    assert (tmp_path / "a.pgm").read_bytes().startswith(b"P5")
    np.testing.assert_array_equal(read_counts(tmp_path / "a.pgm"), depth_counts(3))


def test_plain_pgm_with_comments(tmp_path):
    (tmp_path / "a.pgm").write_text("P2\n# a comment\n3 2\n#another\n1000\n1 2 3\n400 500\n1000\n")
    np.testing.assert_array_equal(read_counts(tmp_path / "a.pgm"), [[1, 2, 3], [400, 500, 1000]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"P5 4 4 255\n" + bytes(16), "8 bits"),
        (b"P5 4 4 65535\n" + bytes(31), "cut short"),
        (b"P2 2 1 1000\n1 x\n", "cut short or damaged"),
        (b"P5 four", "header is damaged"),
        (b"P5 900000 900000 65535\n", "header says"),
    ],
)
def test_a_damaged_pgm(tmp_path, content, message):
    (tmp_path / "a.pgm").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_counts(tmp_path / "a.pgm")


@pytest.mark.parametrize("channel", ["Z", "Y", "depth.Z"])
def test_exr_in_metres_with_nan(tmp_path, channel):
    exr = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed (pip install lsps-tf[recordings])")
    metres = np.linspace(0.4, 0.9, 12, dtype=np.float32).reshape(3, 4)
    metres[1, 2] = np.nan
    exr.File({"type": exr.scanlineimage}, {channel: metres}).write(str(tmp_path / "a.exr"))
    np.testing.assert_array_equal(read_counts(tmp_path / "a.exr"), metres)
    expected = np.where(np.isnan(metres), 0.0, metres * 1000.0)
    np.testing.assert_allclose(read_depth(tmp_path / "a.exr", 1000.0), expected, rtol=1e-6)


def test_an_exr_of_colors_or_cut_short(tmp_path):
    exr = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed (pip install lsps-tf[recordings])")
    pixels = {name: np.ones((40, 40), np.float32) for name in "RGB"}
    exr.File({"type": exr.scanlineimage, "compression": exr.ZIP_COMPRESSION}, pixels).write(str(tmp_path / "a.exr"))
    with pytest.raises(InputError, match="B, G, R, colors"):
        read_counts(tmp_path / "a.exr")
    (tmp_path / "b.exr").write_bytes((tmp_path / "a.exr").read_bytes()[:90])
    with pytest.raises(InputError, match="damaged"):
        read_counts(tmp_path / "b.exr")


def test_realsense_csv(tmp_path):
    rows = [",".join(f"{value:.9f}" for value in row) for row in depth_counts(0) / 1000.0]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    assert is_picture(tmp_path / "a.csv")
    np.testing.assert_allclose(read_counts(tmp_path / "a.csv"), depth_counts(0) / 1000.0, rtol=1e-6)
    (tmp_path / "b.csv").write_text("\n".join(",".join(map(str, row)) + "," for row in depth_counts(0)))
    np.testing.assert_array_equal(read_counts(tmp_path / "b.csv"), depth_counts(0))
    assert read_counts(tmp_path / "b.csv").dtype == np.uint16
    (tmp_path / "c.csv").write_text((tmp_path / "b.csv").read_text() + "\n1,2\n")
    with pytest.raises(InputError, match="no table of numbers"):
        read_counts(tmp_path / "c.csv")


def test_tables_that_are_no_frames(tmp_path):
    for name, text in (("imu.csv", "1,2,3\n"), ("joints.csv", "frame,a_x\n"), ("a_metadata.csv", METADATA)):
        (tmp_path / name).write_text(text)
        assert not is_picture(tmp_path / name)


def test_realsense_raw(tmp_path):
    (tmp_path / "a_Depth.raw").write_bytes(depth_counts(2).astype("<u2").tobytes())
    with pytest.raises(InputError, match=r"keep RealSense Viewer's a_Depth_metadata\.csv"):
        read_counts(tmp_path / "a_Depth.raw")
    (tmp_path / "a_Depth_metadata.csv").write_text(METADATA)
    np.testing.assert_array_equal(read_counts(tmp_path / "a_Depth.raw"), depth_counts(2))
    (tmp_path / "a_Depth.raw").write_bytes(bytes(100))
    with pytest.raises(InputError, match="holds 50 counts"):
        read_counts(tmp_path / "a_Depth.raw")
