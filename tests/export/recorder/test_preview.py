"""The live picture: what is drawn, into which file, and in a window of a stand-in for OpenCV."""

import sys
import types

import numpy as np
import pytest
from PIL import Image

from export.recorder.preview import Preview, find_window
from lsps_tf.hand import Hand
from lsps_tf.skeleton import SKELETONS

NYU = SKELETONS["nyu"]


class Window(types.ModuleType):
    """cv2, as far as windows go."""

    def __init__(self, gui="GTK3"):
        super().__init__("cv2")
        self.shown, self.closed, self._gui = [], False, gui

    def getBuildInformation(self):
        return f"\n  GUI:                           {self._gui}\n    VTK support: NO\n"

    def imshow(self, title, picture):
        self.shown.append(picture)

    def waitKey(self, milliseconds):
        return -1

    def destroyAllWindows(self):
        self.closed = True


def hand_at(u, v):
    uvd = np.full((NYU.num_joints, 3), 500.0)
    uvd[:, 0], uvd[:, 1] = u + np.arange(NYU.num_joints), v
    return Hand(uvd, uvd, uvd[0], NYU)


def test_the_hand_is_drawn_where_it_is(tmp_path):
    window, path = Window(), tmp_path / "p.png"
    depth_mm = np.full((480, 640), 800.0)
    preview = Preview(path, NYU, window)
    preview.show(depth_mm, hand_at(500.0, 100.0))
    preview.close()
    with Image.open(path) as picture:
        pixels = np.asarray(picture).astype(int)
    assert pixels.shape == (480, 640, 3)
    # Depth is grey, and the skeleton's fingers have colours.
    colored = np.ptp(pixels, axis=-1) > 60
    rows, columns = np.nonzero(colored)
    assert abs(rows.mean() - 100) < 12 and columns.min() > 490 and columns.max() < 550
    assert window.closed


def test_without_a_hand_the_frame_alone_is_shown_and_written_over(tmp_path):
    window, path = Window(), tmp_path / "p.png"
    preview = Preview(path, NYU, window)
    preview.show(np.full((480, 640), 800.0), hand_at(300.0, 200.0))
    preview._drawn.result()
    preview.show(np.full((480, 640), 800.0), None)
    preview.close()
    assert len(window.shown) == 1 and window.shown[0].shape == (480, 640, 3)
    with Image.open(path) as picture:
        assert (np.ptp(np.asarray(picture).astype(int), axis=-1) < 60).all()


@pytest.mark.parametrize(
    ("gui", "display", "platform", "found"),
    [
        ("GTK3", ":0", "linux", True),
        ("NONE", ":0", "linux", False),
        ("GTK3", None, "linux", False),
        ("COCOA", None, "darwin", True),
    ],
)
def test_a_window_needs_a_screen_and_a_build_with_windows(monkeypatch, gui, display, platform, found):
    monkeypatch.setitem(sys.modules, "cv2", Window(gui))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if display is not None:
        monkeypatch.setenv("DISPLAY", display)
    assert (find_window() is not None) == found
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert find_window() is None
