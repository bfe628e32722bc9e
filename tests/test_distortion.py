"""Rays and frames of lenses, against OpenCV and against RealSense's formulas."""

import numpy as np
import pytest

from lsps_tf.camera import Camera
from lsps_tf.distortion import (
    NO_DISTORTION,
    Distortion,
    distort_rays,
    named_distortion,
    undistort_depth,
    undistort_pixels,
    undistort_rays,
)
from lsps_tf.errors import InputError

CAMERA = Camera(400.0, 410.0, 320.5, 238.0, 640, 480)
MATRIX = np.array([[400.0, 0.0, 320.5], [0.0, 410.0, 238.0], [0.0, 0.0, 1.0]])
BROWN = (-0.28, 0.09, 0.0012, -0.0007, -0.012)
# An Azure Kinect's, of the size that its depth camera has.
RATIONAL = (3.13, 2.32, 8.1e-5, -5.1e-5, 0.13, 3.46, 3.35, 0.66)
FISHEYE = (0.04, -0.02, 0.008, -0.002)


def _pixels() -> np.ndarray:
    """Every 16th pixel of the frame, with its borders."""
    v, u = np.meshgrid(np.r_[0:480:16, 479], np.r_[0:640:16, 639], indexing="ij")
    return np.stack([u, v], axis=-1).reshape(-1, 2).astype(np.float64)


@pytest.mark.parametrize(
    ("model", "coefficients"), [("brown-conrady", BROWN), ("rational", RATIONAL), ("kannala-brandt", FISHEYE)]
)
def test_pixels_agree_with_opencv(model, coefficients):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed (opencv-python-headless)")
    pixels = _pixels()
    if model == "kannala-brandt":
        expected = cv2.fisheye.undistortPoints(pixels[:, None], MATRIX, np.array(coefficients), P=MATRIX)
    else:
        # OpenCV's own iterations stop early unless they are told not to.
        until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 500, 1e-12)
        expected = cv2.undistortPointsIter(pixels[:, None], MATRIX, np.array(coefficients), np.eye(3), MATRIX, until)
    found = undistort_pixels(pixels, CAMERA.intrinsics, Distortion(model, coefficients))
    assert np.abs(found - expected[:, 0]).max() < 0.01
    # The lens is no pinhole, so that the comparison says something.
    assert np.abs(found - pixels).max() > 5.0


def test_inverse_brown_conrady_undistorts_by_browns_polynomial():
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed (opencv-python-headless)")
    pixels = _pixels()
    rays = (pixels - [320.5, 238.0]) / [400.0, 410.0]
    points = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), MATRIX, np.array(BROWN))
    found = undistort_pixels(pixels, CAMERA.intrinsics, Distortion("inverse-brown-conrady", BROWN))
    assert np.abs(found - expected[:, 0]).max() < 0.01


def test_modified_brown_conrady_bends_tangentially_after_radially():
    k1, k2, p1, p2, k3 = BROWN
    x, y = 0.31, -0.22
    r2 = x * x + y * y
    factor = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    xr, yr = x * factor, y * factor
    expected = [xr + 2 * p1 * xr * yr + p2 * (r2 + 2 * xr**2), yr + 2 * p2 * xr * yr + p1 * (r2 + 2 * yr**2)]
    np.testing.assert_allclose(distort_rays([x, y], Distortion("modified-brown-conrady", BROWN)), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [
        ("brown-conrady", BROWN),
        ("rational", RATIONAL),
        ("kannala-brandt", FISHEYE),
        ("modified-brown-conrady", BROWN),
        ("inverse-brown-conrady", BROWN),
    ],
)
def test_there_and_back(model, coefficients):
    rays = np.stack(np.meshgrid(np.linspace(-0.6, 0.6, 9), np.linspace(-0.5, 0.5, 7)), axis=-1)
    distortion = Distortion(model, coefficients)
    np.testing.assert_allclose(undistort_rays(distort_rays(rays, distortion), distortion), rays, atol=1e-7)


def test_the_axis_stays_and_no_distortion_changes_nothing():
    assert undistort_rays([0.0, 0.0], Distortion("kannala-brandt", FISHEYE)).tolist() == [0.0, 0.0]
    frame = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert undistort_depth(frame, Camera(4, 4, 1.5, 1, 4, 3), NO_DISTORTION) is frame
    assert not Distortion("brown-conrady", (0.0,) * 5)
    # Without coefficients a fisheye is still no pinhole.
    assert Distortion("kannala-brandt", (0.0,) * 4)


def test_where_the_polynomial_folds_over_the_lens_has_no_ray():
    # x - 0.5 x^3 grows up to 0.816 and falls after it.
    folding = Distortion("brown-conrady", (-0.5, 0.0, 0.0, 0.0, 0.0))
    assert np.isfinite(distort_rays([0.7, 0.0], folding)).all()
    assert np.isnan(distort_rays([1.2, 0.0], folding)).all()


def test_a_plane_stays_where_it_is_and_borders_without_a_reading_are_zero():
    lens = Distortion("brown-conrady", BROWN)
    pixels = np.stack(np.meshgrid(np.arange(640.0), np.arange(480.0)), axis=-1)
    rays = undistort_rays((pixels - [320.5, 238.0]) / [400.0, 410.0], lens)
    # A slanted plane: z = 500 + 0.3 x + 0.2 y.
    depth = (500.0 / (1.0 - 0.3 * rays[..., 0] - 0.2 * rays[..., 1])).astype(np.float32)
    pinhole = undistort_depth(depth, CAMERA, lens)
    straight = (pixels - [320.5, 238.0]) / [400.0, 410.0]
    expected = 500.0 / (1.0 - 0.3 * straight[..., 0] - 0.2 * straight[..., 1])
    seen = pinhole > 0
    assert pinhole.dtype == np.float32
    assert seen.mean() > 0.95
    # The nearest reading is at most half a pixel of the lens away, which its barrel makes larger at the corners.
    slope_v, slope_u = np.gradient(expected)
    assert (np.abs(pinhole - expected) <= 1.1 * (np.abs(slope_u) + np.abs(slope_v)))[seen].all()
    barrel = undistort_depth(np.ones((480, 640), np.uint16), CAMERA, Distortion("brown-conrady", (0.3, 0, 0, 0, 0)))
    assert barrel[0, 0] == 0
    assert barrel[240, 320] == 1


@pytest.mark.parametrize(
    ("name", "coefficients", "expected"),
    [
        ("plumb_bob", (-0.1, 0.01, 0.0, 0.0, 0.0), Distortion("brown-conrady", (-0.1, 0.01, 0.0, 0.0, 0.0))),
        ("plumb_bob", (-0.1, 0.01), Distortion("brown-conrady", (-0.1, 0.01, 0.0, 0.0, 0.0))),
        ("plumb_bob", RATIONAL, Distortion("rational", RATIONAL)),
        ("rational_polynomial", (*RATIONAL, 0.0, 0.0), Distortion("rational", RATIONAL)),
        ("equidistant", FISHEYE, Distortion("kannala-brandt", FISHEYE)),
        ("Inverse Brown Conrady", BROWN, Distortion("inverse-brown-conrady", BROWN)),
        ("Brown Conrady", BROWN, Distortion("brown-conrady", BROWN)),
        ("None", (0.0,) * 5, NO_DISTORTION),
        ("", (), NO_DISTORTION),
    ],
)
def test_names_of_other_programs(name, coefficients, expected):
    assert named_distortion(name, coefficients, "x.bag") == expected


@pytest.mark.parametrize(
    ("name", "coefficients", "message"),
    [
        ("Ftheta", (0.9, 0, 0, 0, 0), "'Ftheta' is not known"),
        ("", (0.1,), "'' is not known"),
        ("rational_polynomial", (*RATIONAL, 0.01, 0.0), "10 coefficients, not 8"),
        ("plumb_bob", (np.nan, 0.0), "no numbers"),
    ],
)
def test_what_is_not_undone_is_refused_by_name(name, coefficients, message):
    with pytest.raises(InputError, match=message) as error:
        named_distortion(name, coefficients, "x.bag")
    assert str(error.value).startswith("x.bag: ")
