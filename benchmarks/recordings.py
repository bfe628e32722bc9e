"""Recordings read frame by frame: frames per second and the memory that it takes, for as many frames as are asked for.

    python benchmarks/recordings.py --frames 2000 --json recordings.json

A recording of 640x480 frames is written first: a hand's depth with a camera's noise, so that packing has to work as it
does for a camera. Memory is what the process grows by after the first tenth of the frames.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from lsps_tf.files import write_json
from lsps_tf.recordings.depth import open_depth

WIDTH, HEIGHT = 640, 480
DEPTH, INFO = "/camera/depth/image_raw", "/camera/depth/camera_info"
KINDS = {"ROS 1": ".bag", "ROS 1, LZ4": ".bag", "ROS 2, SQLite": "", "ROS 2, MCAP": ""}
DISTORTION = (-0.05, 0.01, 0.0, 0.0, 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=2000, help="of each recording (default: 2000)")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), help="(default: all)")
    parser.add_argument("--folder", type=Path, help="where the recordings are written (default: a temporary folder)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    report = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for number, kind in enumerate(options.kinds):
            path = write_recording(Path(folder) / f"{number}{KINDS[kind]}", kind, options.frames)
            report[kind] = row = measure(path)
            print(
                f"{kind:14s} {row['frames_per_second']:7.1f} frames/s as recorded, "
                f"{row['prepared_per_second']:7.1f} in mm of a pinhole, memory grows by {row['grown_mib']:.1f} MiB"
            )
    if options.json:
        write_json(options.json, {"frames": options.frames, "figures": report})


def write_recording(path: Path, kind: str, frames: int) -> Path:
    """Writes a recording of noisy frames by rosbags, as a ROS driver publishes them."""
    from rosbags.typesys import Stores, get_typestore

    version = 1 if kind.startswith("ROS 1") else 2
    types = get_typestore(Stores.ROS1_NOETIC if version == 1 else Stores.ROS2_HUMBLE)
    serialize = types.serialize_ros1 if version == 1 else types.serialize_cdr
    noise = np.random.default_rng(0)
    scene = 600.0 + 80.0 * np.hypot(*np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j])
    with _writer(path, kind) as bag:
        image = bag.add_connection(DEPTH, "sensor_msgs/msg/Image", typestore=types)
        info = bag.add_connection(INFO, "sensor_msgs/msg/CameraInfo", typestore=types)
        bag.write(info, 0, serialize(_camera_info(types), "sensor_msgs/msg/CameraInfo"))
        for number in range(frames):
            counts = (scene + noise.integers(0, 3, scene.shape)).astype("<u2")
            message = _image(types, counts, number)
            bag.write(image, number * 33_333_333, serialize(message, "sensor_msgs/msg/Image"))
    return path


def measure(path: Path) -> dict[str, float]:
    """Frames per second as recorded and as predictors take them, and the MiB by which the process grows meanwhile."""
    with open_depth(path) as recording:
        frames, first_kib = len(recording), 0
        # The map of the lens is computed once, with the first frame.
        recording[0]
        started = time.perf_counter()
        for number in range(frames):
            recording.recording.read(number)
            if number == frames // 10:
                first_kib = _peak_kib()
        raw_s = time.perf_counter() - started
        started = time.perf_counter()
        for _ in recording:
            pass
        prepared_s = time.perf_counter() - started
    return {
        "frames_per_second": frames / raw_s,
        "prepared_per_second": frames / prepared_s,
        "grown_mib": (_peak_kib() - first_kib) / 1024,
    }


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _writer(path: Path, kind: str):
    if kind.startswith("ROS 1"):
        from rosbags.rosbag1 import Writer

        bag = Writer(path)
        if kind.endswith("LZ4"):
            bag.set_compression(Writer.CompressionFormat.LZ4)
        return bag
    from rosbags.rosbag2 import StoragePlugin, Writer

    return Writer(path, version=9, storage_plugin=StoragePlugin.MCAP if "MCAP" in kind else StoragePlugin.SQLITE3)


def _header(types, number: int):
    stamp = types.types["builtin_interfaces/msg/Time"](*divmod(number * 33_333_333 + 1, 10**9))
    kind = types.types["std_msgs/msg/Header"]
    return kind(stamp=stamp, frame_id="depth", **({"seq": number} if "seq" in kind.__dataclass_fields__ else {}))


def _image(types, counts: np.ndarray, number: int):
    kind = types.types["sensor_msgs/msg/Image"]
    pixels = counts.view(np.uint8).reshape(-1)
    return kind(_header(types, number), HEIGHT, WIDTH, "16UC1", 0, 2 * WIDTH, pixels)


def _camera_info(types):
    kind, roi = types.types["sensor_msgs/msg/CameraInfo"], types.types["sensor_msgs/msg/RegionOfInterest"]
    matrix = np.array([475.0, 0, 320.0, 0, 475.0, 240.0, 0, 0, 1])
    arrays = [np.array(DISTORTION), matrix, np.eye(3).reshape(-1), np.eye(3, 4).reshape(-1)]
    return kind(_header(types, 0), HEIGHT, WIDTH, "plumb_bob", *arrays, 0, 0, roi(0, 0, 0, 0, False))


if __name__ == "__main__":
    main()
