"""The Azure Kinect's recordings: Matroska with a track DEPTH of big-endian counts in mm, and the calibration attached.

Read by PyAV, of which the container is all that is needed: the depth is not packed. The format is described at
https://learn.microsoft.com/azure/kinect-dk/record-file-format.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from lsps_tf.camera import Camera
from lsps_tf.distortion import Distortion, named_distortion
from lsps_tf.errors import InputError
from lsps_tf.files import parse_json
from lsps_tf.recordings.recording import DepthStream, PacketError, RecordedFrame, Recording, first_line, guarded

_INSTALL = "the Azure Kinect's recordings are read by PyAV, which is not installed; pip install lsps-tf[recordings]"
_TRACK, _FOURCC, _CALIBRATION = "DEPTH", "b16g", "calibration.json"
# By the size of the frames, which tells the mode: the sensor's pixels that one frame's grid has, and where it begins.
_MODES = {
    (320, 288): (512, (96, 90)),
    (640, 576): (1024, (192, 180)),
    (512, 512): (512, (0, 0)),
    (1024, 1024): (1024, (0, 0)),
}
_BROWN_CONRADY = "CALIBRATION_LensDistortionModelBrownConrady"
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067


class AzureKinectRecording(Recording):
    """A Matroska file of the Azure Kinect."""

    def __init__(self, path: pathlib.Path, topic: str | None = None):
        """Opens a file; `topic` is the track's name, which is always "DEPTH".

        Raises:
            InputError: where it is cut short, has no track of depth, or its calibration is damaged.
        """
        super().__init__()
        self.path = path
        if topic not in (None, _TRACK):
            raise InputError(f"{path}: there is no track '{topic}'; its depth is the track {_TRACK}")
        _check_length(path)
        self._container, self._track = guarded(path, lambda: _open(path))
        try:
            self.stream = guarded(path, self._describe)
        except InputError:
            self._container.close()
            raise

    def close(self) -> None:
        self._packets = None
        self._container.close()

    def _describe(self) -> DepthStream:
        width, height = self._track.codec_context.width, self._track.codec_context.height
        # Matroska does not say how many frames a track has.
        frames = sum(1 for _ in self._start())
        if not frames:
            raise InputError(f"{self.path}: its track {_TRACK} has no frames; record it again")
        calibration = [part for part in self._container.streams.attachments if part.name == _CALIBRATION]
        if not calibration:
            reason = f"no {_CALIBRATION} is attached to it"
            return DepthStream(_TRACK, frames, width, height, 1.0, None, camera_missing=reason)
        camera, distortion = _read_calibration(self.path, calibration[0].data, width, height)
        return DepthStream(_TRACK, frames, width, height, 1.0, camera, distortion)

    def _start(self) -> Iterator[Any]:
        self._container.seek(0)
        return (packet for packet in self._container.demux(self._track) if packet.size)

    def _decode(self, packet: Any) -> RecordedFrame:
        width, height = self.stream.width, self.stream.height
        if packet.size != 2 * width * height:
            raise PacketError(f"it has {packet.size} bytes, not the {2 * width * height} of {width} x {height} pixels")
        counts = np.frombuffer(bytes(packet), ">u2").reshape(height, width)
        time_ns = round(packet.pts * packet.time_base * 10**9)
        return RecordedFrame(counts.astype(np.uint16), time_ns)


def _open(path: pathlib.Path) -> tuple[Any, Any]:
    try:
        import av
    except ImportError:
        raise InputError(f"{path}: {_INSTALL}") from None
    container = av.open(str(path))
    named = [track for track in container.streams.video if track.metadata.get("title", "").upper() == _TRACK]
    tracks = [track for track in named or container.streams.video if track.codec_context.codec_tag == _FOURCC]
    if len(tracks) != 1:
        kinds = ", ".join(f"{track.codec_context.name}" for track in container.streams.video) or "no video"
        container.close()
        raise InputError(
            f"{path}: it has no track {_TRACK} as the Azure Kinect records it (it has {kinds}); videos lose depth, so "
            "record with k4arecorder, or write 16-bit PNG"
        )
    return container, tracks[0]


def _read_calibration(path: pathlib.Path, content: bytes, width: int, height: int) -> tuple[Camera, Distortion]:
    """The depth camera's numbers in the pixels of this mode; the file has them in shares of the sensor's sides."""
    source = f"{path}: its {_CALIBRATION}"
    if (width, height) not in _MODES:
        raise InputError(f"{path}: {width} x {height} pixels are no mode of the Azure Kinect's depth; record it again")
    try:
        cameras = parse_json(content.rstrip(b"\0"))["CalibrationInformation"]["Cameras"]
        depth = next(camera for camera in cameras if camera["Location"] == "CALIBRATION_CameraLocationD0")
        model = depth["Intrinsics"]["ModelType"]
        cx, cy, fx, fy, *radial = (float(number) for number in depth["Intrinsics"]["ModelParameters"][:10])
        _, _, p2, p1 = (float(number) for number in depth["Intrinsics"]["ModelParameters"][10:14])
        side, (left, top) = _MODES[width, height]
        # The file counts from the first pixel's corner, and a camera here from its centre.
        camera = Camera(fx * side, fy * side, cx * side - left - 0.5, cy * side - top - 0.5, width, height)
    except (ValueError, LookupError, TypeError, StopIteration) as error:
        raise InputError(f"{source} cannot be read ({first_line(error)}); record it again") from error
    if model != _BROWN_CONRADY:
        return camera, named_distortion(model, (1.0,), source)
    k1, k2, k3, k4, k5, k6 = radial
    return camera, named_distortion("rational_polynomial", (k1, k2, p1, p2, k3, k4, k5, k6), source)


def _check_length(path: pathlib.Path) -> None:
    """InputError where the file is shorter than its header says: readers of video take what is there."""
    with path.open("rb") as file:
        head = file.read(4096)
    identity, place = _number(head, 0, keep_marker=True)
    if identity != _EBML:
        raise InputError(f"{path}: this is no Matroska file; copy it again")
    size, place = _number(head, place)
    identity, place = _number(head, place + size, keep_marker=True)
    size, start = _number(head, place)
    # All bits set: not known, as where the recorder could not seek.
    unknown = size == (1 << 7 * (start - place)) - 1
    if identity != _SEGMENT or (not unknown and start + size > path.stat().st_size):
        raise InputError(f"{path}: the recording is cut short; copy it again, or end the recorder before copying")


def _number(content: bytes, place: int, keep_marker: bool = False) -> tuple[int, int]:
    """A number of EBML (RFC 8794), whose first bits say how long it is, and the place behind it; 0 at the end."""
    if place >= len(content) or content[place] == 0:
        return 0, place
    length = 9 - content[place].bit_length()
    value = int.from_bytes(content[place : place + length], "big")
    return value if keep_marker else value & ((1 << 7 * length) - 1), place + length
