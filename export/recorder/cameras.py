"""Depth cameras that are plugged in, through their makers' Python packages, which are imported when they are asked for.

Tested against stand-ins of the packages' interfaces, not on cameras.
"""

from __future__ import annotations

import abc
import dataclasses
import importlib
import time
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from lsps_tf.camera import Camera
from lsps_tf.distortion import NO_DISTORTION, Distortion, named_distortion
from lsps_tf.errors import InputError

WIDTH, HEIGHT, FRAMES_PER_SECOND = 640, 480, 30
_PATIENCE_MS, _TRIES, _POLL_S = 1000, 5, 0.005
_LUXONIS_SIZE = (640, 400)
# Video for Linux' names of 16-bit depth and of 16-bit grey.
_DEPTH_PIXELS = ("Z16 ", "Y16 ")


@dataclasses.dataclass(frozen=True)
class Said:
    """What the user says of a camera that says nothing of itself.

    Attributes:
        number: of the camera, counted by the system from 0.
        intrinsics: fx, fy, cx, cy in pixels; None where not said.
        depth_unit_mm: mm that one count stands for; None where not said.
    """

    number: int = 0
    intrinsics: tuple[float, ...] | None = None
    depth_unit_mm: float | None = None


NOTHING_SAID = Said()


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


class LuxonisCamera(LiveCamera):
    """Luxonis OAK-D, by version 3 of depthai. Its depth is in the pixels of the rectified right camera, in mm."""

    depth_unit_mm, distortion = 1.0, NO_DISTORTION

    def __init__(self, package: types.ModuleType):
        """Starts the camera with the package depthai."""
        left, right = package.CameraBoardSocket.CAM_B, package.CameraBoardSocket.CAM_C
        self._pipeline = package.Pipeline()
        stereo = self._pipeline.create(package.node.StereoDepth)
        for socket, side in ((left, stereo.left), (right, stereo.right)):
            eye = self._pipeline.create(package.node.Camera).build(socket)
            eye.requestOutput(_LUXONIS_SIZE, fps=FRAMES_PER_SECOND).link(side)
        stereo.setRectification(True)
        stereo.setLeftRightCheck(True)
        # Fractions of a pixel, without which a hand's depth comes in steps of centimetres.
        stereo.setSubpixel(True)
        stereo.setDepthAlign(package.StereoDepthConfig.AlgorithmControl.DepthAlign.RECTIFIED_RIGHT)
        self._queue = stereo.depth.createOutputQueue(maxSize=4, blocking=False)
        device = self._pipeline.getDefaultDevice()
        self.name = device.getDeviceName()
        matrix = device.readCalibration().getCameraIntrinsics(right, *_LUXONIS_SIZE)
        self.camera = Camera(matrix[0][0], matrix[1][1], matrix[0][2], matrix[1][2], *_LUXONIS_SIZE)
        self._pipeline.start()

    def close(self) -> None:
        self._pipeline.stop()

    def _next(self) -> np.ndarray | None:
        end = time.monotonic() + _PATIENCE_MS / 1000
        while (frame := self._queue.tryGet()) is None:
            if time.monotonic() > end:
                return None
            time.sleep(_POLL_S)
        return np.array(frame.getFrame(), np.uint16)


class PlainCamera(LiveCamera):
    """A camera that gives 16-bit depth to the system as video (UVC), by OpenCV. What its lens is, the user says."""

    distortion = NO_DISTORTION

    def __init__(self, package: types.ModuleType, said: Said):
        """Starts the camera with the package cv2; InputError where it is not there or gives no depth."""
        self.name = f"camera {said.number}"
        self._capture = package.VideoCapture(said.number)
        if not self._capture.isOpened():
            raise InputError(f"{self.name}: the system has no such camera; give another --number")
        self._capture.set(package.CAP_PROP_CONVERT_RGB, 0)
        for pixels in _DEPTH_PIXELS:
            if self._pixels(package) not in _DEPTH_PIXELS:
                self._capture.set(package.CAP_PROP_FOURCC, package.VideoWriter_fourcc(*pixels))
        self._size = tuple(
            int(self._capture.get(side)) for side in (package.CAP_PROP_FRAME_HEIGHT, package.CAP_PROP_FRAME_WIDTH)
        )
        pixels = self._pixels(package)
        if pixels not in _DEPTH_PIXELS:
            self.close()
            raise InputError(
                f"{self.name}: its pixels are '{pixels}', which are no depth; give another --number, or record "
                "with its maker's program"
            )
        self.camera = Camera(*said.intrinsics, width=self._size[1], height=self._size[0])
        self.depth_unit_mm = said.depth_unit_mm

    def close(self) -> None:
        self._capture.release()

    def _pixels(self, package: types.ModuleType) -> str:
        code = int(self._capture.get(package.CAP_PROP_FOURCC))
        return code.to_bytes(4, "little", signed=code < 0).decode("latin-1")

    def _next(self) -> np.ndarray | None:
        arrived, pixels = self._capture.read()
        if not arrived:
            return None
        # Where OpenCV knows no such pixels, it gives the bytes as they came.
        if pixels.nbytes != 2 * self._size[0] * self._size[1]:
            raise InputError(f"{self.name}: a frame of {pixels.nbytes} bytes is no 16-bit depth; record with its tool")
        return np.ascontiguousarray(pixels).view("<u2").reshape(self._size).astype(np.uint16)


@dataclasses.dataclass(frozen=True)
class Source:
    """A way to a camera: what starts it, the module that is imported, and what pip installs.

    Attributes:
        names_itself: whether a camera's intrinsics and unit are its own to say, so that it can be looked for.
    """

    build: Callable[[Any, Said], LiveCamera]
    module: str
    wheel: str
    names_itself: bool = True


# By the name on the command line.
SOURCES = {
    "realsense": Source(lambda package, _: RealSenseCamera(package), "pyrealsense2", "pyrealsense2"),
    "orbbec": Source(lambda package, _: OrbbecCamera(package), "pyorbbecsdk", "pyorbbecsdk2"),
    "depthai": Source(lambda package, _: LuxonisCamera(package), "depthai", "depthai"),
    "opencv": Source(PlainCamera, "cv2", "opencv-python", names_itself=False),
}


def open_camera(name: str | None, said: Said = NOTHING_SAID) -> LiveCamera:
    """Starts a camera.

    Args:
        name: of `SOURCES`; None takes the first whose package is installed and that is plugged in.
        said: of a camera that does not name itself.

    Raises:
        InputError: where its package is not installed, or no camera starts.
    """
    reasons = []
    for kind in [kind for kind in SOURCES if SOURCES[kind].names_itself] if name is None else [name]:
        source = SOURCES[kind]
        try:
            package = importlib.import_module(source.module)
        except ImportError:
            reasons.append(f"{kind}: {source.wheel} is not installed (pip install {source.wheel})")
            continue
        try:
            return source.build(package, said)
        except InputError as error:
            reasons.append(str(error))
        except Exception as error:
            # Each package has errors of its own, and all of them mean that there is no such camera.
            reasons.append(f"{kind}: {(str(error) or type(error).__name__).splitlines()[0][:120]}")
    raise InputError(f"no camera could be started; {'; '.join(reasons)}")
