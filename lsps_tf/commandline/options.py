"""Options that commands share: how a frame came to be, and which joints are asked for."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib

import numpy as np

from lsps_tf.camera import CAMERAS, Camera
from lsps_tf.camera_files import ENDINGS, CameraSettings, read_camera_settings
from lsps_tf.commandline.values import parse_camera
from lsps_tf.depth_files import read_depth
from lsps_tf.distortion import undistort_depth
from lsps_tf.errors import InputError
from lsps_tf.mirror import AUTO, HAND_SETTINGS
from lsps_tf.recordings.depth import DepthRecording, frame_of_recording
from lsps_tf.recordings.opening import open_recording
from lsps_tf.rotation import ROTATIONS
from lsps_tf.skeleton import SKELETON_OF_COUNT

DEFAULT_CAMERA = "nyu"
FRAME_HELP = "16-bit PNG or TIFF, NYU-encoded PNG, .npy, .pgm, .exr; or a frame of a recording, such as hand.bag#12"


def add_frame_options(parser: argparse.ArgumentParser) -> None:
    """Adds what `predict.py` and `edge.py` ask of a frame: camera, unit, limit, hand, hands, turn, joints."""
    names = "|".join(CAMERAS)
    parser.add_argument(
        "--camera",
        metavar=f"{names}|fx,fy,cx,cy|FILE",
        help="what made the frame, in pixels; or a recording's camera.toml, Open3D's camera_intrinsic.json, a ROS "
        "camera_info.yaml (default: what a recording says; nyu for other frames)",
    )
    parser.add_argument("--topic", metavar="NAME", help="which depth of a recording, where it has several")
    parser.add_argument(
        "--depth-unit",
        type=float,
        metavar="MM",
        help="mm that one count stands for (default: what a recording says; 1)",
    )
    parser.add_argument("--far", type=float, metavar="MM", help="what is farther is no reading (default: no limit)")
    parser.add_argument(
        "--hand", choices=HAND_SETTINGS, help="which hand it shows (default: auto, which tells it from its look)"
    )
    parser.add_argument("--hands", type=int, default=1, metavar="N", help="the N nearest hands (default: 1)")
    parser.add_argument(
        "--rotate",
        type=int,
        choices=ROTATIONS,
        help="degrees clockwise that turn the frames upright, for a camera that hangs or lies on its side (default: 0)",
    )
    parser.add_argument(
        "--joints",
        type=int,
        choices=list(SKELETON_OF_COUNT),
        help="the 21 joints of MANO, MediaPipe and FreiHAND (default: all that the model has)",
    )


@dataclasses.dataclass(frozen=True)
class FrameOptions:
    """What was asked of frames. Options win over what the camera's file says.

    Attributes:
        camera: as it was given, None where it was not.
        file: what it says, None where it is a name or numbers.
        depth_unit_mm: mm that one count stands for, None for the default of the frames' format.
        near_mm, far_mm: readings outside are none.
        hand: "right", "left" or "auto".
        rotation_degrees: how far clockwise the frames are turned to stand upright.
        topic: which depth of a recording, None for its only one.
    """

    camera: str | None
    file: CameraSettings | None
    depth_unit_mm: float | None
    near_mm: float
    far_mm: float
    hand: str
    rotation_degrees: int
    topic: str | None = None

    @classmethod
    def of(cls, options: argparse.Namespace) -> FrameOptions:
        """Resolves what `add_frame_options` added; InputError where the camera's file or a number has no meaning."""
        is_file = options.camera is not None and options.camera.lower().endswith(ENDINGS)
        file = read_camera_settings(options.camera) if is_file else None
        if options.far is not None and not options.far > 0:
            raise InputError(f"--far {options.far:g}: give the mm beyond which readings are none, more than 0")

        def given(value, name, otherwise):
            if value is None and file is not None:
                value = getattr(file, name)
            return otherwise if value is None else value

        return cls(
            options.camera,
            file,
            given(options.depth_unit, "depth_unit_mm", None),
            0.0 if file is None else file.near_mm,
            given(options.far, "far_mm", float("inf")),
            given(options.hand, "hand", AUTO),
            given(options.rotate, "rotation_degrees", 0),
            options.topic,
        )

    def read(self, frame: pathlib.Path) -> tuple[np.ndarray, Camera]:
        """A frame of a file or of a recording ("hand.bag#12"), float32 [H, W] mm, and the camera that made it.

        Raises:
            InputError: where it cannot be read, or the camera or the unit is not said.
        """
        recorded = frame_of_recording(frame)
        if recorded is None:
            depth_mm = self.prepared(read_depth(frame, self.depth_unit_mm))
            return depth_mm, self.camera_of(frame, *depth_mm.shape)
        path, number = recorded
        with self.open(path) as recording:
            if number >= len(recording):
                raise InputError(f"{frame}: there is no such frame; the last one is {path}#{len(recording) - 1}")
            return self.prepared(recording[number].depth_mm), recording.camera

    def open(self, path: pathlib.Path) -> DepthRecording:
        """Opens a recording; InputError as of `read`."""
        recording = open_recording(path, self.topic)
        try:
            size = recording.stream.height, recording.stream.width
            camera = None if self.camera is None else self.camera_of(path, *size)
            return DepthRecording(recording, camera, self.depth_unit_mm)
        except InputError:
            recording.close()
            raise

    def camera_of(self, frame: str | pathlib.Path, height: int, width: int) -> Camera:
        """The camera that made a frame of this size; InputError, naming the frame, where it is another's."""
        if self.file is None:
            return parse_camera(self.camera or DEFAULT_CAMERA, frame, height, width)
        try:
            return self.file.camera(height, width)
        except InputError as error:
            raise InputError(f"{frame}: {error}") from None

    def prepared(self, depth_mm: np.ndarray) -> np.ndarray:
        """A frame as a pinhole camera has it, whose readings beyond the limits are none."""
        if self.file is not None and self.file.distortion:
            depth_mm = undistort_depth(depth_mm, self.file.camera(*depth_mm.shape), self.file.distortion)
        if self.near_mm <= 0.0 and self.far_mm == float("inf"):
            return depth_mm
        return np.where((depth_mm >= self.near_mm) & (depth_mm <= self.far_mm), depth_mm, depth_mm.dtype.type(0))
