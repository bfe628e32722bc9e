"""Predictions fitted to their frame: nearer to the truth, on either side, and left alone where nothing is explained."""

import dataclasses
import sys

import numpy as np
import pytest
import tensorflow as tf

import lsps_tf
from lsps_tf import mirror, refining
from lsps_tf.camera import Camera, mm_to_uvd
from lsps_tf.errors import InputError
from lsps_tf.hand import Hand
from lsps_tf.hand_predictor import OpenModel, View
from lsps_tf.models import open_model
from lsps_tf.simulation import kinematics, pose_prior, renderer, shape, surface, view_prior
from lsps_tf.skeleton import NYU

N = 6
CAMERA = Camera(460.0, 460.0, 160.0, 120.0, 320, 240)


@pytest.fixture(scope="module")
def frames():
    """Frames of hands over a table [N, H, W], and the hands' joints [N, 36, 3]."""
    seed = tf.constant([1, 2])
    place_mm = view_prior.sample_translation(seed, N, 450.0, 700.0) * tf.constant([0.3, 0.3, 1.0])
    pose = pose_prior.sample_angles(seed, N), view_prior.sample_rotation(seed, N)
    hand = kinematics.pose_hand(*pose, place_mm, shape.canonical_shape())
    hand_mm = renderer.render_frame(hand.centers_mm, hand.radii_mm, *surface.primitives(forearm=True), CAMERA).numpy()
    table_mm = hand_mm.max(axis=(1, 2), keepdims=True) + 5.0 + 0.3 * np.arange(240)[::-1, None]
    return np.where(hand_mm > 0.0, hand_mm, table_mm).astype(np.float32), hand.joints_mm.numpy()


def model_of(joints_mm, info):
    """A model that says these joints of whatever it is shown, as models do: of the side that the view has."""

    def predict(view):
        points_mm = mirror.mirror_points(joints_mm) if view.side == "left" else joints_mm
        uvd = mm_to_uvd(points_mm, view.camera.intrinsics)
        return [Hand(points_mm, uvd, points_mm.mean(axis=0), NYU, view.side, np.full(36, 0.5, np.float32))]

    return OpenModel("TFLite", "made", info, predict, lambda images: images)


@pytest.fixture(scope="module")
def info():
    return dataclasses.replace(open_model().info, skeleton=NYU)


def off(joints_mm, seed):
    rng = np.random.default_rng(seed)
    finger_mm = rng.normal(0.0, 9.0, (6, 1, 3)).repeat(6, axis=1).reshape(36, 3)
    return (joints_mm + finger_mm + rng.normal(0.0, 5.0, 3)).astype(np.float32)


def error_mm(hand, joints_mm):
    return np.linalg.norm(hand.joints_mm - joints_mm, axis=-1).mean()


def test_refined_joints_are_nearer_to_the_truth(frames, info):
    errors = []
    for number, (depth_mm, joints_mm) in enumerate(zip(*frames)):
        model, view = model_of(off(joints_mm, number), info), View(depth_mm, CAMERA)
        (before,), (after,) = model.predict(view), refining.refining(model).predict(view)
        errors.append([error_mm(before, joints_mm), error_mm(after, joints_mm)])
        np.testing.assert_allclose(after.joints_uvd, mm_to_uvd(after.joints_mm, CAMERA.intrinsics), atol=1e-3)
        np.testing.assert_array_equal(after.center_mm, before.center_mm)
        np.testing.assert_array_equal(after.confidence, before.confidence)
    before, after = np.mean(errors, axis=0)
    assert before > 12.0 and after < 0.8 * before


def test_a_left_hand_is_the_mirror_image_of_a_right_one(frames, info):
    depth_mm, joints_mm = (values[0] for values in frames)
    model = refining.refining(model_of(off(joints_mm, 0), info))
    (right,) = model.predict(View(depth_mm, CAMERA, "right"))
    (left,) = model.predict(View(mirror.mirror_depth(depth_mm), mirror.mirror_camera(CAMERA), "left"))
    np.testing.assert_allclose(left.joints_mm, mirror.mirror_points(right.joints_mm), atol=0.05)
    np.testing.assert_allclose(left.joints_uvd, mm_to_uvd(left.joints_mm, mirror.mirror_camera(CAMERA).intrinsics))
    assert left.side == "left"


def test_joints_stay_where_there_is_no_hand(frames, info):
    joints_mm = frames[1][0]
    model = model_of(joints_mm, info)
    for depth_mm in (np.zeros([240, 320], np.float32), np.full([240, 320], joints_mm[:, 2].max() + 60.0, np.float32)):
        (hand,) = refining.refining(model).predict(View(depth_mm, CAMERA, "right"))
        np.testing.assert_array_equal(hand.joints_mm, joints_mm)
    nothing = dataclasses.replace(model, predict=lambda view: [])
    assert refining.refining(nothing).predict(View(frames[0][0], CAMERA)) == []


def test_a_predictor_refines_where_it_is_asked_to(frames):
    plain, refined = lsps_tf.load_predictor(), lsps_tf.load_predictor(refine=True)
    depth_mm, center_mm = frames[0][0], frames[1][0].mean(axis=0)
    before, after = (predictor(depth_mm, CAMERA, center_mm) for predictor in (plain, refined))
    moved_mm = np.linalg.norm(after.joints_mm - before.joints_mm, axis=-1)
    assert 1.0 < moved_mm.mean() < 60.0


def test_without_tensorflow_it_says_what_to_install(monkeypatch, info):
    refining._fitter.cache_clear()
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.delitem(sys.modules, "lsps_tf.fitting.one_frame", raising=False)
    with pytest.raises(InputError, match=r"lsps-tf\[tensorflow\]"):
        refining.refining(model_of(np.zeros([36, 3], np.float32), info))
