"""ROS bags and MCAP as recordings of depth: which topic it is, whose camera, and what a count stands for.

RealSense's tools write ROS 1 bags, and lately ROS 2 bags, with topics of their own: the unit is an option of the
sensor, "/device_0/sensor_0/option/Depth Units/value" in metres.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator

from lsps_tf.camera import Camera
from lsps_tf.distortion import NO_DISTORTION, Distortion
from lsps_tf.errors import InputError
from lsps_tf.recordings.bag_files import Bag
from lsps_tf.recordings.recording import DepthStream, RecordedFrame, Recording, guarded
from lsps_tf.recordings.ros_messages import (
    CAMERA_INFO,
    COMPRESSED,
    IMAGE,
    UNITS_MM,
    camera_of,
    camera_of_text,
    counts_of,
    encoding_of,
    time_ns_of,
)

_TEXT = "std_msgs/msg/String"
# Images with the pixels of depth that are none.
_NOT_DEPTH = re.compile(r"(^|[/_])(infra\w*|ir|confidence|amplitude|intensity|disparity)([/_\d]|$)", re.IGNORECASE)
_ALIGNED = re.compile(r"aligned|registered|to_color|to_rgb", re.IGNORECASE)
_COLOR = re.compile(r"(^|[/_])(color|colour|rgb)([/_\d]|$)", re.IGNORECASE)
_RECTIFIED = re.compile(r"(^|[/_])rect(ified)?([/_]|$)", re.IGNORECASE)
_TRANSPORT = re.compile(r"/(compressedDepth|compressed)$")
_REALSENSE = re.compile(r"^(/device_\d+/sensor_\d+)/")


class BagRecording(Recording):
    """A ROS bag or MCAP file."""

    def __init__(self, path: pathlib.Path, topic: str | None = None):
        """Opens a bag.

        Args:
            path: a `.bag`, `.db3` or `.mcap` file, or the folder of a ROS 2 bag.
            topic: of the depth; None where there is one only.

        Raises:
            InputError: where it cannot be opened, has no depth, or has several topics of depth and none is chosen.
        """
        super().__init__()
        self.path = path
        self._bag = Bag(path)
        try:
            self.stream = _describe(self._bag, topic)
        except InputError:
            self._bag.close()
            raise

    def close(self) -> None:
        self._packets = None
        self._bag.close()

    def _start(self) -> Iterator[tuple[int, bytes]]:
        return self._bag.messages(self.stream.topic)

    def _decode(self, packet: tuple[int, bytes]) -> RecordedFrame:
        recorded_ns, content = packet
        message = self._bag.deserialize(self.stream.topic, content)
        return RecordedFrame(counts_of(message), time_ns_of(message, recorded_ns))


def _describe(bag: Bag, asked: str | None) -> DepthStream:
    topic = _choose(bag, asked)
    message = bag.first(topic)
    height, width = guarded(bag.path, lambda: counts_of(message)).shape
    unit_mm = UNITS_MM[encoding_of(message)]
    camera, distortion, missing = _find_camera(bag, topic)
    if camera is not None and (camera.width, camera.height) != (width, height):
        raise InputError(
            f"{bag.path}: the frames of {topic} have {width} x {height} pixels, its camera_info says {camera.width} x "
            f"{camera.height}; record both from one camera"
        )
    realsense_mm = _realsense_unit_mm(bag, topic)
    unit_mm = unit_mm if realsense_mm is None else realsense_mm
    return DepthStream(topic, bag.counts[topic], width, height, unit_mm, camera, distortion, missing)


def _choose(bag: Bag, asked: str | None) -> str:
    """The topic of the depth."""
    images = [topic for topic, kind in bag.types.items() if kind in (IMAGE, COMPRESSED) and bag.counts[topic]]
    if asked is not None:
        if asked not in images:
            raise InputError(f"{bag.path}: there is no image topic '{asked}'; it has {_listed(images)}")
        return asked
    encodings = {topic: encoding_of(bag.first(topic)) for topic in images}
    depth = [topic for topic in images if encodings[topic] in UNITS_MM and not _NOT_DEPTH.search(topic)]
    # Of a topic that is there as it is and compressed, the first will do.
    depth = [topic for topic in depth if _TRANSPORT.sub("", topic) == topic or _TRANSPORT.sub("", topic) not in depth]
    if not depth:
        seen = _listed([f"{topic} ({encodings[topic]})" for topic in images])
        raise InputError(
            f"{bag.path}: there is no depth in this recording; its images are {seen}; record a topic of 16UC1 or 32FC1"
        )
    if len(depth) > 1:
        raise InputError(f"{bag.path}: several topics are depth; choose one with --topic: {_listed(sorted(depth))}")
    return depth[0]


def _find_camera(bag: Bag, topic: str) -> tuple[Camera | None, Distortion, str]:
    """The camera of a topic and its distortion, or why there is none."""
    infos = [name for name, kind in bag.types.items() if _is_info(name, kind) and bag.counts[name]]
    base = _TRANSPORT.sub("", topic)
    beside = [base.rsplit("/", levels)[0] for levels in (1, 2)]
    names = [f"{folder}{ending}" for folder in beside for ending in ("/camera_info", "/info/camera_info")]
    found = [name for name in names if name in infos][:1]
    if not found and _ALIGNED.search(base):
        found = [name for name in infos if _COLOR.search(name)]
        if len(found) != 1:
            return None, NO_DISTORTION, "its depth is aligned to color, and the color camera's camera_info is missing"
    if not found:
        return None, NO_DISTORTION, f"there is no camera_info beside {topic} (there is {_listed(infos)})"
    message, source = bag.first(found[0]), f"{bag.path}: {found[0]}"
    if bag.types[found[0]] == _TEXT:
        return *camera_of_text(message.data, source), ""
    return *camera_of(message, bool(_RECTIFIED.search(base)), source), ""


def _is_info(topic: str, kind: str) -> bool:
    return kind == CAMERA_INFO or (kind == _TEXT and topic.endswith("/camera_info"))


def _realsense_unit_mm(bag: Bag, topic: str) -> float | None:
    """mm of a count by the sensor's option, where RealSense's tools recorded it."""
    sensor = _REALSENSE.match(topic)
    if sensor is None:
        return None
    for name in bag.types:
        if name.replace(" ", "_") == f"{sensor.group(1)}/option/Depth_Units/value" and bag.counts[name]:
            # Kept as a float of 32 bits, whose tail is no part of the number.
            return float(f"{1000.0 * float(bag.first(name).data):.7g}")
    return None


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
