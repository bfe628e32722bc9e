"""Windows for the hand finder's training: their labels are of what they show, against loops that anyone can read."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.simulation import shape
from training.hand_finding import windows as source
from training.hand_finding.windows import CENTERS, WINDOW_MM, WINDOW_SIZE, make_windows

COUNT = 12


@pytest.fixture(scope="module")
def windows():
    subjects = shape.sample_shape(tf.constant([1, 2]), 3)
    made = make_windows("structured-light", subjects, COUNT, tf.constant([5, 6]))
    return type(made)(*(value.numpy() for value in made))


def readings_at(depth_mm, intrinsics, points_mm):
    """The reading at each point's pixel, 0 where there is none or the pixel lies outside."""
    fx, fy, cx, cy = intrinsics
    found = []
    for x, y, z in points_mm:
        u, v = round(fx * x / z + cx), round(fy * y / z + cy)
        inside = 0 <= u < depth_mm.shape[1] and 0 <= v < depth_mm.shape[0]
        found.append(depth_mm[v, u] if inside else 0.0)
    return np.array(found)


def share_on_surface(windows, joints_of):
    """Of the joints, how many lie up to 30 mm behind a reading: a hand's surface is before its joints."""
    intrinsics = crop.crop_intrinsics(windows.center_mm, WINDOW_MM, WINDOW_SIZE).numpy()
    hits = []
    for i, j in joints_of:
        joints_mm = windows.joints_mm[j] - windows.center_mm[j] + windows.center_mm[i]
        depth_mm = readings_at(windows.depth_mm[i], intrinsics[i], joints_mm)
        hits += list((depth_mm > 0) & (np.abs(joints_mm[:, 2] - 15.0 - depth_mm) < 15.0))
    return np.mean(hits)


def test_windows_with_a_hand_have_its_joints_and_others_have_none(windows):
    assert windows.depth_mm.shape == (COUNT, WINDOW_SIZE, WINDOW_SIZE) and windows.joints_mm.shape == (COUNT, 36, 3)
    finite = np.isfinite(windows.joints_mm)
    shown = finite.all(axis=(1, 2))
    np.testing.assert_array_equal(shown, finite.any(axis=(1, 2)))
    assert 0.5 * COUNT <= shown.sum() < COUNT
    hands = np.flatnonzero(shown)
    assert share_on_surface(windows, [(i, i) for i in hands]) > 0.5
    # Another window's joints do not lie on this window's surface.
    assert share_on_surface(windows, list(zip(hands, np.roll(hands, 1)))) < 0.25


def test_centers_to_judge_are_where_they_should_be(windows):
    assert windows.looks_mm.shape == (COUNT, CENTERS, 3) and np.isfinite(windows.looks_mm).all()
    assert (windows.looks_mm[..., 2] > 0.0).all()
    near, elsewhere = [], []
    for joints_mm, looks_mm in zip(windows.joints_mm, windows.looks_mm):
        if np.isfinite(joints_mm).all():
            distances_mm = [np.linalg.norm(look_mm - joints_mm.mean(axis=0)) for look_mm in looks_mm]
            # Five kinds, drawn twice: two near the hand, two on a surface anywhere, one moved off the hand.
            near += [distances_mm[k] for k in (0, 1, 5, 6)]
            elsewhere += [distances_mm[k] for k in (4, 9)]
    assert np.median(near) < source.HAND_MM < source.NO_HAND_MM < np.median(elsewhere)
    assert min(elsewhere) < 1.5 * source.NO_HAND_MM < max(elsewhere)


def test_the_same_seed_makes_the_same_windows(windows):
    subjects = shape.sample_shape(tf.constant([1, 2]), 3)
    again = make_windows("structured-light", subjects, COUNT, tf.constant([5, 6]))
    for value, other in zip(windows, again):
        np.testing.assert_array_equal(value, other)
