"""Folders and recordings of other programs: their frames are listed, and what they say of the camera is taken."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from lsps_tf.datasets.own import files
from lsps_tf.datasets.own.camera_file import read_camera_file
from lsps_tf.distortion import Distortion
from lsps_tf.errors import InputError
from tests.recordings import writers
from tests.recordings.test_pictures import METADATA
from tests.recordings.writers import BROWN, depth_counts, depth_topics, image, write_bag

INTRINSICS = [40.0, 0, 0, 0, 41.0, 0, 15.5, 11.25, 1]
YAML = """image_width: 32
image_height: 24
camera_matrix:
  rows: 3
  cols: 3
  data: [40.0, 0.0, 15.5, 0.0, 41.0, 11.25, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.12, 0.03, 0.001, -0.002, 0.004]
"""


def pngs(folder, count=3, color="color"):
    for name in ("depth", color):
        (folder / name).mkdir(parents=True)
    for i in range(count):
        Image.fromarray(depth_counts(i)).save(folder / "depth" / f"{i:06d}.png")
        Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(folder / color / f"{i:06d}.png")
    return folder


def camera_of(folder, topic=None):
    sequences = files.list_sequences(folder, topic)
    return sequences, read_camera_file(folder, files.describe(folder, sequences), "right")


def is_the_camera(camera, unit_mm):
    said = (camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height, camera.depth_unit_mm)
    return said == (40.0, 41.0, 15.5, 11.25, 32, 24, unit_mm)


@pytest.mark.parametrize(("scale", "unit_mm"), [(None, 1.0), (4000.0, 0.25)])
def test_open3d(tmp_path, scale, unit_mm):
    values = {"width": 32, "height": 24, "intrinsic_matrix": INTRINSICS}
    pngs(tmp_path)
    (tmp_path / "camera_intrinsic.json").write_text(
        json.dumps(values if scale is None else {**values, "depth_scale": scale})
    )
    sequences, camera = camera_of(tmp_path)
    # The pictures of color are none.
    assert [frame.name for frame in sequences["depth"]] == [f"depth/{i:06d}.png" for i in range(3)]
    assert list(sequences) == ["depth"]
    assert is_the_camera(camera, unit_mm)


def test_tum(tmp_path):
    pngs(tmp_path, color="rgb")
    (tmp_path / "depth.txt").write_text("# timestamp filename\n")
    sequences = files.list_sequences(tmp_path)
    with pytest.raises(InputError, match=r"fx, fy, cx, cy are missing \(the TUM RGB-D benchmark advises fx = fy = 525"):
        read_camera_file(tmp_path, files.describe(tmp_path, sequences), "right")
    (tmp_path / "camera.toml").write_text("fx = 525.0\nfy = 525.0\ncx = 319.5\ncy = 239.5\n")
    assert camera_of(tmp_path)[1].depth_unit_mm == 0.2
    assert list(sequences) == ["depth"]


def test_ros_yaml_beside_frames(tmp_path):
    pngs(tmp_path)
    (tmp_path / "depth" / "camera_info.yaml").write_text(YAML)
    with pytest.raises(InputError, match=r"depth_unit_mm is missing \(camera_info\.yaml does not say it\)"):
        camera_of(tmp_path)
    (tmp_path / "camera.toml").write_text("depth_unit_mm = 1.0\n")
    camera = camera_of(tmp_path)[1]
    assert is_the_camera(camera, 1.0)
    assert camera.distortion == Distortion("brown-conrady", BROWN)


def test_realsense_viewer(tmp_path):
    for i in range(2):
        (tmp_path / f"{i}_Depth.raw").write_bytes(depth_counts(i).astype("<u2").tobytes())
        (tmp_path / f"{i}_Depth_metadata.csv").write_text(METADATA)
        # What it exports beside depth.
        Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(tmp_path / f"{i}_Depth.png")
        (tmp_path / f"{i}_Color.raw").write_bytes(bytes(3))
        Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(tmp_path / f"{i}_Color.png")
    (tmp_path / "camera.toml").write_text("depth_unit_mm = 1.0\n")
    sequences, camera = camera_of(tmp_path)
    assert [frame.name for frame in sequences["."]] == ["0_Depth.raw", "1_Depth.raw"]
    assert is_the_camera(camera, 1.0)
    with files.FrameReader() as reader:
        np.testing.assert_array_equal(reader.read(sequences["."][1]), depth_counts(1))


def test_two_files_that_say_what_the_camera_is(tmp_path):
    pngs(tmp_path)
    (tmp_path / "camera_info.yaml").write_text(YAML)
    (tmp_path / "camera_intrinsic.json").write_text("{}")
    with pytest.raises(InputError, match="remove one of them"):
        camera_of(tmp_path)


def test_a_folder_without_depth_says_what_is_the_matter(tmp_path):
    (tmp_path / "depth.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=r"depth\.mp4: videos keep colors"):
        files.list_sequences(tmp_path)
    with pytest.raises(InputError, match=r"depth\.mp4: videos keep colors"):
        files.list_sequences(tmp_path / "depth.mp4")


@pytest.mark.usefixtures("rosbags")
@pytest.mark.parametrize("kind", ["file", "ros2 folder", "folder of both"])
def test_a_recording_is_a_sequence(tmp_path, kind):
    if kind == "file":
        root, names = write_bag(tmp_path / "a.bag", 1, depth_topics(1)), ["a.bag"]
    elif kind == "ros2 folder":
        root, names = write_bag(tmp_path / "a", 2, depth_topics(2)), ["a"]
    else:
        root, names = tmp_path, ["a.bag", "b"]
        write_bag(tmp_path / "a.bag", 1, depth_topics(1))
        write_bag(tmp_path / "b", 2, depth_topics(2))
    sequences, camera = camera_of(root)
    assert list(sequences) == names
    assert is_the_camera(camera, 1.0)
    assert camera.distortion == Distortion("brown-conrady", BROWN)
    with files.FrameReader() as reader:
        for name, frames in sequences.items():
            assert [frame.name for frame in frames] == [f"{name}#{i}" for i in range(3)]
            for i in (0, 2, 1):
                np.testing.assert_array_equal(reader.read(frames[i]), depth_counts(i))
    described = files.describe(root, sequences)
    assert files.fingerprint(root, sequences, "left", described) != files.fingerprint(
        root, sequences, "right", described
    )


@pytest.mark.usefixtures("rosbags")
def test_the_lens_is_undone_where_counts_become_mm(tmp_path):
    lens = Distortion("brown-conrady", (0.5, 0.0, 0.0, 0.0, 0.0))
    topics = depth_topics(1)
    topics["/camera/depth/camera_info"] = [writers.camera_info(writers.store(1), d=lens.coefficients)]
    sequences, camera = camera_of(write_bag(tmp_path / "a.bag", 1, topics))
    with files.FrameReader() as reader:
        depth_mm = files.to_mm(reader.read(sequences["a.bag"][0]), camera)
    # Row 11 is almost the middle: 12 pixels right of it x = 0.3, and the lens has it at 0.3 (1 + 0.5 * 0.09) there.
    assert depth_mm[11, 27] == depth_counts(0)[11, round(15.5 + 40 * 0.2875 * (1 + 0.5 * 0.2875**2))]


@pytest.mark.usefixtures("rosbags")
def test_the_topic_is_chosen(tmp_path):
    other = "/other/depth/image_raw"
    topics = {**depth_topics(1), other: [image(writers.store(1), depth_counts(9), "16UC1")]}
    path = write_bag(tmp_path / "a.bag", 1, topics)
    with pytest.raises(InputError, match="--topic"):
        files.list_sequences(path)
    with files.FrameReader() as reader:
        np.testing.assert_array_equal(reader.read(files.list_sequences(path, other)["a.bag"][0]), depth_counts(9))
    pngs(tmp_path / "plain")
    with pytest.raises(InputError, match="no recording with topics"):
        files.list_sequences(tmp_path / "plain", other)


@pytest.mark.usefixtures("rosbags")
def test_recordings_of_two_cameras_are_not_mixed(tmp_path):
    write_bag(tmp_path / "a.bag", 1, depth_topics(1))
    other = depth_topics(1)
    other["/camera/depth/camera_info"] = [writers.camera_info(writers.store(1), d=(0.0,) * 5)]
    write_bag(tmp_path / "b.bag", 1, other)
    with pytest.raises(InputError, match=r"b\.bag is of another camera"):
        camera_of(tmp_path)
    shutil.copy(tmp_path / "a.bag", tmp_path / "b.bag")
    assert len(camera_of(tmp_path)[0]) == 2


@pytest.mark.usefixtures("rosbags")
def test_aligned_depth_without_the_color_cameras_numbers_asks_for_them(tmp_path):
    topic = "/camera/aligned_depth_to_color/image_raw"
    path = write_bag(tmp_path / "a.bag", 1, {topic: depth_topics(1)["/camera/depth/image_raw"]})
    with pytest.raises(InputError, match=r"fx, fy, cx, cy are missing \(its depth is aligned to color, and the color"):
        camera_of(path)
    (tmp_path / "a.camera.toml").write_text("fx = 40.0\nfy = 41.0\ncx = 15.5\ncy = 11.25\n")
    assert is_the_camera(camera_of(path)[1], 1.0)
