"""ROS bags and MCAP, written by rosbags and by the makers of MCAP, are read back exactly."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from lsps_tf.camera import Camera
from lsps_tf.distortion import NO_DISTORTION, Distortion
from lsps_tf.errors import InputError
from lsps_tf.recordings.opening import open_recording
from tests.recordings import writers
from tests.recordings.reading import refusal
from tests.recordings.writers import BROWN, depth_counts, depth_topics, image, time_ns, write_bag, write_mcap

TOPIC = "/camera/depth/image_raw"
pytestmark = pytest.mark.usefixtures("rosbags")


def check(path, kind=np.uint16, frames=3, unit_mm=1.0):
    """Everything that `depth_topics` says is read back."""
    with open_recording(path) as recording:
        stream = recording.stream
        assert (stream.topic, stream.frames, len(recording)) == (TOPIC, frames, frames)
        assert (stream.width, stream.height, stream.depth_unit_mm) == (32, 24, unit_mm)
        assert stream.camera == Camera(40.0, 41.0, 15.5, 11.25, 32, 24)
        assert stream.distortion == Distortion("brown-conrady", BROWN)
        found = list(recording)
        assert [frame.time_ns for frame in found] == [time_ns(i) for i in range(frames)]
        for i, frame in enumerate(found):
            assert frame.counts.dtype == kind
            np.testing.assert_array_equal(frame.counts, depth_counts(i, kind))
        # Back, and on from there.
        np.testing.assert_array_equal(recording.read(1).counts, depth_counts(1, kind))
        np.testing.assert_array_equal(recording.read(2).counts, depth_counts(2, kind))


@pytest.mark.parametrize("packing", ["", "LZ4", "BZ2"])
@pytest.mark.parametrize(("encoding", "kind", "unit_mm"), [("16UC1", np.uint16, 1.0), ("32FC1", np.float32, 1000.0)])
def test_ros1(tmp_path, packing, encoding, kind, unit_mm):
    check(write_bag(tmp_path / "a.bag", 1, depth_topics(1, encoding=encoding), packing=packing), kind, unit_mm=unit_mm)


@pytest.mark.parametrize(("storage", "packing"), [("sqlite3", ""), ("sqlite3", "MESSAGE"), ("mcap", "")])
def test_ros2(tmp_path, storage, packing):
    check(write_bag(tmp_path / "a", 2, depth_topics(2), storage, packing))


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_a_ros2_file_without_its_folder(tmp_path, storage):
    folder = write_bag(tmp_path / "a", 2, depth_topics(2), storage)
    [file] = [path for path in folder.iterdir() if path.suffix != ".yaml"]
    check(shutil.move(file, tmp_path / f"alone{file.suffix}"))


@pytest.mark.usefixtures("mcap")
@pytest.mark.parametrize("packing", ["ZSTD", "LZ4", "NONE"])
@pytest.mark.parametrize(
    "settings", [{}, {"use_chunking": False}, {"use_summary_offsets": False, "use_statistics": False}]
)
def test_mcap_of_its_makers(tmp_path, packing, settings):
    check(write_mcap(tmp_path / "a.mcap", depth_topics(2), packing=packing, **settings))


def test_big_endian_rows_with_padding(tmp_path):
    types = writers.store(1)
    topics = {**depth_topics(1), TOPIC: [image(types, depth_counts(0).astype(">u2"), "16UC1", padding=6)]}
    with open_recording(write_bag(tmp_path / "a.bag", 1, topics)) as recording:
        np.testing.assert_array_equal(recording.read(0).counts, depth_counts(0))


def test_without_a_stamp_the_time_of_recording_counts(tmp_path):
    topics = depth_topics(1)
    for message in topics[TOPIC]:
        message.header.stamp.sec = message.header.stamp.nanosec = 0
    with open_recording(write_bag(tmp_path / "a.bag", 1, topics)) as recording:
        assert [frame.time_ns for frame in recording] == [time_ns(i) for i in range(3)]


def realsense_topics(unit: float | None = 0.000125, model="Inverse Brown Conrady", infrared="mono8"):
    """What RealSense's recorder writes."""
    types = writers.store(1)
    sensor = "/device_0/sensor_0"
    kind = np.uint8 if infrared == "mono8" else np.uint16
    topics = {
        f"{sensor}/Depth_0/image/data": [image(types, depth_counts(i), "mono16", i) for i in range(2)],
        f"{sensor}/Depth_0/info/camera_info": [writers.camera_info(types, model)],
        f"{sensor}/Infrared_1/image/data": [image(types, depth_counts(i, kind), infrared, i) for i in range(2)],
        f"{sensor}/Infrared_1/info/camera_info": [writers.camera_info(types, "None", ())],
    }
    if unit is not None:
        topics[f"{sensor}/option/Depth Units/value"] = [types.types["std_msgs/msg/Float32"](unit)]
    return topics


@pytest.mark.parametrize("infrared", ["mono8", "mono16"])
def test_realsense(tmp_path, infrared):
    with open_recording(write_bag(tmp_path / "a.bag", 1, realsense_topics(infrared=infrared))) as recording:
        assert recording.stream.topic == "/device_0/sensor_0/Depth_0/image/data"
        assert recording.stream.depth_unit_mm == 0.125
        assert recording.stream.camera == Camera(40.0, 41.0, 15.5, 11.25, 32, 24)
        assert recording.stream.distortion == Distortion("inverse-brown-conrady", BROWN)
        np.testing.assert_array_equal(recording.read(1).counts, depth_counts(1))


def test_realsense_of_ros2_says_camera_and_unit_in_words(tmp_path):
    types, sensor = writers.store(2), "/device_0/sensor_0"
    text = types.types["std_msgs/msg/String"]
    said = "width=32;height=24;fx=40;ppx=15.5;fy=41;ppy=11.25;model=Brown Conrady;coeffs=0.1,0,0,0,0"
    topics = {
        f"{sensor}/Depth_0/image/data": [image(types, depth_counts(0), "mono16")],
        f"{sensor}/Depth_0/camera_info": [text(said)],
        f"{sensor}/option/Depth_Units/value": [text("0.001000")],
    }
    with open_recording(write_bag(tmp_path / "a", 2, topics)) as recording:
        assert recording.stream.depth_unit_mm == 1.0
        assert recording.stream.camera == Camera(40.0, 41.0, 15.5, 11.25, 32, 24)
        assert recording.stream.distortion == Distortion("brown-conrady", (0.1, 0.0, 0.0, 0.0, 0.0))


def test_what_a_recording_does_not_say_is_not_guessed(tmp_path):
    with open_recording(write_bag(tmp_path / "a.bag", 1, realsense_topics(unit=None))) as recording:
        assert recording.stream.depth_unit_mm is None
    topics = {TOPIC: depth_topics(1)[TOPIC], "/camera/color/camera_info": [writers.camera_info(writers.store(1))]}
    with open_recording(write_bag(tmp_path / "b.bag", 1, topics)) as recording:
        assert recording.stream.camera is None
        assert "/camera/color/camera_info" in recording.stream.camera_missing


def test_aligned_depth_has_the_color_cameras_numbers(tmp_path):
    types, topic = writers.store(1), "/camera/aligned_depth_to_color/image_raw"
    frames = [image(types, depth_counts(0), "16UC1")]
    info = {"/camera/color/camera_info": [writers.camera_info(types)]}
    depth_info = {"/camera/depth/camera_info": [writers.camera_info(types, k=np.eye(3).reshape(-1))]}
    with open_recording(write_bag(tmp_path / "a.bag", 1, {topic: frames, **info, **depth_info})) as recording:
        assert recording.stream.camera == Camera(40.0, 41.0, 15.5, 11.25, 32, 24)
    with open_recording(write_bag(tmp_path / "b.bag", 1, {topic: frames, **depth_info})) as recording:
        assert recording.stream.camera is None
        assert "aligned to color" in recording.stream.camera_missing


def test_rectified_images_have_no_distortion_left(tmp_path):
    topics = depth_topics(1, topic="/camera/depth/image_rect")
    with open_recording(write_bag(tmp_path / "a.bag", 1, topics)) as recording:
        assert recording.stream.camera == Camera(38.0, 39.0, 15.0, 11.0, 32, 24)
        assert recording.stream.distortion == NO_DISTORTION


def test_a_camera_that_joins_pixels(tmp_path):
    types = writers.store(1)
    info = writers.camera_info(types, width=64, height=48, binning_x=2, binning_y=2)
    topics = {**depth_topics(1), "/camera/depth/camera_info": [info]}
    with open_recording(write_bag(tmp_path / "a.bag", 1, topics)) as recording:
        assert recording.stream.camera == Camera(20.0, 20.5, 7.5, 5.375, 32, 24)


def png_of(counts: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(counts).save(file, "PNG")
    return file.getvalue()


def test_compressed_depth(tmp_path):
    types, info = writers.store(1), depth_topics(1)["/camera/depth/camera_info"]
    config = np.array([0, 0, 0], np.int32).tobytes()
    frames = [
        writers.compressed(types, config + png_of(depth_counts(i)), "16UC1; compressedDepth png", i) for i in range(2)
    ]
    topics = {f"{TOPIC}/compressedDepth": frames, "/camera/depth/camera_info": info}
    with open_recording(write_bag(tmp_path / "a.bag", 1, topics)) as recording:
        assert recording.stream.camera == Camera(40.0, 41.0, 15.5, 11.25, 32, 24)
        np.testing.assert_array_equal(recording.read(1).counts, depth_counts(1))
    # Beside the same depth as it is, that is taken.
    with open_recording(write_bag(tmp_path / "b.bag", 1, {**topics, **depth_topics(1)})) as recording:
        assert recording.stream.topic == TOPIC


def test_compressed_floats(tmp_path):
    """As compressed_depth_image_transport quantises: inverse depth in counts."""
    types, topics = writers.store(1), depth_topics(1)
    depth = np.linspace(0.3, 5.0, 768, dtype=np.float32).reshape(24, 32)
    counts = np.uint16(np.clip(1 / depth * 1000.0 + 5.0, 0, 65535))
    config = np.array([0], "<i4").tobytes() + np.array([1000.0, 5.0], "<f4").tobytes()
    frame = writers.compressed(types, config + png_of(counts), "32FC1; compressedDepth png")
    topics = {f"{TOPIC}/compressedDepth": [frame], "/camera/depth/camera_info": topics["/camera/depth/camera_info"]}
    with open_recording(write_bag(tmp_path / "a.bag", 1, topics)) as recording:
        assert recording.stream.depth_unit_mm == 1000.0
        # A count is 1 / 1000 of the inverse.
        np.testing.assert_allclose(1 / recording.read(0).counts, 1 / depth, atol=1.1e-3)


def test_several_depth_topics_are_named_and_one_can_be_chosen(tmp_path):
    types, other = writers.store(1), "/other/depth/image_raw"
    topics = {**depth_topics(1), other: [image(types, depth_counts(5), "16UC1")]}
    path = write_bag(tmp_path / "a.bag", 1, topics)
    text = refusal(path)
    assert TOPIC in text
    assert other in text
    assert "--topic" in text
    with open_recording(path, other) as recording:
        np.testing.assert_array_equal(recording.read(0).counts, depth_counts(5))
        assert recording.stream.camera is None
    assert "there is no image topic '/nothing'" in refusal(path, "/nothing")


def test_two_cameras_in_one_recording_are_told_apart(tmp_path):
    types, other = writers.store(1), "/right/depth/image_raw"
    matrix = np.array([50.0, 0, 12.0, 0, 51.0, 10.0, 0, 0, 1])
    topics = {**depth_topics(1, topic="/left/depth/image_raw"), **depth_topics(1, 2, topic=other)}
    topics["/right/depth/camera_info"] = [writers.camera_info(types, k=matrix)]
    path = write_bag(tmp_path / "a.bag", 1, topics)
    assert "choose one with --topic: /left/depth/image_raw, /right/depth/image_raw" in refusal(path)
    with open_recording(path, other) as recording:
        assert (len(recording), recording.stream.camera) == (2, Camera(50.0, 51.0, 12.0, 10.0, 32, 24))


@pytest.mark.parametrize("encoding", ["8UC1", "rgb8", "mono8"])
def test_a_bag_without_depth_says_what_it_has(tmp_path, encoding):
    types = writers.store(1)
    pixels = np.zeros((24, 96 if encoding == "rgb8" else 32), np.uint8)
    path = write_bag(tmp_path / "a.bag", 1, {"/camera/image": [image(types, pixels, encoding)]})
    assert "no depth in this recording" in refusal(path)
    assert "/camera/image" in refusal(path)
    assert "is no depth" in refusal(path, "/camera/image")


def test_depth_as_jpeg_or_rvl_is_refused(tmp_path):
    types = writers.store(1)
    jpeg = [writers.compressed(types, b"\xff\xd8\xff", "16UC1; jpeg compressed")]
    assert "no depth" in refusal(write_bag(tmp_path / "a.bag", 1, {f"{TOPIC}/compressed": jpeg}))
    rvl = [writers.compressed(types, bytes(40), "16UC1; compressedDepth rvl")]
    assert "rvl" in refusal(write_bag(tmp_path / "b.bag", 1, {f"{TOPIC}/compressedDepth": rvl}))


def test_a_frame_of_another_camera_is_refused(tmp_path):
    info = [writers.camera_info(writers.store(1), width=64, height=48)]
    path = write_bag(tmp_path / "a.bag", 1, {**depth_topics(1), "/camera/depth/camera_info": info})
    assert "32 x 24 pixels, its camera_info says 64 x 48" in refusal(path)


def test_an_unknown_lens_is_refused_by_name(tmp_path):
    path = write_bag(tmp_path / "a.bag", 1, realsense_topics(model="Ftheta"))
    assert "'Ftheta' is not known" in refusal(path)


def test_a_number_beyond_the_last(tmp_path):
    recording = open_recording(write_bag(tmp_path / "a.bag", 1, depth_topics(1)))
    with recording, pytest.raises(InputError, match=r"a\.bag#3: there is no such frame; the last one is 2"):
        recording.read(3)
