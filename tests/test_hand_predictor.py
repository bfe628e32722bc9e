"""`lsps_tf.load_predictor`: every kind of model, 21 joints, turned cameras, left hands, several hands."""

import dataclasses

import numpy as np
import pytest

import lsps_tf
from lsps_tf import mirror, rotation
from lsps_tf.camera import NYU, mm_to_uvd
from lsps_tf.hand_predictor import HandPredictor
from lsps_tf.predictor import predictor_of_run
from lsps_tf.run_folder import SHIPPED, load_run
from lsps_tf.skeleton import HAND21, HAND21_FROM_NYU
from tests import two_hands


@pytest.fixture(scope="module")
def shipped():
    return lsps_tf.load_predictor()


def assert_same(hand, expected, atol=1e-3):
    for name in ("joints_mm", "joints_uvd", "center_mm"):
        np.testing.assert_allclose(getattr(hand, name), getattr(expected, name), atol=atol, err_msg=name)


def test_the_shipped_tflite_file_predicts_what_the_shipped_weights_do(shipped, frame_mm):
    outputs = predictor_of_run(load_run(SHIPPED))(frame_mm[None], NYU.intrinsics[None])
    # About the same centre: the finder's weights have 8 bits in its file for devices.
    np.testing.assert_allclose(shipped(frame_mm, "nyu").center_mm, outputs["center_mm"][0], atol=5.0)
    hand = shipped(frame_mm, "nyu", center_mm=outputs["center_mm"][0].numpy())
    np.testing.assert_allclose(hand.center_mm, outputs["center_mm"][0], atol=0.01)
    # Its weights have 8 bits. A wrong crop, side or scale moves joints by more.
    away_mm = np.linalg.norm(hand.joints_mm - outputs["joints_mm"][0], axis=1)
    assert away_mm.mean() < 2.0 and away_mm.max() < 6.0
    uvd = mm_to_uvd(hand.joints_mm, NYU.intrinsics)
    np.testing.assert_allclose(hand.joints_uvd, uvd, atol=0.01)
    assert hand.side == outputs["hand"][0].numpy().decode() and hand.joint_names == hand.skeleton.joint_names
    assert hand.confidence.shape == (36,) and 0.0 <= hand.confidence.min() < hand.confidence.max() <= 1.0


def test_every_kind_of_model_gives_a_hand(run_dir, model_dir, frame_mm):
    expected = lsps_tf.load_predictor(run_dir)(frame_mm, NYU)
    assert expected.confidence is None
    for path in (model_dir, model_dir / "lsps.tflite"):
        hand = lsps_tf.load_predictor(path)(frame_mm, NYU)
        assert_same(hand, expected, atol=0.02)
        assert hand.confidence.shape == (36,)
        assert hand.confidence.dtype == hand.joints_mm.dtype == np.float32


def test_a_camera_has_three_forms(shipped, frame_mm):
    expected = shipped(frame_mm, NYU)
    assert_same(shipped(frame_mm, " NYU "), expected)
    assert_same(shipped(frame_mm, (NYU.fx, NYU.fy, NYU.cx, NYU.cy)), expected)
    for camera, message in [
        ("kinect", "there is no 'kinect'"),
        ("icvl", "the frame is 640x480 pixels but the camera makes 320x240"),
        ((1.0, 2.0), "fx, fy, cx, cy in pixels are needed"),
        ((0.0, 500.0, 320.0, 240.0), "fx, fy, cx, cy in pixels are needed"),
    ]:
        with pytest.raises(lsps_tf.InputError, match=message):
            shipped(frame_mm, camera)


def test_no_reading_has_many_marks(shipped, frame_mm):
    marks = np.random.default_rng(0).choice([0.0, -1.0, np.nan, np.inf, -np.inf], frame_mm.shape)
    marked = np.where(frame_mm > 0, frame_mm, marks)
    for kind in (np.float32, np.float64):
        assert_same(shipped(marked.astype(kind), NYU), shipped(frame_mm, NYU))
    assert_same(shipped(frame_mm.astype(np.uint16), NYU), shipped(frame_mm, NYU))
    assert shipped(np.zeros_like(frame_mm), NYU) is None


def test_what_is_no_frame_is_named(shipped):
    for frame in (np.zeros((2, 480, 640)), np.zeros((0, 640)), np.zeros((480, 640), bool), "frame.png"):
        with pytest.raises(lsps_tf.InputError, match=r"an array \[height, width\] of numbers"):
            shipped(frame, NYU)


def test_the_21_joints_are_those_of_nyu(model_dir, run_dir, frame_mm):
    chosen = list(HAND21_FROM_NYU)
    for path in (None, run_dir, model_dir):
        every = lsps_tf.load_predictor(path)(frame_mm, NYU)
        hand = lsps_tf.load_predictor(path, joints=21)(frame_mm, NYU)
        np.testing.assert_allclose(hand.joints_mm, every.joints_mm[chosen], atol=1e-3)
        np.testing.assert_allclose(hand.joints_uvd, every.joints_uvd[chosen], atol=1e-3)
        assert hand.skeleton == HAND21 and hand.joint_names == tuple(every.joint_names[joint] for joint in chosen)
        assert (hand.confidence is None) == (every.confidence is None)


def test_16_joints_do_not_give_21(tmp_path, make_run):
    run = make_run(tmp_path / "icvl", skeleton="icvl")
    with pytest.raises(lsps_tf.InputError, match="the 21 joints of hand21 cannot be had from a model of icvl's 16"):
        lsps_tf.load_predictor(run, joints=21)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"joints": 20}, "joints: 20 cannot be had"),
        ({"hand": "both"}, "hand: there is no 'both' hand; give right, left or auto"),
        ({"rotation_degrees": 45}, "45 degrees are no quarter turn"),
        ({"hands": 0}, "hands: 0 cannot be predicted; give how many at most, from 1 to 8"),
        ({"hands": 9}, r"lsps-dynamic\.tflite finds at most 8 hands in a frame, not 9; give fewer$"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(lsps_tf.InputError, match=message):
        lsps_tf.load_predictor(None, **options)


@pytest.mark.parametrize("turn", rotation.ROTATIONS)
def test_a_turned_camera_sees_the_same_hand_turned(shipped, frame_mm, turn):
    """The frame as a camera that is mounted turned records it; turning it upright gives the upright frame's hand."""
    back = rotation.opposite(turn)
    recorded_mm, camera = rotation.rotate_depth(frame_mm, back), rotation.rotate_camera(NYU, back)
    expected = shipped(frame_mm, NYU)
    predictor = lsps_tf.load_predictor(rotation_degrees=turn)
    hand = predictor(recorded_mm, camera)
    np.testing.assert_allclose(hand.joints_mm, rotation.rotate_points(expected.joints_mm, back), atol=1e-3)
    np.testing.assert_allclose(hand.joints_uvd, mm_to_uvd(hand.joints_mm, camera.intrinsics), atol=1e-2)
    assert_same(predictor(recorded_mm, camera, center_mm=hand.center_mm), hand, atol=0.02)


def test_a_left_hand_in_a_turned_frame(frame_mm):
    mirrored_mm, camera = mirror.mirror_depth(frame_mm), mirror.mirror_camera(NYU)
    recorded_mm, seen_by = rotation.rotate_depth(mirrored_mm, 270), rotation.rotate_camera(camera, 270)
    right = lsps_tf.load_predictor(hand="right")(frame_mm, NYU)
    center_mm = rotation.rotate_points(mirror.mirror_points(right.center_mm), 270)
    left = lsps_tf.load_predictor(hand="left", rotation_degrees=90)(recorded_mm, seen_by, center_mm)
    expected_mm = rotation.rotate_points(mirror.mirror_points(right.joints_mm), 270)
    np.testing.assert_allclose(left.joints_mm, expected_mm, atol=1e-2)
    assert left.side == "left"


@pytest.fixture
def frame_of_two(monkeypatch):
    """A frame of two hands, and finders of both kinds that find them."""
    two_hands.know(monkeypatch)
    return two_hands.two_hands()


@pytest.mark.parametrize("kind", ["TFLite", "run"])
def test_several_hands_come_as_a_list_the_nearest_first(run_dir, model_dir, frame_of_two, kind):
    path = run_dir if kind == "run" else model_dir / "lsps.tflite"
    frame = frame_of_two.depth_mm, frame_of_two.camera
    hands = lsps_tf.load_predictor(path, hands=3)(*frame)
    assert [(hand.side, hand.right_logit, hand.track) for hand in hands] == [
        ("right", pytest.approx(two_hands.RIGHT_LOGITS[0]), None),
        ("left", pytest.approx(two_hands.RIGHT_LOGITS[1]), None),
    ]
    one = lsps_tf.load_predictor(path)
    assert_same(one(*frame), hands[0])
    assert one.count_hands(*frame) == 2
    for hand in hands:
        # As the only hand, where its place and its side are given, and where its place alone is.
        for said in (hand.side, "auto"):
            alone = lsps_tf.load_predictor(path, hand=said)(*frame, center_mm=hand.center_mm)
            assert_same(alone, hand)
            assert alone.side == hand.side
    said = lsps_tf.load_predictor(path, hand="right", hands=2)(*frame)
    assert [hand.side for hand in said] == ["right", "right"] and said[1].right_logit == -3.0
    assert np.abs(said[1].joints_mm - hands[1].joints_mm).max() > 1.0
    assert lsps_tf.load_predictor(path, hands=2)(np.zeros_like(frame[0]), frame[1]) == []


def test_the_side_of_a_place_is_that_of_the_hand_there(model_dir, frame_of_two):
    predictor, frame = lsps_tf.load_predictor(model_dir / "lsps.tflite"), (frame_of_two.depth_mm, frame_of_two.camera)
    near_mm = frame_of_two.centers_mm[1] + np.float32([20.0, 10.0, 0.0])
    assert predictor(*frame, center_mm=near_mm).side == "left"
    # Where no hand was found the side stays open, and a right hand is taken.
    hand = predictor(*frame, center_mm=frame_of_two.centers_mm[1] + np.float32([0.0, 0.0, 90.0]))
    assert (hand.side, hand.right_logit) == ("right", 0.0)


def test_a_place_and_several_hands_exclude_each_other(frame_of_two):
    with pytest.raises(lsps_tf.InputError, match="center: one hand lies there, and 2 are asked for"):
        lsps_tf.load_predictor(hands=2)(frame_of_two.depth_mm, frame_of_two.camera, (0.0, 0.0, 600.0))


def test_joints_that_are_no_numbers_are_refused(shipped, frame_mm):
    def predict(view):
        [hand] = shipped.model.predict(view)
        return [dataclasses.replace(hand, joints_mm=np.full_like(hand.joints_mm, np.nan))]

    broken = HandPredictor(dataclasses.replace(shipped.model, name="broken.tflite", predict=predict))
    with pytest.raises(lsps_tf.InputError, match=r"broken\.tflite: the model predicts joints that are no numbers"):
        broken(frame_mm, NYU)


def test_a_wheel_without_its_weights_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("lsps_tf.models.SHIPPED_TFLITE", tmp_path / "lsps.tflite")
    with pytest.raises(lsps_tf.InputError, match=r"lsps\.tflite: the trained model is missing; install"):
        lsps_tf.load_predictor()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lsps_tf.nothing
