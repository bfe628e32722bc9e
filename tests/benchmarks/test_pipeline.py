"""OpenCV's way makes the same batches as the project's augmentation."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import augment

FRAMES, STORED, SIZE = 4, 48, 32


@pytest.fixture(scope="module")
def opencv():
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    from benchmarks import opencv_pipeline

    return opencv_pipeline


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(0)
    y, x = np.mgrid[:STORED, :STORED] / STORED
    depth_mm = np.stack([600.0 + 80.0 * np.sin(5 * x + k) + 60.0 * np.cos(4 * y) for k in range(FRAMES)])
    depth_mm[:, :6] = 0.0
    return {
        "depth_mm": depth_mm.astype(np.float32),
        "center_mm": random.normal([0, 0, 600], 15.0, (FRAMES, 3)).astype(np.float32),
        "extent_mm": np.full(FRAMES, 375.0, np.float32),
        "cube_mm": np.full(FRAMES, 250.0, np.float32),
        "joints_mm": random.normal([0, 0, 600], 60.0, (FRAMES, 36, 3)).astype(np.float32),
    }


ANGLES = np.array([0.0, 0.7, -2.5, 0.0], np.float32)
SHIFTS_MM = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [9.0, -14.0, 11.0]], np.float32)


def test_crops_are_the_same_but_for_rounded_pixels(opencv, rows):
    given = [rows[name] for name in ("depth_mm", "center_mm", "extent_mm", "cube_mm")]
    ours = augment.view_crops(*map(tf.constant, given), SIZE, tf.constant(ANGLES), tf.constant(SHIFTS_MM)).numpy()
    theirs = np.stack(
        [opencv.view_crop(*(part[k] for part in given), SIZE, ANGLES[k], SHIFTS_MM[k]) for k in range(FRAMES)]
    )
    # OpenCV rounds places to a fixed fraction of a pixel, so some nearest pixels are the next one.
    close = np.abs(ours - theirs) < 0.05
    assert close.mean(axis=(1, 2, 3)).min() > 0.95 and np.abs(ours - theirs)[close].mean() < 0.01
    assert (ours < 1.0).mean() > 0.5


def test_joints_are_the_same(opencv, rows):
    given = [rows[name] for name in ("joints_mm", "center_mm", "cube_mm")]
    ours = augment.view_joints(*map(tf.constant, given), tf.constant(ANGLES), tf.constant(SHIFTS_MM))
    theirs = [opencv.view_joints(*(part[k] for part in given), ANGLES[k], SHIFTS_MM[k]) for k in range(FRAMES)]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_batch_has_images_only_where_depth_was_read(opencv, rows):
    random = np.random.default_rng(1)
    whole = opencv.augmented(rows, SIZE, 180.0, 10.0, random)
    assert whole["image"].shape == (FRAMES, SIZE, SIZE, 1) and whole["joints"].shape == (FRAMES, 36, 3)
    poses = {name: value for name, value in rows.items() if name != "depth_mm"}
    assert set(opencv.augmented(poses, SIZE, 180.0, 10.0, random)) == {"joints"}


def test_views_are_of_three_kinds(opencv):
    random = np.random.default_rng(2)
    views = [opencv.draw_view(random, 90.0, 10.0) for _ in range(600)]
    turned, moved = (np.array([np.any(view[part]) for view in views]) for part in range(2))
    assert not (turned & moved).any()
    np.testing.assert_allclose([turned.mean(), moved.mean()], 1 / 3, atol=0.07)
    assert max(abs(angle) for angle, _ in views) < np.pi / 2
