"""ROS 1 bags, ROS 2 bags (SQLite, MCAP) and MCAP files as topics with messages, by `rosbags`, and bounded.

A bag is packed in chunks. What a chunk says that it holds is not believed: it is unpacked up to a limit.
"""

from __future__ import annotations

import bz2
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from lsps_tf.errors import InputError
from lsps_tf.recordings.recording import PacketError, guarded

# Writers close a chunk after a megabyte or a few, and the largest frame of a depth camera is a few more.
MAX_CHUNK_BYTES = 256 * 2**20
_INSTALL = "ROS bags and MCAP are read by the package rosbags, which is not installed; pip install lsps-tf[recordings]"


class Bag:
    """A bag that is open.

    Attributes:
        path: of the file or folder.
        types: the type of its messages by topic, such as "sensor_msgs/msg/Image".
        counts: how many messages each topic has.
    """

    def __init__(self, path: pathlib.Path):
        """Raises InputError where it is missing, damaged, has no index, or is of a kind that is not read."""
        self.path = path
        self._reader, self._deserialize, self._unpack = guarded(path, lambda: _open(path))
        self.types, self.counts = {}, {}
        try:
            guarded(path, self._list_topics)
        except InputError:
            self.close()
            raise

    def _list_topics(self) -> None:
        for connection in self._reader.connections:
            topic, count = connection.topic, connection.msgcount
            if not isinstance(count, int):
                raise ValueError(f"its index says {count} for how many messages {topic} has")
            self.types[topic] = connection.msgtype
            self.counts[topic] = self.counts.get(topic, 0) + count

    def messages(self, topic: str) -> Iterator[tuple[int, bytes]]:
        """The topic's messages in order: when each was recorded, in nanoseconds, and its bytes."""
        connections = [connection for connection in self._reader.connections if connection.topic == topic]
        for _, time_ns, content in self._reader.messages(connections):
            yield time_ns, self._unpack(content)

    def first(self, topic: str) -> Any:
        """The first message of a topic that has some; InputError where it is damaged, or not there."""

        def read() -> Any:
            messages = self.messages(topic)
            _, content = next(messages, (0, None))
            messages.close()
            if content is None:
                raise EOFError(f"{topic} has no messages, and the index says {self.counts[topic]}")
            return self.deserialize(topic, content)

        return guarded(self.path, read)

    def deserialize(self, topic: str, content: bytes) -> Any:
        """A message of a topic from its bytes."""
        return self._deserialize(content, self.types[topic])

    def close(self) -> None:
        """Closes the file."""
        self._reader.close()


def _open(path: pathlib.Path) -> tuple[Any, Callable[[bytes, str], Any], Callable[[bytes], bytes]]:
    """The reader, how a message is made of bytes, and how bytes that are packed one by one are unpacked."""
    try:
        from rosbags import rosbag1, rosbag2
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise InputError(f"{path}: {_INSTALL}") from None
    # Images and cameras have had the same fields in every release, so that no bag has to bring their definitions.
    if path.suffix.lower() == ".bag":
        reader = rosbag1.Reader(path)
        reader.open()
        _bound_ros1(reader)
        return reader, get_typestore(Stores.ROS1_NOETIC).deserialize_ros1, bytes
    _bound_mcap()
    reader = rosbag2.Reader(path)
    if path.is_dir():
        _check_packing(path)
    reader.open()
    return reader, get_typestore(Stores.ROS2_HUMBLE).deserialize_cdr, _message_unpacker(reader)


def _bound_ros1(reader: Any) -> None:
    """Has the chunks of a ROS 1 bag unpacked up to the limit."""
    import lz4.frame

    bounded = {bz2.decompress: bz2.BZ2Decompressor, lz4.frame.decompress: lz4.frame.LZ4FrameDecompressor}
    for place, chunk in reader.chunks.items():
        if chunk.datasize > MAX_CHUNK_BYTES:
            raise InputError(f"{reader.path}: {_too_large(chunk.datasize)}")
        if chunk.decompressor in bounded:
            kind = bounded[chunk.decompressor]
            reader.chunks[place] = chunk._replace(decompressor=lambda content, kind=kind: unpack(kind(), content))


def _bound_mcap() -> None:
    """Has the chunks of MCAP files unpacked up to the limit; rosbags offers its table of unpackers alone for this."""
    import lz4.frame
    from rosbags.rosbag2 import storage_mcap

    storage_mcap.DECOMPRESSORS["lz4"] = lambda content, _: unpack(lz4.frame.LZ4FrameDecompressor(), content)
    storage_mcap.DECOMPRESSORS["zstd"] = lambda content, _: unpack(_zstd().ZstdDecompressor(), content)


def _message_unpacker(reader: Any) -> Callable[[bytes], bytes]:
    """Takes the unpacking of messages that are packed one by one from rosbags, which does it without a limit."""
    storage = reader.storage
    if storage.metadata.compression_mode != "message":
        return bytes
    storage.metadata = storage.metadata._replace(compression_mode=None)
    return lambda content: unpack(_zstd().ZstdDecompressor(), content)


def _check_packing(path: pathlib.Path) -> None:
    """InputError for a ROS 2 bag whose files are packed as a whole, which would be unpacked to the disk."""
    if any(file.suffix in (".zstd", ".zst") for file in path.iterdir()):
        raise InputError(f"{path}: its files are packed as a whole; unpack them with 'ros2 bag convert'")


def unpack(unpacker: Any, content: bytes) -> bytes:
    """Unpacks a chunk with a decompressor of bz2's interface; PacketError where more than the limit comes out."""
    unpacked = unpacker.decompress(content, MAX_CHUNK_BYTES + 1)
    if len(unpacked) > MAX_CHUNK_BYTES:
        raise PacketError(_too_large(f"more than {MAX_CHUNK_BYTES}"))
    if not unpacker.eof:
        raise EOFError("a chunk ends too early")
    return unpacked


def _too_large(size: int | str) -> str:
    return f"a chunk unpacks to {size} bytes, which no recording of depth needs; record it with smaller chunks"


def _zstd() -> Any:
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd
    return zstd
