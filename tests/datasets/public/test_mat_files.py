"""MATLAB's files written by SciPy are read as SciPy reads them."""

import numpy as np
import pytest
import scipy.io

from lsps_tf.datasets.public import mat_files
from lsps_tf.datasets.public.mat_files import read_mat


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">f8"])
def test_numbers_of_every_type(tmp_path, packed, kind):
    values = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).astype(kind)
    others = {"before": "a text", "a": np.float64(3), "cells": np.array([1, "x"], object), "logical": np.ones(3, bool)}
    scipy.io.savemat(tmp_path / "a.mat", {**others, "joint_uvd": values, "z": 1}, do_compression=packed)
    read = read_mat(tmp_path / "a.mat", "joint_uvd")
    np.testing.assert_array_equal(read, scipy.io.loadmat(tmp_path / "a.mat")["joint_uvd"])
    assert read.dtype == values.dtype.newbyteorder("=") and read.shape == values.shape
    assert read_mat(tmp_path / "a.mat", "a").tolist() == [[3.0]] and read_mat(tmp_path / "a.mat", "none") is None
    assert read_mat(tmp_path / "a.mat", "cells") is None and read_mat(tmp_path / "a.mat", "before") is None


def test_small_whole_numbers_are_stored_small(tmp_path):
    """MATLAB keeps doubles as bytes where these hold them; written by hand, big-endian."""
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"

    def element(kind, content):
        return np.array([kind, len(content)], ">u4").tobytes() + content + bytes(-len(content) % 8)

    flags, shape = np.array([6, 0], ">u4").tobytes(), np.array([2, 3], ">i4").tobytes()
    small_name = np.array([1 << 16 | 1], ">u4").tobytes() + b"n\0\0\0"
    matrix = element(6, flags) + element(5, shape) + small_name + element(2, bytes([1, 2, 3, 4, 5, 6]))
    (tmp_path / "a.mat").write_bytes(head + element(14, matrix))
    read = read_mat(tmp_path / "a.mat", "n")
    assert read.dtype == np.float64 and read.tolist() == [[1, 3, 5], [2, 4, 6]]


def test_damage_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"n": np.ones((3, 4))}, do_compression=True)
    whole = path.read_bytes()
    for content, message in (
        (b"", "no header"),
        (whole[:140], "longer than the file"),
        (whole[:150] + b"\xff" + whole[151:], "packed data"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_mat(path, "n")
    path.write_bytes(whole)
    # What is packed is unpacked up to a limit.
    monkeypatch.setattr(mat_files, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="too large"):
        read_mat(path, "n")
