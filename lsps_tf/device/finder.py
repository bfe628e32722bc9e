"""The networks of `lsps_tf/hand_finding/networks.py` on LiteRT, from the file that ships with the program."""

from __future__ import annotations

import functools

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from lsps_tf.errors import InputError
from lsps_tf.hand_finding.constants import CROP_SIZE, FRAME_HEIGHT, FRAME_WIDTH, TFLITE
from lsps_tf.native_messages import native_messages_off

# Signatures of the file.
FRAME, CROP = "look_at_frame", "look_at_crop"


class FinderNetworks:
    """Both networks, for one frame or crop at a time; not to be shared between threads."""

    def __init__(self):
        """Opens the file that ships; InputError where it is missing or damaged."""
        if not TFLITE.is_file():
            raise InputError(f"{TFLITE}: the networks that find hands are missing; install the program again")
        try:
            with native_messages_off():
                self._interpreter = Interpreter(model_path=str(TFLITE), num_threads=1)
                self._frame, self._crop = (self._interpreter.get_signature_runner(name) for name in (FRAME, CROP))
                # LiteRT prepares itself, and speaks, on the first call only.
                self.look_at_frame(np.zeros((FRAME_HEIGHT, FRAME_WIDTH), np.float32), 120.0)
                self.look_at_crop(np.ones((CROP_SIZE, CROP_SIZE, 1), np.float32))
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"{TFLITE}: the networks that find hands are damaged; install the program again"
            ) from error

    def look_at_frame(self, depth_mm: np.ndarray, focal_px: float) -> tuple[np.ndarray, np.ndarray]:
        """Outputs [H / 4, W / 4, 5] and the reference depth of each cell, in mm, for a thinned frame [H, W]."""
        said = self._frame(depth_mm=depth_mm[None], focal_px=np.array([focal_px], np.float32))
        return said["output"][0], said["reference_mm"][0]

    def look_at_crop(self, image: np.ndarray) -> np.ndarray:
        """What is said [5] of a crop [S, S, 1] in [-1, 1]."""
        return self._crop(image=image[None])["output"][0]


@functools.lru_cache(maxsize=1)
def load_networks() -> FinderNetworks:
    """The networks, opened once."""
    return FinderNetworks()
