"""The centre of mass of a hand without its forearm, against a loop over points that anyone can read."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.hand_finding.center_of_mass import refine_center
from lsps_tf.hand_finding.constants import REACH_MM, WRIST_MM

# Of a frame of 80 x 60 pixels.
SMALL = np.array([[120.0, 118.0, 40.0, 30.0]], np.float32)


def arm_frame(arm: bool):
    """A hand of 160 x 80 mm, square on at 600 mm, whose arm, 60 mm wide, leaves it downwards."""
    center = np.array([[0.0, 0.0, 600.0]], np.float32)
    x, y = (value.numpy()[0] * 600.0 for value in crop.pixel_rays(crop.crop_intrinsics(center, 600.0, 150), 150, 150))
    hand = (np.abs(x)[None] < 40.0) & (np.abs(y)[:, None] < 80.0)
    forearm = (np.abs(x)[None] < 30.0) & (y[:, None] >= 80.0) if arm else np.zeros_like(hand)
    return np.where(hand | forearm, np.float32(600.0), np.float32(0.0))[None], crop.crop_intrinsics(center, 600.0, 150)


def test_the_centre_of_mass_of_a_hand_without_an_arm_is_its_own():
    depth_mm, intrinsics = arm_frame(arm=False)
    start_mm = tf.constant([[30.0, -40.0, 620.0]])
    np.testing.assert_allclose(refine_center(depth_mm, intrinsics, start_mm), [[0.0, 0.0, 600.0]], atol=2.1)


def test_the_forearm_is_cut_off():
    depth_mm, intrinsics = arm_frame(arm=True)
    center_mm = refine_center(depth_mm, intrinsics, tf.constant([[10.0, -20.0, 600.0]])).numpy()[0]
    # Where all points between the fingertips and WRIST_MM beyond the centre c balance: (-80 + c + 60) / 2 = c.
    np.testing.assert_allclose(center_mm, [0.0, -20.0, 600.0], atol=3.0)


def test_the_start_stays_where_nothing_is():
    start_mm = tf.constant([[10.0, 20.0, 700.0]])
    np.testing.assert_array_equal(refine_center(tf.zeros([1, 32, 32]), SMALL, start_mm), start_mm)


def _slow_refine(points_mm: np.ndarray, center_mm: np.ndarray, iterations: int) -> np.ndarray:
    for _ in range(iterations):
        offsets = points_mm - center_mm
        distances = np.sqrt((offsets**2).sum(1))
        leaving = (distances >= 0.85 * REACH_MM) & (distances < 1.15 * REACH_MM)
        near = distances < REACH_MM
        away = offsets[leaving].sum(0)
        away /= max(np.linalg.norm(away), 1e-3)
        if leaving.sum() > 0.08 * near.sum():
            near &= offsets @ away <= WRIST_MM
        if near.any():
            center_mm = points_mm[near].mean(0)
    return center_mm


def _scene(seed: int) -> np.ndarray:
    """A hand-sized blob at the end of an arm before a wall, with holes; [60, 80] mm."""
    random = np.random.default_rng(seed)
    v, u = np.mgrid[:60, :80]
    depth_mm = np.full((60, 80), 1400.0)
    arm = (np.abs(v - 30 - 0.2 * (u - 40)) < 6) & (u > 35)
    hand = (u - 33) ** 2 + (v - 29) ** 2 < 13**2
    depth_mm[arm] = 640.0
    depth_mm[hand] = 600.0 + 8.0 * random.random(hand.sum())
    depth_mm[random.random(depth_mm.shape) < 0.1] = 0.0
    return depth_mm.astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("iterations", [1, 2, 8])
def test_refined_center_is_the_slow_loop_s(seed, iterations):
    depth_mm = _scene(seed)
    start_mm = np.float32([-20.0 + 15 * seed, 5.0, 620.0])
    points_mm = crop.depth_to_points(tf.constant(depth_mm[None]), tf.constant(SMALL)).numpy().reshape(-1, 3)
    expected = _slow_refine(points_mm[points_mm[:, 2] > 0].astype(np.float64), start_mm, iterations)
    center_mm = refine_center(tf.constant(depth_mm[None]), tf.constant(SMALL), start_mm[None], iterations)
    np.testing.assert_allclose(center_mm[0], expected, atol=0.01)


def test_start_stays_where_nothing_is_near():
    start_mm = np.float32([[0.0, 0.0, 300.0]])
    depth_mm = tf.constant(_scene(0)[None])
    np.testing.assert_array_equal(refine_center(depth_mm, tf.constant(SMALL), start_mm), start_mm)
