"""The hand finder in NumPy against the one in TensorFlow, on simulated and, where they are, real frames."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from export import edge_hands
from lsps_tf import camera, hand_finding
from lsps_tf.frames import read_depth

ROOT = pathlib.Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "data" / "real"


def frames():
    """Depth and camera by name."""
    examples = ROOT / "docs" / "example"
    found = {
        "structured light": (read_depth(examples / "structured-light.png"), camera.NYU),
        "time of flight": (read_depth(examples / "time-of-flight.png"), camera.ICVL),
        "nothing": (np.zeros((480, 640), np.float32), camera.NYU),
        "a wall": (np.full((240, 320), 1500.0, np.float32), camera.ICVL),
        "too small": (_with_patch(np.zeros((240, 320), np.float32), 4, 700.0), camera.ICVL),
        "only an object": (_with_patch(np.full((480, 640), 2500.0, np.float32), 60, 700.0), camera.NYU),
        "cut by the border": (np.roll(read_depth(examples / "structured-light.png"), (-120, 90), (0, 1)), camera.NYU),
    }
    noise = np.random.default_rng(0).uniform(0.9, 1.1, (480, 640)).astype(np.float32)
    found["noisy"] = (found["structured light"][0] * noise, camera.NYU)
    for path in sorted((REAL / "sr305").glob("*.png")) if REAL.is_dir() else []:
        found[f"sr305 {path.stem}"] = (read_depth(path, 0.125), camera.SR305)
    if REAL.is_dir():
        found["nyu 1"] = (read_depth(REAL / "nyu" / "test_depth_1_0000001.png"), camera.NYU)
    return found


def _with_patch(depth_mm, half, value_mm):
    middle = depth_mm.shape[0] // 2
    depth_mm[middle - half : middle + half, middle - half : middle + half] = value_mm
    return depth_mm


def expected_of(depth_mm, view):
    center_mm, presence = hand_finding.find_hand(tf.constant(depth_mm[None]), tf.constant(view.intrinsics[None]))
    return center_mm.numpy()[0] if presence.numpy()[0] else None


def assert_same(center_mm, expected_mm, name):
    assert (center_mm is None) == (expected_mm is None), (name, center_mm, expected_mm)
    if expected_mm is not None:
        np.testing.assert_allclose(center_mm, expected_mm, atol=0.02, err_msg=name)


def test_hands_are_found_where_tensorflow_finds_them():
    found = 0
    for name, (depth_mm, view) in frames().items():
        expected_mm = expected_of(depth_mm, view)
        found += expected_mm is not None
        assert_same(edge_hands.find_hand(depth_mm, view.intrinsics), expected_mm, name)
    assert found >= 3


def test_whole_numbers_are_taken_as_they_are():
    depth_mm, view = frames()["structured light"]
    counts = depth_mm.astype(np.uint16)
    assert np.array_equal(counts, depth_mm)
    center_mm = edge_hands.find_hand(counts, view.intrinsics)
    np.testing.assert_array_equal(center_mm, edge_hands.find_hand(depth_mm, view.intrinsics))


@pytest.mark.parametrize("shift_mm", [(0, 0, 0), (40, -30, 25), (-90, 60, 40), (300, 300, 300)])
def test_refinement_is_that_of_tensorflow_whole_and_in_a_window(shift_mm):
    for name, (depth_mm, view) in frames().items():
        expected_mm = expected_of(depth_mm, view)
        if expected_mm is None:
            continue
        start_mm = np.add(expected_mm, shift_mm, dtype=np.float32)
        thinned, intrinsics = hand_finding._thinned(tf.constant(depth_mm[None]), tf.constant(view.intrinsics[None]))
        refined_mm = hand_finding.refine_center(thinned, intrinsics, tf.constant(start_mm[None])).numpy()[0]
        np.testing.assert_allclose(
            edge_hands.refine_center(depth_mm, view.intrinsics, start_mm), refined_mm, atol=0.02, err_msg=name
        )
        followed_mm = edge_hands.follow_hand(depth_mm, view.intrinsics, start_mm)
        if followed_mm is not None and np.abs(followed_mm - start_mm).max() < 60:
            np.testing.assert_allclose(followed_mm, refined_mm, atol=0.02, err_msg=name)


def test_a_hand_that_left_is_not_followed():
    depth_mm, view = frames()["structured light"]
    center_mm = edge_hands.find_hand(depth_mm, view.intrinsics)
    assert edge_hands.follow_hand(depth_mm, view.intrinsics, center_mm) is not None
    assert edge_hands.follow_hand(np.zeros_like(depth_mm), view.intrinsics, center_mm) is None
    assert edge_hands.follow_hand(depth_mm, view.intrinsics, center_mm - [0, 0, 400]) is None


def test_the_numbers_of_both_finders_are_the_same():
    names = ("NEAREST_MM", "FARTHEST_MM", "SMALLEST_HAND_MM2", "REACH_MM", "WRIST_MM", "ITERATIONS")
    hidden = ("SLAB_MM", "SLABS", "BLOB_SLABS", "CELL_MM", "CELLS", "SEARCH_WIDTH", "ARM_MM")
    for name, other in [*((n, n) for n in names), *((n, f"_{n}") for n in hidden)]:
        assert getattr(edge_hands, name) == getattr(hand_finding, other), name
