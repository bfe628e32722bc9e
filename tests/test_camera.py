import pathlib

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import camera

RNG = np.random.default_rng(3)
PUBLISHED = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data" / "published" / "nyu"


def points(*shape):
    return np.concatenate([RNG.normal(0, 120, (*shape, 2)), RNG.uniform(300, 1200, (*shape, 1))], axis=-1)


def test_projection_is_the_pinhole_formula():
    points_mm, view = points(4, 5), camera.Camera(500.0, 510.0, 300.0, 250.0)
    result = camera.mm_to_uvd(points_mm, view.intrinsics.astype(np.float64))
    for place in np.ndindex(4, 5):
        x, y, z = points_mm[place]
        np.testing.assert_allclose(result[place], [500 * x / z + 300, 510 * y / z + 250, z], rtol=1e-12)


@pytest.mark.parametrize("view", camera.CAMERAS.values())
def test_tensors_and_arrays_give_the_same_and_come_back(view):
    points_mm = points(3, 7).astype(np.float32)
    intrinsics = np.tile(view.intrinsics, (3, 1))[:, None, :]
    uvd = camera.mm_to_uvd(tf.constant(points_mm), tf.constant(intrinsics))
    assert tf.is_tensor(uvd)
    np.testing.assert_allclose(uvd, camera.mm_to_uvd(points_mm, intrinsics), rtol=1e-6)
    np.testing.assert_allclose(camera.uvd_to_mm(uvd, tf.constant(intrinsics)), points_mm, atol=1e-2)


def test_y_points_down_and_the_middle_of_the_view_is_the_principal_point():
    u, v, _ = camera.mm_to_uvd(np.array([0.0, 0.0, 700.0]), camera.NYU.intrinsics)
    assert (u, v) == (320.0, 240.0)
    right_and_down = camera.mm_to_uvd(np.array([10.0, 20.0, 700.0]), camera.NYU.intrinsics)
    assert right_and_down[0] > 320 and right_and_down[1] > 240


def test_the_cameras_are_the_published_ones():
    np.testing.assert_allclose(camera.NYU.intrinsics, [588.036865, 587.075073, 320, 240], rtol=1e-7)
    np.testing.assert_allclose(camera.ICVL.intrinsics, [240.99, 240.96, 160, 120], rtol=1e-6)
    np.testing.assert_allclose(camera.SR305.intrinsics, [476.007, 476.007, 313.683, 242.755], rtol=1e-6)
    sizes = {name: (view.width, view.height) for name, view in camera.CAMERAS.items()}
    assert sizes == {"nyu": (640, 480), "icvl": (320, 240), "sr305": (640, 480)}


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"no {PUBLISHED}")
def test_the_bones_of_a_real_hand_keep_their_length():
    """True of the NYU labels to a thousandth, which were fitted as a rigid skeleton, by the right camera alone."""
    uvd = np.stack([np.loadtxt(PUBLISHED / f"joints36_{axis}.csv", delimiter=",")[:2440] for axis in "uvd"], axis=-1)
    spread = {}
    for focal_scale in (1.0, 1.1):
        intrinsics = camera.NYU.intrinsics.astype(np.float64) * [focal_scale, focal_scale, 1.0, 1.0]
        joints_mm = camera.uvd_to_mm(uvd, intrinsics)
        lengths_mm = np.linalg.norm(joints_mm[:, [30, 35, 29]] - joints_mm[:, [31, 34, 28]], axis=-1)
        spread[focal_scale] = (lengths_mm.std(axis=0) / lengths_mm.mean(axis=0)).max()
    assert spread[1.0] < 1e-3 and spread[1.1] > 1e-2, spread


def test_a_size_without_pixels_is_refused():
    with pytest.raises(ValueError, match="positive width and height"):
        camera.Camera(1.0, 1.0, 0.0, 0.0, 0, 480)


@pytest.mark.parametrize("fx", [1e39, 1e-50, float("nan")])
def test_focal_lengths_that_float32_does_not_hold_are_refused(fx):
    with pytest.raises(ValueError, match="finite fx"):
        camera.Camera(fx, 475.0, 320.0, 240.0)
