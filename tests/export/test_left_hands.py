"""`predict.py --hand left`: a model sees the mirror image, and what it says is mirrored back."""

import numpy as np
import tensorflow as tf

from export.prediction import predict_frame
from lsps_tf import crop, mirror
from lsps_tf.camera import Camera, mm_to_uvd
from lsps_tf.model_info import ModelInfo
from lsps_tf.models import OpenModel
from lsps_tf.skeleton import NYU

CAMERA = Camera(180.0, 175.0, 121.0, 88.0, 240, 180)
DEPTH_MM = np.where(np.random.default_rng(0).random((180, 240)) < 0.2, 0, 450.0).astype(np.float32)


def predict(depth_mm, intrinsics, center_mm):
    """Stands for a model: its joints follow from the readings and the camera in a way that is not symmetric."""
    points_mm = crop.depth_to_points(depth_mm, intrinsics)[:, :90, :70]
    center = tf.reduce_mean(points_mm, axis=[1, 2]) if center_mm is None else center_mm
    joints_mm = center[:, None] + tf.random.stateless_normal([1, 36, 3], [1, 2]) * 40.0
    uvd = mm_to_uvd(joints_mm, intrinsics[:, None])
    return {"joints_mm": joints_mm, "joints_uvd": uvd, "center_mm": center, "presence": tf.constant([True])}


MODEL = OpenModel("run", ModelInfo(NYU, 64, 250.0), predict, lambda image: image)


def test_a_left_hand_is_the_mirror_image_of_what_the_model_says_of_its_mirror_image():
    right = predict_frame(MODEL, DEPTH_MM, CAMERA)
    left = predict_frame(MODEL, mirror.mirror_depth(DEPTH_MM), mirror.mirror_camera(CAMERA), hand="left")
    np.testing.assert_allclose(left.joints_mm, right.joints_mm * [-1.0, 1.0, 1.0], atol=1e-3)
    np.testing.assert_allclose(left.center_mm, right.center_mm * [-1.0, 1.0, 1.0], atol=1e-3)
    assert np.abs(right.joints_mm[:, 0]).max() > 10.0


def test_the_joints_of_a_left_hand_project_where_they_are_drawn():
    left = predict_frame(MODEL, DEPTH_MM, CAMERA, (20.0, -15.0, 450.0), hand="left")
    np.testing.assert_allclose(left.center_mm, [20.0, -15.0, 450.0], atol=1e-4)
    np.testing.assert_allclose(left.joints_uvd, mm_to_uvd(left.joints_mm, CAMERA.intrinsics), atol=1e-3)
