import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import camera, crop

RNG = np.random.default_rng(0)
CENTERS = np.array([[-80.0, 40.0, 700.0], [15.0, -60.0, 930.0]], np.float32)


def test_crop_intrinsics_are_the_rays_of_the_definition():
    size, extent = 16, 300.0
    x, y = crop.pixel_rays(crop.crop_intrinsics(tf.constant(CENTERS), extent, size), size, size)
    for b, (cx, cy, cz) in enumerate(CENTERS):
        for k in range(size):
            offset = ((k + 0.5) / size - 0.5) * extent / cz
            assert abs(float(x[b, k]) - (cx / cz + offset)) < 1e-6
            assert abs(float(y[b, k]) - (cy / cz + offset)) < 1e-6


def test_crop_frame_takes_the_nearest_pixel_and_nothing_outside_the_frame():
    frames = RNG.uniform(500, 900, (2, 60, 80)).astype(np.float32)
    view = camera.Camera(90.0, 85.0, 40.0, 30.0, 80, 60)
    size, extent = 24, 800.0
    intrinsics = np.tile(view.intrinsics, (2, 1))
    result = crop.crop_frame(tf.constant(frames), tf.constant(intrinsics), tf.constant(CENTERS), extent, size).numpy()
    outside = 0
    for b, (cx, cy, cz) in enumerate(CENTERS.astype(np.float64)):
        for i in range(size):
            for j in range(size):
                u = view.fx * (cx / cz + ((j + 0.5) / size - 0.5) * extent / cz) + view.cx
                v = view.fy * (cy / cz + ((i + 0.5) / size - 0.5) * extent / cz) + view.cy
                if max(abs((u + 0.5) % 1 - 0.5), abs((v + 0.5) % 1 - 0.5)) > 0.499:
                    continue  # Between two pixels float32 may choose either.
                column, row = int(np.floor(u + 0.5)), int(np.floor(v + 0.5))
                inside = 0 <= column < 80 and 0 <= row < 60
                outside += not inside
                assert result[b, i, j] == (frames[b, row, column] if inside else 0.0)
    assert outside > 0


def test_normalized_depth_is_background_outside_the_cube():
    depth = tf.constant([[[0.0, 700.0], [825.0, 826.0]], [[930.0 - 126.0, 930.0 - 125.0], [930.0 + 50.0, 2000.0]]])
    image = crop.normalize_depth(depth, tf.constant(CENTERS), 250.0)[..., 0].numpy()
    np.testing.assert_allclose(image, [[[1, 0], [1, 1]], [[1, -1], [0.4, 1]]], atol=1e-6)


def test_joints_survive_the_round_trips():
    joints = RNG.normal(0, 60, (2, 36, 3)).astype(np.float32) + CENTERS[:, None]
    cube = tf.constant([250.0, 300.0])
    norm = crop.normalize_joints(tf.constant(joints), tf.constant(CENTERS), cube)
    np.testing.assert_allclose(norm[1], (joints[1] - CENTERS[1]) / 150.0, atol=1e-6)
    np.testing.assert_allclose(crop.denormalize_joints(norm, tf.constant(CENTERS), cube), joints, atol=1e-3)
    intrinsics = np.array([588.0, 587.0, 320.0, 240.0])
    exact = joints.astype(np.float64)
    np.testing.assert_allclose(camera.uvd_to_mm(camera.mm_to_uvd(exact, intrinsics), intrinsics), exact, atol=1e-3)


def test_points_of_a_rendered_plane_lie_on_it():
    intrinsics = crop.crop_intrinsics(tf.constant(CENTERS), 300.0, 12)
    x, y = crop.pixel_rays(intrinsics, 12, 12)
    depth = 500.0 / (1.0 - 0.3 * x[:, None, :] + 0.2 * y[:, :, None])  # z = 500 + 0.3 x - 0.2 y
    points = crop.depth_to_points(depth, intrinsics).numpy()
    np.testing.assert_allclose(points[..., 2], 500 + 0.3 * points[..., 0] - 0.2 * points[..., 1], rtol=1e-5)


@pytest.mark.parametrize("values", [(0, 1, 1, 1), (1, -1, 1, 1), (np.nan, 1, 1, 1), (1, 1, np.inf, 1)])
def test_a_camera_without_meaning_is_refused(values):
    with pytest.raises(ValueError, match="camera needs"):
        camera.Camera(*values)
