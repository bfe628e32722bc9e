"""Recordings: good files to damage, and how they are read."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable

from benchmarks.fuzzing.reader import FRAMES_READ, Reader, check_depth


def _ros1(folder: pathlib.Path) -> list[bytes]:
    from tests.recordings.writers import depth_topics, write_bag

    return [
        write_bag(folder / f"a{packing}.bag", 1, depth_topics(1), packing=packing).read_bytes()
        for packing in ("", "BZ2", "LZ4")
    ]


def _mcaps(folder: pathlib.Path) -> list[bytes]:
    from tests.recordings.writers import depth_topics, write_mcap

    return [
        write_mcap(folder / f"{packing}.mcap", depth_topics(2), packing=packing).read_bytes()
        for packing in ("NONE", "LZ4", "ZSTD")
    ]


def _ros2(file: str) -> Callable[[pathlib.Path], list[bytes]]:
    from tests.recordings.writers import depth_topics, write_bag

    return lambda folder: [next(write_bag(folder / "bag", 2, depth_topics(2)).glob(file)).read_bytes()]


def _ros2_beside(file: str) -> Callable[[], dict[str, bytes]]:
    def make() -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            return {f"bag/{'bag.db3' if file == '*.db3' else file}": _ros2(file)(pathlib.Path(folder))[0]}

    return make


def _mkvs(folder: pathlib.Path) -> list[bytes]:
    from tests.recordings.writers import kinect_calibration, write_kinect

    return [write_kinect(folder / "a.mkv", 2, calibration=kinect_calibration(), color=False).read_bytes()]


def _read_recording(path: pathlib.Path) -> None:
    from lsps_tf.recordings.depth import open_depth

    with open_depth(path) as recording:
        assert len(recording) > 0
        for index in range(min(len(recording), FRAMES_READ)):
            frame = recording[index]
            check_depth(frame.depth_mm)
            assert frame.depth_mm.shape == (recording.camera.height, recording.camera.width)


READERS: dict[str, Reader] = {
    "bag": Reader("a.bag", _ros1, _read_recording),
    "mcap": Reader("a.mcap", _mcaps, _read_recording),
    "db3": Reader("bag/bag.db3", _ros2("*.db3"), _read_recording, False, None, _ros2_beside("metadata.yaml"), "bag"),
    "bag-yaml": Reader(
        "bag/metadata.yaml", _ros2("metadata.yaml"), _read_recording, True, None, _ros2_beside("*.db3"), "bag"
    ),
    "mkv": Reader("a.mkv", _mkvs, _read_recording),
}
