import numpy as np
import pytest

from lsps_tf import rotation
from lsps_tf.camera import Camera, mm_to_uvd, uvd_to_mm

VIEW = Camera(476.0, 450.0, 20.5, 11.0, 48, 32)
RNG = np.random.default_rng(5)
DEPTH_MM = RNG.uniform(300.0, 900.0, (VIEW.height, VIEW.width)).astype(np.float32)


@pytest.mark.parametrize("degrees", rotation.ROTATIONS)
def test_a_point_stays_on_its_pixel(degrees):
    """Every pixel's camera-space point, turned, projects to the pixel that holds its depth in the turned frame."""
    v, u = np.indices(DEPTH_MM.shape)
    points_mm = uvd_to_mm(np.stack([u, v, DEPTH_MM], axis=-1), VIEW.intrinsics)
    turned_mm, camera = rotation.rotate_depth(DEPTH_MM, degrees), rotation.rotate_camera(VIEW, degrees)
    assert turned_mm.shape == (camera.height, camera.width)
    uvd = mm_to_uvd(rotation.rotate_points(points_mm, degrees), camera.intrinsics)
    pixels = np.rint(uvd[..., :2]).astype(int)
    np.testing.assert_allclose(uvd[..., :2], pixels, atol=1e-3)
    np.testing.assert_array_equal(turned_mm[pixels[..., 1], pixels[..., 0]], DEPTH_MM)
    expected = rotation.rotate_uvd(np.stack([u, v, DEPTH_MM], axis=-1), VIEW, degrees)
    np.testing.assert_allclose(uvd, expected, atol=1e-3)


def test_90_degrees_are_clockwise():
    np.testing.assert_array_equal(rotation.rotate_depth(np.array([[1, 2], [3, 4]]), 90), [[3, 1], [4, 2]])
    np.testing.assert_array_equal(rotation.rotate_points(np.array([1.0, 2.0, 3.0]), 90), [-2.0, 1.0, 3.0])


@pytest.mark.parametrize("degrees", rotation.ROTATIONS)
def test_the_opposite_turn_undoes_it(degrees):
    back, camera = rotation.opposite(degrees), rotation.rotate_camera(VIEW, degrees)
    np.testing.assert_array_equal(rotation.rotate_depth(rotation.rotate_depth(DEPTH_MM, degrees), back), DEPTH_MM)
    assert rotation.rotate_camera(camera, back) == VIEW
    points = RNG.normal(size=(4, 3))
    np.testing.assert_array_equal(rotation.rotate_points(rotation.rotate_points(points, degrees), back), points)
    uvd = rotation.rotate_uvd(rotation.rotate_uvd(points, VIEW, degrees), camera, back)
    np.testing.assert_allclose(uvd, points, atol=1e-12)


def test_other_turns_are_refused():
    with pytest.raises(ValueError, match="not by 45"):
        rotation.rotate_depth(DEPTH_MM, 45)
