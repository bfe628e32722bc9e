"""Recordings written by programs that are independent of the readers: rosbags' writers, mcap's, and FFmpeg by PyAV."""

from __future__ import annotations

import json
import pathlib
import struct

import numpy as np

WIDTH, HEIGHT = 32, 24
BROWN = (-0.12, 0.03, 0.001, -0.002, 0.004)
# From a public recording of an Azure Kinect: cx, cy, fx, fy, k1 to k6, codx, cody, p2, p1.
KINECT = (
    *(0.50127333402633667, 0.50319623947143555, 0.49252399802207947, 0.49259248375892639),
    *(6.0841460227966309, 4.3754911422729492, 0.23618598282337189, 6.4087333679199219, 6.4182958602905273),
    *(1.2202920913696289, 0.0, 0.0, 6.5029336838051677e-5, -5.5295702622970566e-5),
)


def depth_counts(index: int, kind: type = np.uint16, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A frame that no other index has."""
    return (np.arange(width * height).reshape(height, width) % 997 + 100 * index + 1).astype(kind)


def time_ns(index: int) -> int:
    return 1_700_000_000_123_456_789 + index * 33_333_333


def store(version: int):
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS1_NOETIC if version == 1 else Stores.ROS2_HUMBLE)


def header(types, index: int):
    names = types.types
    stamp = names["builtin_interfaces/msg/Time"](time_ns(index) // 10**9, time_ns(index) % 10**9)
    kind = names["std_msgs/msg/Header"]
    return kind(stamp=stamp, frame_id="d", **({"seq": index} if "seq" in kind.__dataclass_fields__ else {}))


def image(types, counts: np.ndarray, encoding: str, index: int = 0, padding: int = 0):
    rows = np.pad(counts.view(np.uint8).reshape(len(counts), -1), ((0, 0), (0, padding)), constant_values=7)
    big = counts.dtype.byteorder == ">"
    size = {"height": len(counts), "width": counts.shape[1], "step": rows.shape[1], "is_bigendian": int(big)}
    kind = types.types["sensor_msgs/msg/Image"]
    return kind(header=header(types, index), encoding=encoding, data=rows.reshape(-1).copy(), **size)


def compressed(types, content: bytes, codec: str, index: int = 0):
    data = np.frombuffer(content, np.uint8)
    return types.types["sensor_msgs/msg/CompressedImage"](header=header(types, index), format=codec, data=data)


def camera_info(types, model: str = "plumb_bob", d=BROWN, width: int = WIDTH, height: int = HEIGHT, **changes):
    kind = types.types["sensor_msgs/msg/CameraInfo"]
    roi = types.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    matrix = np.array([40.0, 0, 15.5, 0, 41.0, 11.25, 0, 0, 1])
    values = {
        "d": np.array(d, np.float64),
        "k": matrix,
        "r": np.eye(3).reshape(-1),
        "p": np.array([38.0, 0, 15.0, 0, 0, 39.0, 11.0, 0, 0, 0, 1.0, 0]),
        **changes,
    }
    upper = "K" in kind.__dataclass_fields__
    named = {(name.upper() if upper and name in "dkrp" else name): value for name, value in values.items()}
    rest = {"binning_x": 0, "binning_y": 0, "roi": roi}
    named = {**rest, **named}
    return kind(header=header(types, 0), height=height, width=width, distortion_model=model, **named)


def write_bag(path: pathlib.Path, version: int, topics: dict[str, list], storage: str = "sqlite3", packing: str = ""):
    """Writes the messages of each topic, message i of a topic at `time_ns(i)`."""
    types = store(version)
    with _writer(path, version, storage, packing) as bag:
        connections = {
            topic: bag.add_connection(topic, _type(all_[0]), typestore=types) for topic, all_ in topics.items()
        }
        order = sorted((time_ns(i), topic, i) for topic, messages in topics.items() for i in range(len(messages)))
        serialize = types.serialize_ros1 if version == 1 else types.serialize_cdr
        for when, topic, i in order:
            message = topics[topic][i]
            bag.write(connections[topic], when, serialize(message, _type(message)))
    return path


def _type(message) -> str:
    return message.__msgtype__


def _writer(path: pathlib.Path, version: int, storage: str, packing: str):
    if version == 1:
        from rosbags.rosbag1 import Writer

        bag = Writer(path)
        if packing:
            bag.set_compression(Writer.CompressionFormat[packing])
        return bag
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    bag = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
    if packing:
        bag.set_compression(CompressionMode[packing], CompressionFormat.ZSTD)
    return bag


def bag_of(path: pathlib.Path, frames_mm: list[np.ndarray], intrinsics, version: int = 1) -> pathlib.Path:
    """A bag of frames in whole mm, of a camera without distortion."""
    types = store(version)
    fx, fy, cx, cy = (float(number) for number in intrinsics)
    height, width = frames_mm[0].shape
    info = camera_info(types, "plumb_bob", (0.0,) * 5, width, height, k=np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1]))
    frames = [image(types, frame.astype(np.uint16), "16UC1", i) for i, frame in enumerate(frames_mm)]
    return write_bag(path, version, {"/camera/depth/image_raw": frames, "/camera/depth/camera_info": [info]})


def depth_topics(version: int, frames: int = 3, encoding: str = "16UC1", topic: str = "/camera/depth/image_raw"):
    """A depth camera's topics as ROS drivers publish them."""
    types = store(version)
    kind = np.float32 if encoding == "32FC1" else np.uint16
    info = topic.rsplit("/", 1)[0] + "/camera_info"
    return {
        topic: [image(types, depth_counts(i, kind), encoding, i) for i in range(frames)],
        info: [camera_info(types) for _ in range(frames)],
    }


def write_mcap(path: pathlib.Path, topics: dict[str, list], profile: str = "ros2", packing: str = "ZSTD", **settings):
    """The same by the makers of MCAP."""
    from mcap.writer import CompressionType, Writer

    types = store(2)
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType[packing], **settings)
        writer.start(profile=profile, library="test")
        for topic, messages in topics.items():
            name = _type(messages[0])
            definition, _ = types.generate_msgdef(name, ros_version=2)
            schema = writer.register_schema(name, "ros2msg", definition.encode())
            channel = writer.register_channel(topic, "cdr", schema)
            for i, message in enumerate(messages):
                content = bytes(types.serialize_cdr(message, name))
                writer.add_message(channel, log_time=time_ns(i), publish_time=time_ns(i), data=content)
        writer.finish()
    return path


def write_kinect(
    path: pathlib.Path,
    frames: int = 3,
    size: tuple[int, int] = (320, 288),
    calibration: bytes | None = None,
    title: str = "DEPTH",
    color: bool = True,
) -> pathlib.Path:
    """A recording as the Azure Kinect's recorder writes it, by FFmpeg."""
    import av

    width, height = size
    with av.open(str(path), "w", format="matroska", options={"allow_raw_vfw": "1"}) as container:
        tracks = [("COLOR", "mjpeg", "yuvj420p")] if color else []
        streams = {}
        for name, codec, pixels in [*tracks, (title, "rawvideo", "gray16be")]:
            stream = container.add_stream(codec, rate=30)
            stream.width, stream.height, stream.pix_fmt = width, height, pixels
            stream.metadata["title"] = name
            streams[name] = stream
        if calibration is not None:
            container.add_attachment("calibration.json", "application/octet-stream", calibration)
        for i in range(frames):
            for name, stream in streams.items():
                shape = (height, width, 3) if name == "COLOR" else (height, width)
                pixels = np.zeros(shape, np.uint8) if name == "COLOR" else depth_counts(i, np.uint16, width, height)
                frame = av.VideoFrame.from_ndarray(pixels, "rgb24" if name == "COLOR" else "gray16le")
                frame.pts = i
                container.mux(stream.encode(frame))
        for stream in streams.values():
            container.mux(stream.encode(None))
    _name_pixels(path, width, height)
    return path


def _name_pixels(path: pathlib.Path, width: int, height: int) -> None:
    """Writes b16g where the depth's BITMAPINFOHEADER names the pixels: FFmpeg leaves 0 there for raw video."""
    content = path.read_bytes()
    head = struct.pack("<IiiHH", 40, width, -height, 1, 16)
    assert content.count(head) == 1
    place = content.index(head) + len(head)
    path.write_bytes(content[:place] + b"b16g" + content[place + 4 :])


def kinect_calibration(model: str = "CALIBRATION_LensDistortionModelBrownConrady", numbers=KINECT) -> bytes:
    cameras = [
        {
            "Location": f"CALIBRATION_CameraLocation{place}",
            "Intrinsics": {"ModelType": model, "ModelParameters": values},
        }
        for place, values in (("PV0", [0.5] * 14), ("D0", list(numbers)))
    ]
    # The recorder ends it with a zero, as C's texts end.
    return json.dumps({"CalibrationInformation": {"Cameras": cameras}}).encode() + b"\0"
