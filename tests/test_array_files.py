"""Arrays are read in any order, or refused for what they are."""

import numpy as np
import pytest

from lsps_tf.array_files import VideoReader, open_array
from lsps_tf.depth_files import read_counts, read_depth
from lsps_tf.errors import InputError

VIDEO = np.random.default_rng(0).integers(300, 1500, (5, 24, 32)).astype(np.uint16)


def save(path, array, name="depth"):
    if path.suffix == ".npy":
        np.save(path, array, allow_pickle=True)
    else:
        np.savez_compressed(path, **{name: array})
    return path


def layouts(array):
    """The same numbers in other orders in memory and of bytes."""
    return {
        "C": array,
        "Fortran": np.asfortranarray(array),
        "transposed": np.ascontiguousarray(array.T).T,
        "big-endian": array.astype(array.dtype.newbyteorder(">")),
    }


@pytest.mark.parametrize("ending", [".npy", ".npz"])
@pytest.mark.parametrize("layout", ["C", "Fortran", "transposed", "big-endian"])
@pytest.mark.parametrize("dtype", ["uint16", "int32", "uint32", "int64", "float16", "float32", "float64"])
def test_frames_and_videos_come_back(tmp_path, ending, layout, dtype):
    video = VIDEO.astype(dtype)
    path = save(tmp_path / f"a{ending}", layouts(video)[layout])
    array = open_array(path)
    assert array.frames == 5
    np.testing.assert_array_equal(array.read(), video)
    reader = VideoReader(array) if ending == ".npz" else None
    for index in (0, 1, 4, 2, 2):
        found = reader.read(index) if reader else array.read_frame(index)
        np.testing.assert_array_equal(found, video[index])
    frame = save(tmp_path / f"b{ending}", layouts(video[0])[layout])
    assert open_array(frame).frames is None
    np.testing.assert_array_equal(read_depth(frame), video[0].astype(np.float32))


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_an_axis_of_length_1_is_dropped(tmp_path, ending):
    for shape in [(24, 32, 1), (1, 24, 32), (1, 24, 32, 1), (1, 1, 24, 32)]:
        path = save(tmp_path / f"a{ending}", VIDEO[0].reshape(shape))
        np.testing.assert_array_equal(read_counts(path), VIDEO[0])
        assert open_array(path).frames is None
    for shape in [(5, 24, 32, 1), (5, 1, 24, 32)]:
        for order in "CF":
            array = open_array(save(tmp_path / f"a{ending}", VIDEO.reshape(shape).copy(order)))
            assert array.frames == 5
            np.testing.assert_array_equal(array.read(), VIDEO)


@pytest.mark.parametrize("ending", [".npy", ".npz"])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((24, 32), np.uint8), "uint8, and 8 bits hold no depth"),
        (np.ones((24, 32), bool), "the array's type is bool"),
        (np.ones((24, 32), complex), "the array's type is complex128"),
        (np.array([["a", "b"]]), "the array's type is <U1"),
        (np.array([[{}]]), "holds objects, not numbers"),
        (np.ones((24, 32, 3)), "a picture in colors"),
        (np.ones((24, 32), [("depth", "u2"), ("time", "f8")]), "the array's type is"),
    ],
)
def test_what_is_no_depth_is_told_so(tmp_path, ending, array, message):
    path = save(tmp_path / f"a{ending}", array)
    with pytest.raises(InputError, match=message) as caught:
        read_depth(path)
    assert str(caught.value).startswith(str(path)) and "damaged" not in str(caught.value)


def test_archives_with_several_arrays_or_none_are_named(tmp_path):
    np.savez(tmp_path / "several.npz", a=VIDEO, b=VIDEO)
    with pytest.raises(InputError, match="it holds 2 arrays; save one, or name the depth 'depth'"):
        open_array(tmp_path / "several.npz")
    np.savez(tmp_path / "named.npz", depth=VIDEO, times=np.arange(5))
    assert open_array(tmp_path / "named.npz").member == "depth.npy"


class Trap:
    def __reduce__(self):
        return (open, ("ran", "w"))


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_nothing_in_a_file_is_run(tmp_path, monkeypatch, ending):
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path / f"a{ending}", np.array([[Trap()]], object))
    with pytest.raises(InputError, match="holds objects"):
        read_counts(path)
    assert not (tmp_path / "ran").exists()
