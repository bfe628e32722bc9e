"""The hand finder in NumPy against the one in TensorFlow, on simulated and, where they are, real frames."""

import functools
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import camera
from lsps_tf.depth_files import read_depth
from lsps_tf.device import presence, search
from lsps_tf.hand_finding import networks
from lsps_tf.hand_finding import search as tf_search
from lsps_tf.simulation import scenes
from tests.scene_frames import CAMERA, empty_frames, hand_frames

ROOT = pathlib.Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "data" / "real"


@functools.lru_cache(maxsize=1)
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
    for kind in scenes.HAND_SCENES:
        found.update({f"{kind} {n}": (depth_mm, CAMERA) for n, depth_mm in enumerate(hand_frames(kind)[0][:4])})
    for kind in scenes.EMPTY_SCENES:
        found.update({f"{kind} {n}": (depth_mm, CAMERA) for n, depth_mm in enumerate(empty_frames(kind)[:2])})
    for path in sorted((REAL / "sr305").glob("*.png")) if REAL.is_dir() else []:
        found[f"sr305 {path.stem}"] = (read_depth(path, 0.125), camera.SR305)
    if REAL.is_dir():
        found["nyu 1"] = (read_depth(REAL / "nyu" / "test_depth_1_0000001.png"), camera.NYU)
    return found


def _with_patch(depth_mm, half, value_mm):
    middle = depth_mm.shape[0] // 2
    depth_mm[middle - half : middle + half, middle - half : middle + half] = value_mm
    return depth_mm


@functools.lru_cache(maxsize=1)
def expected():
    """What TensorFlow finds in each frame: a centre, or None."""
    results = {}
    for name, (depth_mm, view) in frames().items():
        center_mm, presence = tf_search.find_hand(tf.constant(depth_mm[None]), tf.constant(view.intrinsics[None]))
        results[name] = center_mm.numpy()[0] if presence.numpy()[0] else None
    return results


def assert_same(center_mm, expected_mm, name):
    assert (center_mm is None) == (expected_mm is None), (name, center_mm, expected_mm)
    if expected_mm is not None:
        np.testing.assert_allclose(center_mm, expected_mm, atol=0.02, err_msg=name)


def test_hands_are_found_where_tensorflow_finds_them():
    for name, (depth_mm, view) in frames().items():
        assert_same(search.find_hand(depth_mm, view.intrinsics), expected()[name], name)
    found = sum(center_mm is not None for center_mm in expected().values())
    assert 8 <= found <= len(frames()) - 4


@pytest.mark.parametrize("moved_mm", [(0, 0, 0), (25, -20, 15), (-60, 40, 30), (300, 300, 300)])
def test_hands_are_followed_as_by_tensorflow(moved_mm):
    followed = 0
    for name, (depth_mm, view) in frames().items():
        if expected()[name] is None:
            continue
        previous_mm = np.add(expected()[name], moved_mm, dtype=np.float32)
        inputs = [tf.constant(value[None]) for value in (depth_mm, view.intrinsics, previous_mm)]
        expected_mm, presence, tracked = (value.numpy()[0] for value in tf_search.track_hand(*inputs))
        center_mm, was_tracked = search.track_hand(depth_mm, view.intrinsics, previous_mm)
        assert was_tracked == tracked, name
        assert_same(center_mm, expected_mm if presence else None, name)
        followed += was_tracked
    assert followed >= 8 or moved_mm[0] == 300


def test_a_hand_that_left_is_no_more():
    depth_mm, view = frames()["structured light"]
    center_mm = search.find_hand(depth_mm, view.intrinsics)
    assert search.track_hand(np.zeros_like(depth_mm), view.intrinsics, center_mm) == (None, False)


def test_whole_numbers_are_taken_as_they_are():
    depth_mm, view = frames()["structured light"]
    counts = depth_mm.astype(np.uint16)
    assert np.array_equal(counts, depth_mm)
    center_mm = search.find_hand(counts, view.intrinsics)
    np.testing.assert_array_equal(center_mm, search.find_hand(depth_mm, view.intrinsics))


@pytest.mark.parametrize("shift_mm", [(0, 0, 0), (40, -30, 25), (-90, 60, 40), (300, 300, 300)])
@pytest.mark.parametrize("iterations", [1, 8])
def test_refinement_is_that_of_tensorflow(shift_mm, iterations):
    for name, (depth_mm, view) in frames().items():
        if expected()[name] is None:
            continue
        start_mm = np.add(expected()[name], shift_mm, dtype=np.float32)
        inputs = [tf.constant(value[None]) for value in (depth_mm[::2, ::2], view.intrinsics / 2, start_mm)]
        refined_mm = tf_search.refine_center(*inputs, iterations).numpy()[0]
        center_mm = search.refine_center(depth_mm[::2, ::2], view.intrinsics / 2, start_mm, iterations)
        np.testing.assert_allclose(center_mm, refined_mm, atol=0.02, err_msg=name)


def test_the_judge_says_what_tensorflow_s_says():
    for name in ("structured light", "a wall", "noisy"):
        depth_mm, view = frames()[name]
        centers_mm = np.array([[200.0, -60.0, 770.0], [0.0, 0.0, 1500.0], [-300.0, 250.0, 600.0]], np.float32)
        repeated = [tf.constant(np.repeat(value[None], 3, axis=0)) for value in (depth_mm, view.intrinsics)]
        said = presence.judge_presence(depth_mm, view.intrinsics, centers_mm)
        for value, wanted in zip(said, networks.judge_presence(*repeated, tf.constant(centers_mm))):
            np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-2)
