"""A live picture of what the finder sees: in a window where there is a screen, and always in a PNG, over and over."""

from __future__ import annotations

import concurrent.futures
import importlib
import os
import pathlib
import sys
import types

import numpy as np
from PIL import Image

from lsps_tf.draw import overlay
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path, check_writable
from lsps_tf.hand import Hand
from lsps_tf.skeleton import Skeleton

_LARGEST_SIDE = 640
_WINDOW = "LSPS"


class Preview:
    """Draws beside the recording, in a thread of its own, and leaves a picture out where the last one is not done."""

    def __init__(self, path: pathlib.Path, skeleton: Skeleton, window: types.ModuleType | None = None):
        """Draws into a PNG.

        Args:
            path: of the PNG.
            skeleton: of the hands to be drawn.
            window: the package cv2 where a window is to be shown, too (`find_window`).
        """
        self._path, self._skeleton, self._window = path, skeleton, window
        self._drawer = concurrent.futures.ThreadPoolExecutor(1)
        self._drawn: concurrent.futures.Future | None = None

    def show(self, depth_mm: np.ndarray, hand: Hand | None) -> None:
        """Shows the last picture that is done, and begins with this frame's.

        Args:
            depth_mm: the frame, [H, W] mm, 0 = no reading.
            hand: what was found in it, None where nothing was.
        """
        if self._drawn is not None:
            if not self._drawn.done():
                return
            # From here, since systems want their windows in the first thread.
            self._display(self._drawn.result())
        self._drawn = self._drawer.submit(self._draw, depth_mm, hand)

    def close(self) -> None:
        """Ends the last picture and takes the window away."""
        self._drawer.shutdown()
        if self._drawn is not None:
            self._drawn.result()
        if self._window is not None:
            self._window.destroyAllWindows()

    def _draw(self, depth_mm: np.ndarray, hand: Hand | None) -> Image.Image:
        # Half the pixels show as much, and are drawn in a fraction of the time.
        step = max(1, round(max(depth_mm.shape) / (_LARGEST_SIDE // 2)))
        joints_uv = np.full((self._skeleton.num_joints, 2), np.nan) if hand is None else hand.joints_uvd[:, :2] / step
        picture = overlay(depth_mm[::step, ::step], joints_uv, self._skeleton)
        with atomic_path(self._path) as partial:
            picture.save(partial, "PNG")
        return picture

    def _display(self, picture: Image.Image) -> None:
        if self._window is not None:
            self._window.imshow(_WINDOW, np.asarray(picture)[..., ::-1])
            self._window.waitKey(1)


def preview_path(folder: pathlib.Path, asked: pathlib.Path | None) -> pathlib.Path:
    """Where the picture goes: a hidden file of the recording, or what was asked for.

    Raises:
        InputError: where it is no PNG, would count as a frame of the recording, or cannot be written.
    """
    if asked is None:
        return folder / ".preview.png"
    if asked.suffix.lower() != ".png":
        raise InputError(f"--preview {asked}: the picture is a PNG; give a name that ends in .png")
    if folder.absolute() in asked.absolute().parents and not asked.name.startswith("."):
        raise InputError(f"--preview {asked}: there it would count as a frame; give a place outside of {folder}")
    if asked.is_dir():
        raise InputError(f"--preview {asked}: this is a folder; give a file")
    check_writable(asked.parent, "give another place for --preview")
    return asked


def find_window() -> types.ModuleType | None:
    """The package cv2 where it is installed, was built with windows, and there is a screen; None otherwise."""
    # Where there is none, OpenCV ends the program.
    on_linux = not (sys.platform.startswith("win") or sys.platform == "darwin")
    if on_linux and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return None
    try:
        package = importlib.import_module("cv2")
    except ImportError:
        return None
    gui = [line.split(":", 1)[1].strip() for line in package.getBuildInformation().splitlines() if "GUI:" in line]
    return None if gui[:1] in ([], ["NONE"]) else package
