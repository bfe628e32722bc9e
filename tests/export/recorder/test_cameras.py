"""Cameras through stand-ins of their makers' packages: what the packages' documents say that they give."""

import sys
import types

import numpy as np
import pytest

from export.recorder import cameras
from lsps_tf.camera import Camera
from lsps_tf.distortion import NO_DISTORTION, Distortion
from lsps_tf.errors import InputError

COUNTS = np.arange(48, dtype=np.uint16).reshape(6, 8)


class Named(types.SimpleNamespace):
    """Answers a method's name with what was given for it, whatever is asked."""

    def __getattr__(self, name):
        return lambda *_: self.__dict__["gives"][name]


def realsense(arrived=True, model="distortion.inverse_brown_conrady", coeffs=(0.0,) * 5):
    lens = types.SimpleNamespace(width=8, height=6, fx=9.0, fy=9.5, ppx=3.5, ppy=2.5, model=model, coeffs=list(coeffs))
    sensor = Named(gives={"get_depth_scale": float(np.float32(0.000125))})
    device = Named(gives={"first_depth_sensor": sensor, "get_info": "Intel RealSense D415"})
    stream = Named(gives={"get_intrinsics": lens})
    profile = Named(gives={"get_device": device, "get_stream": Named(gives={"as_video_stream_profile": stream})})
    frames = Named(gives={"get_depth_frame": Named(gives={"get_data": memoryview(COUNTS)})})
    pipeline = Named(gives={"start": profile, "try_wait_for_frames": (arrived, frames), "stop": None})
    asked = []
    config = types.SimpleNamespace(enable_stream=lambda *what: asked.append(what))
    package = types.ModuleType("pyrealsense2")
    package.pipeline, package.config = lambda: pipeline, lambda: config
    package.stream, package.format = types.SimpleNamespace(depth="depth"), types.SimpleNamespace(z16="z16")
    package.camera_info, package.asked = types.SimpleNamespace(name="name"), asked
    return package


def orbbec(scale=0.5, model="BROWN_CONRADY_K6"):
    lens = types.SimpleNamespace(width=8, height=6, fx=9.0, fy=9.5, cx=3.5, cy=2.5)
    bent = types.SimpleNamespace(k1=0.1, k2=0.2, k3=0.3, k4=0.4, k5=0.5, k6=0.6, p1=0.01, p2=0.02)
    bent.model = f"OBCameraDistortionModel.{model}"
    profile = Named(gives={"get_intrinsic": lens, "get_distortion": bent})
    frame = {"get_data": COUNTS.tobytes(), "get_width": 8, "get_height": 6, "get_depth_scale": scale}
    frames = Named(gives={"get_depth_frame": Named(gives=frame)})
    profiles = Named(gives={"get_default_video_stream_profile": profile})
    pipeline = {"get_stream_profile_list": profiles, "start": None, "wait_for_frames": frames, "stop": None}
    package = types.ModuleType("pyorbbecsdk")
    package.Pipeline = lambda: Named(gives=pipeline)
    package.Config = lambda: Named(gives={"enable_stream": None})
    package.OBSensorType = types.SimpleNamespace(DEPTH_SENSOR=3)
    return package


class DepthAI(types.ModuleType):
    """Version 3 of depthai: nodes of a pipeline, and a queue that is empty before the first frame."""

    def __init__(self, waits=2, frames=True):
        super().__init__("depthai")
        self.linked, self.set, self._waits, self._frames = [], {}, waits, frames
        self.CameraBoardSocket = types.SimpleNamespace(CAM_B="left", CAM_C="right")
        align = types.SimpleNamespace(RECTIFIED_RIGHT="rectified right")
        self.StereoDepthConfig = types.SimpleNamespace(AlgorithmControl=types.SimpleNamespace(DepthAlign=align))
        self.node = types.SimpleNamespace(StereoDepth="stereo", Camera="camera")
        self.Pipeline = lambda: types.SimpleNamespace(
            create=self._create, getDefaultDevice=self._device, start=lambda: None, stop=lambda: None
        )

    def _create(self, node):
        if node == "camera":
            return types.SimpleNamespace(build=self._camera)
        depth = types.SimpleNamespace(createOutputQueue=lambda **_: types.SimpleNamespace(tryGet=self._try_get))
        setters = ("setRectification", "setLeftRightCheck", "setSubpixel", "setDepthAlign")
        named = {name: lambda value, name=name: self.set.__setitem__(name, value) for name in setters}
        return types.SimpleNamespace(left="to the left", right="to the right", depth=depth, **named)

    def _camera(self, socket):
        link = lambda side: self.linked.append((socket, side))  # noqa: E731
        return types.SimpleNamespace(requestOutput=lambda size, fps: types.SimpleNamespace(link=link))

    def _device(self):
        matrix = [[450.0, 0.0, 319.0], [0.0, 451.0, 201.0], [0.0, 0.0, 1.0]]
        read = {("right", 640, 400): matrix}
        calibration = types.SimpleNamespace(getCameraIntrinsics=lambda *which: read[which])
        return types.SimpleNamespace(readCalibration=lambda: calibration, getDeviceName=lambda: "OAK-D")

    def _try_get(self):
        self._waits -= 1
        return Named(gives={"getFrame": COUNTS}) if self._frames and self._waits < 0 else None


class OpenCV(types.ModuleType):
    """OpenCV with a camera that knows some kinds of pixels, the first of them at the beginning."""

    CAP_PROP_CONVERT_RGB, CAP_PROP_FOURCC, CAP_PROP_FRAME_WIDTH, CAP_PROP_FRAME_HEIGHT = 16, 6, 3, 4

    def __init__(self, pixels=("YUYV", "Z16 "), frame=COUNTS, opened=True):
        super().__init__("cv2")
        self._known, self._frame, self._opened, self.number = pixels, frame, opened, None
        self.has = {3: 8.0, 4: 6.0, 6: float(self.VideoWriter_fourcc(*pixels[0])), 16: 1.0}

    @staticmethod
    def VideoWriter_fourcc(*letters):
        return int.from_bytes("".join(letters).encode(), "little")

    def VideoCapture(self, number):
        self.number = number
        read = lambda: (self._frame is not None, self._frame)  # noqa: E731
        return types.SimpleNamespace(
            isOpened=lambda: self._opened, set=self._set, get=self.has.get, read=read, release=lambda: None
        )

    def _set(self, what, value):
        if what != 6 or value in [self.VideoWriter_fourcc(*name) for name in self._known]:
            self.has[what] = float(value)


def install(monkeypatch, **packages):
    for module in ("pyrealsense2", "pyorbbecsdk", "depthai", "cv2"):
        monkeypatch.setitem(sys.modules, module, packages.get(module))


def test_realsense(monkeypatch):
    package = realsense()
    install(monkeypatch, pyrealsense2=package)
    camera = cameras.open_camera("realsense")
    assert package.asked == [("depth", 640, 480, "z16", 30)]
    assert (camera.name, camera.depth_unit_mm) == ("Intel RealSense D415", 0.125)
    assert camera.camera == Camera(9.0, 9.5, 3.5, 2.5, 8, 6)
    assert not camera.distortion
    np.testing.assert_array_equal(camera.read(), COUNTS)
    camera.close()


def test_a_lens_that_bends(monkeypatch):
    install(monkeypatch, pyrealsense2=realsense(model="distortion.brown_conrady", coeffs=(0.1, 0, 0, 0, 0)))
    assert cameras.open_camera(None).distortion == Distortion("brown-conrady", (0.1, 0.0, 0.0, 0.0, 0.0))
    install(monkeypatch, pyrealsense2=realsense(model="distortion.ftheta", coeffs=(0.1, 0, 0, 0, 0)))
    with pytest.raises(InputError, match="'ftheta' is not known"):
        cameras.open_camera("realsense")
    assert Distortion() == NO_DISTORTION


def test_orbbec_is_taken_where_it_is_the_one(monkeypatch):
    install(monkeypatch, pyorbbecsdk=orbbec())
    camera = cameras.open_camera(None)
    assert isinstance(camera, cameras.OrbbecCamera)
    assert camera.camera == Camera(9.0, 9.5, 3.5, 2.5, 8, 6)
    assert camera.distortion == Distortion("rational", (0.1, 0.2, 0.01, 0.02, 0.3, 0.4, 0.5, 0.6))
    install(monkeypatch, pyorbbecsdk=orbbec(model="KANNALA_BRANDT4"))
    assert cameras.open_camera(None).distortion == Distortion("kannala-brandt", (0.1, 0.2, 0.3, 0.4))
    assert camera.depth_unit_mm == 0.5
    np.testing.assert_array_equal(camera.read(), COUNTS)


def test_what_is_missing_is_named(monkeypatch):
    install(monkeypatch)
    with pytest.raises(InputError, match=r"pip install pyrealsense2.*pip install pyorbbecsdk2"):
        cameras.open_camera(None)
    package = realsense()
    package.pipeline = lambda: (_ for _ in ()).throw(RuntimeError("No device connected"))
    install(monkeypatch, pyrealsense2=package)
    with pytest.raises(InputError, match="realsense: No device connected"):
        cameras.open_camera("realsense")


def test_a_camera_that_falls_silent(monkeypatch):
    install(monkeypatch, pyrealsense2=realsense(arrived=False))
    with pytest.raises(InputError, match="no frame came for 5 s"):
        cameras.open_camera("realsense").read()


def test_depthai(monkeypatch):
    package = DepthAI()
    install(monkeypatch, depthai=package)
    camera = cameras.open_camera(None)
    assert (camera.name, camera.depth_unit_mm) == ("OAK-D", 1.0)
    assert camera.camera == Camera(450.0, 451.0, 319.0, 201.0, 640, 400)
    assert package.linked == [("left", "to the left"), ("right", "to the right")]
    # Only so is the right camera's lens that of the depth.
    assert package.set["setRectification"] and package.set["setDepthAlign"] == "rectified right"
    assert not camera.distortion
    np.testing.assert_array_equal(camera.read(), COUNTS)
    camera.close()


def test_depthai_falls_silent(monkeypatch):
    monkeypatch.setattr(cameras, "_PATIENCE_MS", 10)
    install(monkeypatch, depthai=DepthAI(frames=False))
    with pytest.raises(InputError, match=r"OAK-D: no frame came for 0\.05 s"):
        cameras.open_camera("depthai").read()


SAID = cameras.Said(2, (9.0, 9.5, 3.5, 2.5), 0.25)


@pytest.mark.parametrize("pixels", [("YUYV", "Z16 "), ("YUYV", "Y16 "), ("Y16 ",)])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_opencv(monkeypatch, pixels, as_bytes):
    frame = COUNTS.view(np.uint8).reshape(1, -1) if as_bytes else COUNTS
    package = OpenCV(pixels, frame)
    install(monkeypatch, cv2=package)
    camera = cameras.open_camera("opencv", SAID)
    assert (package.number, camera.name, camera.depth_unit_mm) == (2, "camera 2", 0.25)
    assert camera.camera == Camera(9.0, 9.5, 3.5, 2.5, 8, 6)
    assert package.has[package.CAP_PROP_CONVERT_RGB] == 0
    np.testing.assert_array_equal(camera.read(), COUNTS)
    camera.close()


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (OpenCV(opened=False), "camera 2: the system has no such camera; give another --number"),
        (OpenCV(pixels=("YUYV", "MJPG")), "camera 2: its pixels are 'YUYV', which are no depth"),
        (OpenCV(frame=COUNTS[:, :4]), "camera 2: a frame of 48 bytes is no 16-bit depth"),
        (OpenCV(frame=None), "camera 2: no frame came"),
    ],
)
def test_opencv_without_depth(monkeypatch, package, message):
    install(monkeypatch, cv2=package)
    with pytest.raises(InputError, match=message):
        cameras.open_camera("opencv", SAID).read()


def test_a_camera_that_does_not_name_itself_is_not_looked_for(monkeypatch):
    install(monkeypatch, cv2=OpenCV())
    with pytest.raises(InputError, match="pip install depthai\\)$"):
        cameras.open_camera(None)
