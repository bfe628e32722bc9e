import numpy as np
import tensorflow as tf

from lsps_tf import augment, camera, crop, mirror

RNG = np.random.default_rng(3)
VIEW = camera.Camera(476.0, 470.0, 313.7, 242.8, 640, 480)
CENTERS = np.array([[-80.0, 40.0, 700.0], [15.0, -60.0, 330.0]], np.float32)
JOINTS = (RNG.normal(0, 60, (2, 36, 3)) + CENTERS[:, None]).astype(np.float32)
CUBE = tf.constant([250.0, 300.0])


def test_a_mirrored_camera_sees_mirrored_points_in_mirrored_pixels():
    seen = camera.mm_to_uvd(JOINTS, VIEW.intrinsics)
    mirrored = camera.mm_to_uvd(mirror.mirror_points(JOINTS), mirror.mirror_camera(VIEW).intrinsics)
    np.testing.assert_allclose(mirrored, mirror.mirror_uvd(seen, VIEW.width), atol=1e-3)
    np.testing.assert_array_equal(mirrored[..., 2], seen[..., 2])


def test_a_mirrored_frame_gives_the_mirrored_crop():
    frame = RNG.uniform(300, 900, (1, VIEW.height, VIEW.width)).astype(np.float32)
    size, center = 64, CENTERS[1:]
    plain = crop.crop_frame(frame, VIEW.intrinsics[None], center, 375.0, size)
    intrinsics = mirror.mirror_camera(VIEW).intrinsics[None]
    mirrored = crop.crop_frame(mirror.mirror_depth(frame), intrinsics, mirror.mirror_points(center), 375.0, size)
    # Half-way between two pixels, rounding goes one way, and mirrored the other.
    assert np.mean(mirror.mirror_depth(mirrored.numpy()) != plain.numpy()) < 0.01


def test_joints_survive_every_round_trip_to_a_thousandth_of_a_millimeter():
    center, none = tf.constant(CENTERS), tf.zeros([2, 3])
    angle = tf.constant([2.0, -0.7])
    shift = tf.constant([[8.0, -5.0, 12.0], [-20.0, 30.0, -9.0]])

    def through_pixels(joints_mm):
        return camera.uvd_to_mm(camera.mm_to_uvd(joints_mm, VIEW.intrinsics), VIEW.intrinsics)

    def through_mirror(joints_mm):
        seen_by = mirror.mirror_camera(VIEW).intrinsics
        uvd = camera.mm_to_uvd(mirror.mirror_points(joints_mm), seen_by)
        return camera.uvd_to_mm(mirror.mirror_uvd(uvd, VIEW.width), VIEW.intrinsics).astype(np.float32)

    def through_normalized(joints_mm):
        return crop.denormalize_joints(crop.normalize_joints(joints_mm, center, CUBE), center, CUBE).numpy()

    def through_augmentation(joints_mm):
        turned = augment.view_joints(joints_mm, center, CUBE, angle, none)
        turned_back = augment.view_joints(turned * CUBE[:, None, None] / 2, none, CUBE, -angle, none)
        moved = crop.denormalize_joints(turned_back, center, CUBE)
        moved = augment.view_joints(moved, center, CUBE, tf.zeros([2]), shift)
        return crop.denormalize_joints(moved, center + shift, CUBE).numpy()

    everything = JOINTS
    for trip in (through_pixels, through_mirror, through_normalized, through_augmentation):
        np.testing.assert_allclose(trip(JOINTS), JOINTS, atol=1e-3)
        everything = trip(everything)
    np.testing.assert_allclose(everything, JOINTS, atol=1e-3)
    np.testing.assert_array_equal(mirror.mirror_points(mirror.mirror_points(JOINTS)), JOINTS)
