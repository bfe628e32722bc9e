"""Depth cameras that are plugged in, through their makers' Python packages, which are imported when they are asked for.

Tested against stand-ins of the packages' interfaces, not on cameras.
"""

from __future__ import annotations

import abc
import importlib
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from lsps_tf.camera import Camera
from lsps_tf.distortion import Distortion, named_distortion
from lsps_tf.errors import InputError

WIDTH, HEIGHT, FRAMES_PER_SECOND = 640, 480, 30
_PATIENCE_MS, _TRIES = 1000, 5


class LiveCamera(abc.ABC):
    """A camera that is running.

    Attributes:
        name: of the model, for people.
        camera: the lens' intrinsics.
        distortion: of the lens.
        depth_unit_mm: mm that one count stands for.
    """

    name: str
    camera: Camera
    distortion: Distortion
    depth_unit_mm: float

    def read(self) -> np.ndarray:
        """Waits for the next frame, uint16 [H, W] counts; InputError where none comes."""
        for _ in range(_TRIES):
            counts = self._next()
            if counts is not None:
                return counts
        raise InputError(
            f"{self.name}: no frame came for {_TRIES * _PATIENCE_MS / 1000:g} s; plug it in again, into a USB 3 port"
        )

    @abc.abstractmethod
    def close(self) -> None:
        """Stops the camera."""

    @abc.abstractmethod
    def _next(self) -> np.ndarray | None:
        """The next frame, None where none came in time."""


class RealSenseCamera(LiveCamera):
    """Intel RealSense, by pyrealsense2."""

    def __init__(self, package: types.ModuleType):
        """Starts the camera with the package pyrealsense2."""
        self._pipeline, config = package.pipeline(), package.config()
        config.enable_stream(package.stream.depth, WIDTH, HEIGHT, package.format.z16, FRAMES_PER_SECOND)
        profile = self._pipeline.start(config)
        device = profile.get_device()
        lens = profile.get_stream(package.stream.depth).as_video_stream_profile().get_intrinsics()
        self.name = device.get_info(package.camera_info.name)
        self.camera = Camera(lens.fx, lens.fy, lens.ppx, lens.ppy, lens.width, lens.height)
        # "distortion.inverse_brown_conrady", as the package prints what it names so.
        model = str(lens.model).rpartition(".")[2]
        self.distortion = named_distortion(model, tuple(lens.coeffs), self.name)
        # Kept as a float of 32 bits, whose tail is no part of the number.
        self.depth_unit_mm = float(f"{1000.0 * device.first_depth_sensor().get_depth_scale():.7g}")

    def close(self) -> None:
        self._pipeline.stop()

    def _next(self) -> np.ndarray | None:
        arrived, frames = self._pipeline.try_wait_for_frames(_PATIENCE_MS)
        frame = frames.get_depth_frame() if arrived else None
        # The frame's memory is the camera's again after this.
        return np.array(frame.get_data(), np.uint16) if frame else None


class OrbbecCamera(LiveCamera):
    """Orbbec Gemini, Femto and Astra, by pyorbbecsdk2."""

    name = "Orbbec"

    def __init__(self, package: types.ModuleType):
        """Starts the camera with the package pyorbbecsdk."""
        self._pipeline, config = package.Pipeline(), package.Config()
        profiles = self._pipeline.get_stream_profile_list(package.OBSensorType.DEPTH_SENSOR)
        profile = profiles.get_default_video_stream_profile()
        config.enable_stream(profile)
        self._pipeline.start(config)
        lens, bent = profile.get_intrinsic(), profile.get_distortion()
        self.camera = Camera(lens.fx, lens.fy, lens.cx, lens.cy, lens.width, lens.height)
        # "OBCameraDistortionModel.BROWN_CONRADY_K6", as the package prints what it names so.
        model = str(bent.model).rpartition(".")[2]
        coefficients = (bent.k1, bent.k2, bent.p1, bent.p2, bent.k3, bent.k4, bent.k5, bent.k6)
        if model.startswith("KANNALA"):
            coefficients = (bent.k1, bent.k2, bent.k3, bent.k4)
        self.distortion = named_distortion(model, coefficients, self.name)
        self._waiting = None
        # The unit is a frame's to say.
        self._waiting = self.read()

    def close(self) -> None:
        self._pipeline.stop()

    def _next(self) -> np.ndarray | None:
        if self._waiting is not None:
            counts, self._waiting = self._waiting, None
            return counts
        frames = self._pipeline.wait_for_frames(_PATIENCE_MS)
        frame = None if frames is None else frames.get_depth_frame()
        if frame is None:
            return None
        self.depth_unit_mm = float(f"{frame.get_depth_scale():.7g}")
        counts = np.frombuffer(frame.get_data(), np.uint16).reshape(frame.get_height(), frame.get_width())
        return counts.copy()


# By the name on the command line: the class, what is imported, and what pip installs.
CAMERAS: dict[str, tuple[Callable[[Any], LiveCamera], str, str]] = {
    "realsense": (RealSenseCamera, "pyrealsense2", "pyrealsense2"),
    "orbbec": (OrbbecCamera, "pyorbbecsdk", "pyorbbecsdk2"),
}


def open_camera(name: str | None) -> LiveCamera:
    """Starts a camera.

    Args:
        name: of `CAMERAS`; None takes the first whose package is installed and that is plugged in.

    Raises:
        InputError: where its package is not installed, or no camera starts.
    """
    reasons = []
    for kind in CAMERAS if name is None else [name]:
        build, module, wheel = CAMERAS[kind]
        try:
            package = importlib.import_module(module)
        except ImportError:
            reasons.append(f"{kind}: {wheel} is not installed (pip install {wheel})")
            continue
        try:
            return build(package)
        except InputError as error:
            reasons.append(str(error))
        except Exception as error:
            # Each package has errors of its own, and all of them mean that there is no such camera.
            reasons.append(f"{kind}: {(str(error) or type(error).__name__).splitlines()[0][:120]}")
    raise InputError(f"no camera could be started; {'; '.join(reasons)}")
