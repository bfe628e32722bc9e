import os

import numpy as np
import pytest
from PIL import Image

from lsps_tf.datasets.own import files
from lsps_tf.datasets.own.camera_file import CAMERA_FILE, CameraFile
from lsps_tf.depth_files import write_depth_png16
from lsps_tf.errors import InputError

CAMERA = 'fx = 476.0\nfy = 475.0\ncx = 313.5\ncy = 242.5\ndepth_unit_mm = 0.125\nhand = "left"\n'


def write(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CAMERA_FILE).write_text(text)
    return folder


def test_frames_come_by_sequence_in_the_order_of_their_numbers(tmp_path):
    depth_mm = np.full((6, 8), 500.0)
    for name in ("b/2.png", "b/10.png", "b/1.png", "a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_depth_png16(tmp_path / name, depth_mm)
    np.save(tmp_path / "one.npy", depth_mm)
    np.savez_compressed(tmp_path / "video.npz", depth=np.zeros((3, 6, 8), np.uint16), times=np.arange(3))
    np.save(tmp_path / "clip.npy", np.zeros((2, 6, 8), np.uint16))
    (tmp_path / "notes.txt").write_text("no frame")
    (tmp_path / ".hidden.png").write_bytes(b"no frame either")
    (tmp_path / "store.h5.hands").mkdir()
    np.savez(tmp_path / "store.h5.hands" / "000000.npz", a=np.zeros(2), b=np.zeros(3))
    names = {key: [frame.name for frame in frames] for key, frames in files.list_sequences(tmp_path).items()}
    assert names == {
        ".": ["a.png", "one.npy"],
        "b": ["b/1.png", "b/2.png", "b/10.png"],
        "clip.npy": ["clip.npy#0", "clip.npy#1"],
        "video.npz": ["video.npz#0", "video.npz#1", "video.npz#2"],
    }


def test_every_format_gives_its_counts(tmp_path):
    counts = np.random.default_rng(0).integers(1, 60000, (4, 6, 8)).astype(np.uint16)
    write_depth_png16(tmp_path / "a.png", counts[0])
    Image.fromarray(counts[0]).save(tmp_path / "b.tiff")
    Image.fromarray(counts[0].astype(np.float32)).save(tmp_path / "c.tif")
    np.save(tmp_path / "d.npy", counts[0])
    np.savez_compressed(tmp_path / "e.npz", counts)
    np.save(tmp_path / "f.npy", counts)
    sequences = files.list_sequences(tmp_path)
    with files.FrameReader() as reader:
        for frame in sequences["."]:
            np.testing.assert_array_equal(reader.read(frame), counts[0])
        for video in ("e.npz", "f.npy"):
            for index in (0, 1, 3, 2, 2):
                np.testing.assert_array_equal(reader.read(sequences[video][index]), counts[index])


def test_readings_outside_the_limits_are_none():
    camera = CameraFile(1.0, 1.0, 0.0, 0.0, 0.5, "right", near_mm=100.0, far_mm=300.0)
    depth_mm = files.to_mm(np.array([[0, 198, 200, 600, 602, 65535]], np.uint16), camera)
    np.testing.assert_array_equal(depth_mm, [[0.0, 0.0, 100.0, 300.0, 0.0, 0.0]])
    depth_mm = files.to_mm(np.array([[np.nan, 400.0, np.inf, -np.inf, -400.0]]), camera)
    np.testing.assert_array_equal(depth_mm, [[0.0, 200.0, 0.0, 0.0, 0.0]])


@pytest.mark.parametrize(("degrees", "turned"), [(0, [[1, 2, 3], [4, 5, 6]]), (90, [[4, 1], [5, 2], [6, 3]])])
def test_frames_are_turned_clockwise_to_stand_upright(degrees, turned):
    camera = CameraFile(1.0, 1.0, 0.0, 0.0, 1.0, "right", rotation_degrees=degrees)
    np.testing.assert_array_equal(files.to_mm(np.array([[1, 2, 3], [4, 5, 6]]), camera), turned)


def test_names_that_are_no_utf_8_are_like_others(tmp_path):
    """A file name that is no UTF-8 is read like any other."""
    write(tmp_path, CAMERA)
    name = os.fsdecode(b"\xfc.png")
    write_depth_png16(tmp_path / name, np.full((6, 8), 500.0))
    sequences = files.list_sequences(tmp_path)
    assert [frame.name for frame in sequences["."]] == [name]
    first = files.fingerprint(tmp_path, sequences, "left")
    (tmp_path / name).rename(tmp_path / os.fsdecode(b"\xfd.png"))
    assert files.fingerprint(tmp_path, files.list_sequences(tmp_path), "left") != first
    with files.FrameReader() as reader:
        assert reader.read(files.list_sequences(tmp_path)["."][0]).max() == 500


def test_folders_without_frames_and_broken_videos_are_named(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        files.list_sequences(tmp_path / "none")
    with pytest.raises(InputError, match="there are no frames"):
        files.list_sequences(tmp_path)
    np.savez(tmp_path / "two.npz", a=np.zeros((2, 3, 4)), b=np.zeros((2, 3, 4)))
    with pytest.raises(InputError, match=r"two\.npz: it holds 2 arrays"):
        files.list_sequences(tmp_path)
    np.savez(tmp_path / "two.npz", np.zeros((3, 4)))
    assert [frame.name for frame in files.list_sequences(tmp_path)["."]] == ["two.npz"]
    for shape, message in {(2, 3, 4, 5): "a video has three axes", (0, 3, 4): "there is no frame in it"}.items():
        np.savez(tmp_path / "two.npz", np.zeros(shape))
        with pytest.raises(InputError, match=message):
            files.list_sequences(tmp_path)
    np.savez(tmp_path / "two.npz", np.zeros((2, 3, 4)))
    content = (tmp_path / "two.npz").read_bytes()
    (tmp_path / "two.npz").write_bytes(content[:100])
    with pytest.raises(InputError, match=r"two\.npz: the archive is truncated"):
        files.list_sequences(tmp_path)


def test_a_video_damaged_inside_loses_the_frames_from_there_on(tmp_path):
    path = tmp_path / "video.npz"
    np.savez(path, np.arange(4 * 40 * 50, dtype=np.uint16).reshape(4, 40, 50))
    content = bytearray(path.read_bytes())
    content[-3000] ^= 0xFF
    path.write_bytes(bytes(content))
    frames = files.list_sequences(tmp_path)["video.npz"]
    with files.FrameReader() as reader:
        assert reader.read(frames[0])[0, 1] == 1
        with pytest.raises(InputError, match="video.npz#3: the archive is truncated or damaged"):
            reader.read(frames[3])
        assert reader.read(frames[0])[0, 1] == 1


def test_the_fingerprint_follows_every_file(tmp_path):
    write(tmp_path, CAMERA)
    write_depth_png16(tmp_path / "a.png", np.full((6, 8), 500.0))
    prints = [files.fingerprint(tmp_path, files.list_sequences(tmp_path), "left")]
    assert prints[0] == files.fingerprint(tmp_path, files.list_sequences(tmp_path), "left")
    prints.append(files.fingerprint(tmp_path, files.list_sequences(tmp_path), "right"))
    write(tmp_path, CAMERA.replace("476", "477"))
    prints.append(files.fingerprint(tmp_path, files.list_sequences(tmp_path), "left"))
    write_depth_png16(tmp_path / "b.png", np.full((6, 8), 500.0))
    prints.append(files.fingerprint(tmp_path, files.list_sequences(tmp_path), "left"))
    (tmp_path / "joints.csv").write_text("frame\n")
    prints.append(files.fingerprint(tmp_path, files.list_sequences(tmp_path), "left"))
    assert len(set(prints)) == 5
