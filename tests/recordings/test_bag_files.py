"""Bags that are cut, damaged, or packed so that they would not fit: one line, and nothing unpacked beyond its limit."""

import pytest

from lsps_tf.recordings import bag_files
from tests.recordings.reading import refusal
from tests.recordings.writers import depth_topics, write_bag, write_mcap

pytestmark = pytest.mark.usefixtures("rosbags")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95])
@pytest.mark.parametrize("kind", ["bag", "db3", "mcap"])
def test_a_cut_file(tmp_path, kind, share):
    whole = {
        "bag": lambda: write_bag(tmp_path / "w.bag", 1, depth_topics(1, 40)),
        "db3": lambda: next(write_bag(tmp_path / "w", 2, depth_topics(2, 40)).glob("*.db3")),
        "mcap": lambda: next(write_bag(tmp_path / "w", 2, depth_topics(2, 40), "mcap").glob("*.mcap")),
    }[kind]()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    text = refusal(path)
    assert "cannot be opened" in text or "cut short or damaged" in text


def test_a_broken_index(tmp_path):
    path = write_bag(tmp_path / "a.bag", 1, depth_topics(1))
    content = bytearray(path.read_bytes())
    place = content.index(b"index_pos=") + len(b"index_pos=")
    content[place : place + 8] = bytes(8)
    path.write_bytes(content)
    assert "rosbag reindex" in refusal(path)


def test_damage_within_a_frame_is_named(tmp_path):
    path = write_bag(tmp_path / "a.bag", 1, depth_topics(1, 2), packing="BZ2")
    content = bytearray(path.read_bytes())
    place = content.index(b"BZh9") + 200
    content[place : place + 40] = bytes(40)
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize("packing", ["LZ4", "BZ2"])
def test_a_ros1_bomb_is_not_unpacked(tmp_path, monkeypatch, packing):
    path = write_bag(tmp_path / "a.bag", 1, depth_topics(1, 40), packing=packing)
    monkeypatch.setattr(bag_files, "MAX_CHUNK_BYTES", 20_000)
    assert "unpacks to more than 20000 bytes" in refusal(path)


@pytest.mark.usefixtures("mcap")
@pytest.mark.parametrize("packing", ["LZ4", "ZSTD"])
def test_an_mcap_bomb_is_not_unpacked(tmp_path, monkeypatch, packing):
    path = write_mcap(tmp_path / "a.mcap", depth_topics(2, 40), packing=packing)
    monkeypatch.setattr(bag_files, "MAX_CHUNK_BYTES", 20_000)
    assert "unpacks to more than 20000 bytes" in refusal(path)


def test_a_bomb_of_single_messages_is_not_unpacked(tmp_path, monkeypatch):
    path = write_bag(tmp_path / "a", 2, depth_topics(2), packing="MESSAGE")
    monkeypatch.setattr(bag_files, "MAX_CHUNK_BYTES", 1000)
    assert "unpacks to more than 1000 bytes" in refusal(path)


def test_a_bag_packed_as_a_whole_is_not_unpacked_to_the_disk(tmp_path):
    assert "ros2 bag convert" in refusal(write_bag(tmp_path / "a", 2, depth_topics(2), packing="FILE"))


@pytest.mark.usefixtures("mcap")
def test_an_mcap_of_other_messages_is_refused(tmp_path):
    assert "ros2" in refusal(write_mcap(tmp_path / "a.mcap", depth_topics(2), profile="protobuf"))
