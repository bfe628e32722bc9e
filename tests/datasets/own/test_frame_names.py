"""Which frames labels mean that were written on other systems."""

import unicodedata

import pytest

from lsps_tf.datasets.own.frame_names import FrameNames

NAMES = ["a.png", "take1/0.png", "take1/10.png", "Take2/0.PNG", "clip.npy#0", "clip.npy#1", "hände/0.png"]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("take1/0.png", "take1/0.png"),
        ("take1\\0.png", "take1/0.png"),
        (".\\take1\\0.png", "take1/0.png"),
        ("./take1//0.png", "take1/0.png"),
        ("TAKE1/0.PNG", "take1/0.png"),
        ("take2/0.png", "Take2/0.PNG"),
        ("my/take1/10.png", "take1/10.png"),
        ("/mnt/disk/my/take1/10.png", "take1/10.png"),
        ("D:\\my\\take1\\10.png", "take1/10.png"),
        ("C:/my/clip.npy#1", "clip.npy#1"),
        ("\\\\server\\share\\my\\a.png", "a.png"),
        (unicodedata.normalize("NFD", "hände/0.png"), "hände/0.png"),
        ("take3/0.png", None),
        ("other/a.png", None),
        ("0.png", None),
        ("", None),
        ("/", None),
    ],
)
def test_names_are_found_as_other_systems_write_them(tmp_path, said, name):
    assert FrameNames(tmp_path / "my", NAMES).find(said) == name


def test_what_two_frames_share_names_none(tmp_path):
    names = FrameNames(tmp_path, ["A.png", "a.png", "b\\c.png"])
    assert names.find("a.PNG") is None and names.find("a.png") == "a.png" and names.find("A.png") == "A.png"
    assert names.find("b\\c.png") == "b\\c.png"
