"""The predictor around a network that is known, on simulated frames of hands."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import camera, crop, mirror
from lsps_tf.predictor import Predictor
from lsps_tf.skeleton import ICVL
from tests import two_hands
from tests.scene_frames import CAMERA, hand_frames

CUBE_MM, SIZE = 250.0, 32
FRAMES = hand_frames("bare")[0][[0, 1]]
MIDDLES_MM = hand_frames("bare")[1][[0, 1]].mean(axis=1)
INTRINSICS = np.tile(CAMERA.intrinsics, (2, 1))
RIGHT = np.array(["right", "right"])
JOINTS_NORM = np.linspace(-0.8, 0.7, ICVL.num_joints * 3, dtype=np.float32).reshape(1, -1, 3)


def constant(image):
    return tf.repeat(JOINTS_NORM, tf.shape(image)[0], axis=0)


def mean_depth(image):
    """A network whose joints depend on the picture, so that a wrong crop shows."""
    return tf.reduce_mean(image, axis=(1, 2, 3))[:, None, None] * JOINTS_NORM


def sure(image):
    """The same with a confidence."""
    return mean_depth(image), tf.fill([tf.shape(image)[0], ICVL.num_joints], 0.7)


def predict(network, *inputs, **more):
    predictor = Predictor(network, SIZE, CUBE_MM, ICVL, **more)
    return {name: value.numpy() for name, value in predictor(*map(_tensor, inputs)).items()}


def assert_close(value, expected, **tolerances):
    """Of numbers, and of texts."""
    if np.asarray(value).dtype.kind in "fib":
        np.testing.assert_allclose(value, expected, **tolerances)
    else:
        np.testing.assert_array_equal(value, expected)


def _tensor(value):
    return None if value is None else tf.constant(value)


def test_the_hand_is_found_and_joints_lie_around_it():
    outputs = predict(constant, FRAMES, INTRINSICS, None, RIGHT)
    assert outputs["presence"].tolist() == [True, True] and "confidence" not in outputs
    # The camera sees the front of the hand.
    assert np.linalg.norm(outputs["center_mm"] - MIDDLES_MM, axis=1).max() < 60.0
    expected = JOINTS_NORM * 0.5 * CUBE_MM + outputs["center_mm"][:, None]
    np.testing.assert_allclose(outputs["joints_mm"], expected, atol=1e-3)


def test_joints_in_pixels_are_the_projection_of_those_in_mm():
    outputs = predict(constant, FRAMES, INTRINSICS)
    expected = camera.mm_to_uvd(outputs["joints_mm"].astype(np.float64), CAMERA.intrinsics.astype(np.float64))
    np.testing.assert_allclose(outputs["joints_uvd"], expected, rtol=1e-5)


def test_a_given_center_is_the_one_that_is_cropped():
    centers_mm = np.add(MIDDLES_MM, [5.0, -8.0, 12.0]).astype(np.float32)
    outputs = predict(mean_depth, FRAMES, INTRINSICS, centers_mm, RIGHT)
    np.testing.assert_array_equal(outputs["center_mm"], centers_mm)
    image = crop.normalize_depth(
        crop.crop_frame(tf.constant(FRAMES), tf.constant(INTRINSICS), tf.constant(centers_mm), CUBE_MM, SIZE),
        tf.constant(centers_mm),
        CUBE_MM,
    )
    assert 0.05 < np.mean(image.numpy() < 1.0) < 0.6
    expected = mean_depth(image).numpy() * 0.5 * CUBE_MM + centers_mm[:, None]
    np.testing.assert_allclose(outputs["joints_mm"], expected, atol=1e-3)


def test_a_center_that_is_not_known_is_found():
    found = predict(mean_depth, FRAMES, INTRINSICS)
    given = np.add(MIDDLES_MM, [5.0, -8.0, 12.0]).astype(np.float32)
    outputs = predict(mean_depth, FRAMES, INTRINSICS, np.stack([np.full(3, np.nan, np.float32), given[1]]))
    np.testing.assert_allclose(outputs["joints_mm"][0], found["joints_mm"][0], atol=1e-3)
    np.testing.assert_array_equal(outputs["center_mm"][1], given[1])
    assert outputs["presence"].all()


def test_nothing_at_a_given_center_is_no_hand():
    centers_mm = np.array([MIDDLES_MM[0], [0.0, 0.0, 2500.0]], np.float32)
    assert predict(mean_depth, FRAMES, INTRINSICS, centers_mm)["presence"].tolist() == [True, False]


def test_a_batch_is_its_frames_one_by_one():
    together = predict(mean_depth, FRAMES, INTRINSICS)
    for row in range(2):
        alone = predict(mean_depth, FRAMES[row : row + 1], INTRINSICS[row : row + 1])
        for name, value in alone.items():
            assert_close(value[0], together[name][row], rtol=1e-5, atol=1e-3)


def test_a_frame_without_a_hand_has_no_numbers_and_does_not_touch_its_neighbour():
    frames = FRAMES.copy()
    frames[0] = 0.0
    outputs = predict(mean_depth, frames, INTRINSICS, sure_joints_of_crop=sure)
    assert outputs["presence"].tolist() == [False, True]
    for name in ("joints_mm", "joints_uvd", "center_mm"):
        assert np.isnan(outputs[name][0]).all() and np.isfinite(outputs[name][1]).all()
    assert (outputs["confidence"][0] == 0).all()
    np.testing.assert_allclose(outputs["confidence"][1], 0.7)
    np.testing.assert_allclose(outputs["joints_mm"][1], predict(mean_depth, FRAMES, INTRINSICS)["joints_mm"][1])


def test_left_hands_are_right_ones_in_a_mirror():
    expected = predict(mean_depth, FRAMES, INTRINSICS, None, RIGHT)
    seen_by = mirror.mirror_camera(CAMERA)
    frames = np.stack([FRAMES[0], mirror.mirror_depth(FRAMES[1])])
    intrinsics = np.stack([CAMERA.intrinsics, seen_by.intrinsics])
    center_mm = np.stack([expected["center_mm"][0], mirror.mirror_points(expected["center_mm"][1])])
    outputs = predict(mean_depth, frames, intrinsics, center_mm, np.array(["right", "left"]))
    for name in ("joints_mm", "center_mm"):
        np.testing.assert_allclose(outputs[name][0], expected[name][0], atol=1e-3)
        np.testing.assert_allclose(outputs[name][1], mirror.mirror_points(expected[name][1]), atol=1e-3)
    uvd = mirror.mirror_uvd(expected["joints_uvd"][1], CAMERA.width)
    np.testing.assert_allclose(outputs["joints_uvd"][1], uvd, atol=1e-2)
    assert outputs["hand"].tolist() == [b"right", b"left"]


@pytest.fixture
def frame_of_two(monkeypatch):
    two_hands.know(monkeypatch)
    frame = two_hands.two_hands()
    return np.stack([frame.depth_mm, np.zeros_like(frame.depth_mm)]), np.tile(frame.camera.intrinsics, (2, 1))


def test_several_hands_are_each_predicted_as_if_alone(frame_of_two):
    predictor = Predictor(mean_depth, SIZE, CUBE_MM, ICVL, sure)
    outputs = {name: value.numpy() for name, value in predictor.predict_hands(*frame_of_two, 3).items()}
    assert outputs["presence"].tolist() == [[True, True, False], [False] * 3]
    assert outputs["hand"].tolist() == [[b"right", b"left", b""], [b""] * 3]
    assert outputs["joints_mm"].shape == (2, 3, ICVL.num_joints, 3) and outputs["confidence"].shape[:2] == (2, 3)
    assert np.isnan(outputs["joints_mm"][0, 2]).all() and np.isnan(outputs["right_logit"][1]).all()
    for number, side in enumerate(("right", "left")):
        center_mm = np.tile(outputs["center_mm"][0, number], (2, 1))
        alone = predict(mean_depth, *frame_of_two, center_mm, np.array([side] * 2), sure_joints_of_crop=sure)
        for name in ("joints_mm", "joints_uvd", "confidence"):
            np.testing.assert_allclose(outputs[name][0, number], alone[name][0], rtol=1e-5)
        assert (alone["hand"][0].decode(), alone["right_logit"][0]) == (side, 0.0)
    said = predictor.predict_hands(*frame_of_two, 2, tf.constant(["left", "auto"]))
    assert said["hand"].numpy().tolist() == [[b"left", b"left"], [b"", b""]]


def test_what_is_not_said_of_a_hand_is_told(frame_of_two):
    """A place of each hand, one of none, and none: the side is that of what was found there."""
    depth_mm, intrinsics = (np.repeat(value[:1], 4, axis=0) for value in frame_of_two)
    places_mm = two_hands.two_hands().centers_mm
    aside_mm = places_mm[0] - np.float32([0.0, 30.0, 0.0])
    centers_mm = np.stack([places_mm[1], aside_mm, places_mm[0] + np.float32([0, 0, 155.0]), np.full(3, np.nan)])
    outputs = predict(constant, depth_mm, intrinsics, np.float32(centers_mm), np.array(["auto"] * 4))
    assert outputs["hand"][[0, 1, 3]].tolist() == [b"left", b"right", b"right"]
    right, left = two_hands.RIGHT_LOGITS
    np.testing.assert_allclose(outputs["right_logit"][[0, 1, 3]], [left, right, right], rtol=1e-6)
    np.testing.assert_array_equal(outputs["center_mm"][3], places_mm[0])


def test_a_side_that_is_told_is_the_other_one_in_a_mirror(monkeypatch):
    """Whatever the finder says: what the predictions of both sides explain decides here."""
    monkeypatch.setattr("lsps_tf.hand.FIT_SHARE", 2000.0)
    centers_mm = MIDDLES_MM.astype(np.float32)
    seen = predict(mean_depth, FRAMES, INTRINSICS, centers_mm)
    mirrored = predict(
        mean_depth,
        np.ascontiguousarray(mirror.mirror_depth(FRAMES)),
        np.tile(mirror.mirror_camera(CAMERA).intrinsics, (2, 1)),
        mirror.mirror_points(centers_mm),
    )
    assert (np.abs(seen["right_logit"]) > 1.0).all()
    np.testing.assert_array_equal(seen["hand"] == b"left", mirrored["hand"] == b"right")
    np.testing.assert_allclose(mirrored["right_logit"], -seen["right_logit"], rtol=0.05)
    np.testing.assert_allclose(mirrored["joints_mm"], mirror.mirror_points(seen["joints_mm"]), atol=0.1)


def test_of_two_predictions_the_one_that_explains_more_is_taken(monkeypatch):
    """The network knows one hand, where the first frame shows something, beside the centre. The second is a mirror."""
    monkeypatch.setattr("lsps_tf.hand_finding.search.judge_hand", lambda *place: (place[2], *tf.zeros([2, 2])))
    joints_mm = np.random.default_rng(3).uniform([30, -25, 5], [70, 25, 11], (ICVL.num_joints, 3)).astype(np.float32)
    depth_mm = np.zeros((2, 240, 320), np.float32)
    depth_mm[0, 110:130, 172:188], depth_mm[1, 110:130, 132:148] = 600.0, 600.0
    intrinsics = np.tile(np.float32([240.0, 240.0, 159.5, 119.5]), (2, 1))
    centers_mm = np.tile(np.float32([0.0, 0.0, 600.0]), (2, 1))
    network = lambda image: tf.repeat(joints_mm[None] / (0.5 * CUBE_MM), tf.shape(image)[0], axis=0)  # noqa: E731
    outputs = predict(network, depth_mm, intrinsics, centers_mm)
    assert outputs["hand"].tolist() == [b"right", b"left"]
    np.testing.assert_allclose(outputs["right_logit"][0], -outputs["right_logit"][1], rtol=1e-4)
    np.testing.assert_allclose(outputs["joints_mm"][0], joints_mm + centers_mm[0], atol=1e-3)
    np.testing.assert_allclose(outputs["joints_mm"][1], mirror.mirror_points(joints_mm) + centers_mm[0], atol=1e-3)
    mixed = predict(network, depth_mm, intrinsics, centers_mm, np.array(["left", "auto"]))
    assert mixed["hand"].tolist() == [b"left", b"left"] and mixed["right_logit"][0] == 0.0
    np.testing.assert_allclose(mixed["joints_mm"][0], mirror.mirror_points(joints_mm) + centers_mm[0], atol=1e-3)


class Turning:
    """A network of two looks: joints as `mean_depth` knows them at first, and smaller ones by both looks."""

    def __init__(self):
        self.seen = []

    def all_looks(self, image, first=None):
        self.seen.append((image.shape[0], first is not None))
        if first is not None:
            np.testing.assert_array_equal(first, mean_depth(image))
        return 0.5 * mean_depth(image)

    def predict(self, monkeypatch, near, sides=(mirror.AUTO,) * 2, rows=(0, 1)):
        rows = list(rows)
        monkeypatch.setattr("lsps_tf.hand.NEAR_VERGE", near)
        inputs = FRAMES[rows], INTRINSICS[rows], MIDDLES_MM[rows].astype(np.float32), np.array(sides)[rows]
        return predict(self.all_looks, *inputs, first_look=mean_depth)


def test_the_first_of_several_looks_tells_the_side_unless_the_others_may_tell_another(monkeypatch):
    monkeypatch.setattr("lsps_tf.hand.FIT_SHARE", 2000.0)
    network = Turning()
    by_first = predict(mean_depth, FRAMES, INTRINSICS, MIDDLES_MM.astype(np.float32))
    by_all = predict(lambda image: 0.5 * mean_depth(image), FRAMES, INTRINSICS, MIDDLES_MM.astype(np.float32))
    away = np.abs(by_first["right_logit"] + 1.0)
    assert (np.abs(by_first["right_logit"] - by_all["right_logit"]) > 1.0).all() and abs(away[0] - away[1]) > 0.1
    sure, near = (network.predict(monkeypatch, near) for near in (0.0, 1e9))
    # Both frames of one side each, and then both frames of both sides. The first look is never taken again.
    assert network.seen == [(2, True), (4, True)]
    for outputs, expected in ((sure, by_first), (near, by_all)):
        np.testing.assert_allclose(outputs["right_logit"], expected["right_logit"], rtol=1e-5)
        np.testing.assert_array_equal(outputs["hand"], expected["hand"])
    for outputs in (sure, near):
        alike = outputs["hand"] == by_all["hand"]
        np.testing.assert_allclose(outputs["joints_mm"][alike], by_all["joints_mm"][alike], rtol=1e-5)
    assert (near["hand"] == by_all["hand"]).all()
    # A frame near the verge does not touch its neighbour.
    between = 0.5 * away.sum()
    mixed = network.predict(monkeypatch, between)
    for row in range(2):
        alone = network.predict(monkeypatch, between, rows=[row])
        for name, value in alone.items():
            assert_close(value[0], mixed[name][row], rtol=1e-5, atol=1e-3)
        expected = by_all if away[row] < between else by_first
        assert mixed["right_logit"][row] == pytest.approx(expected["right_logit"][row], rel=1e-5)


def test_where_sides_are_said_there_is_no_first_look(monkeypatch):
    network = Turning()
    outputs = network.predict(monkeypatch, 1.5, ("right", "left"))
    assert network.seen == [(2, False)] and outputs["hand"].tolist() == [b"right", b"left"]
    mixed = network.predict(monkeypatch, 0.0, ("left", mirror.AUTO))
    assert mixed["hand"][0] == b"left" and mixed["right_logit"][0] == 0.0


def test_it_is_one_graph_for_any_batch():
    predictor = Predictor(mean_depth, SIZE, CUBE_MM, ICVL)
    shapes = tf.TensorSpec([None, None, None], tf.float32), tf.TensorSpec([None, 4], tf.float32)
    function = tf.function(lambda depth_mm, intrinsics: predictor(depth_mm, intrinsics), input_signature=shapes)
    expected = predict(mean_depth, FRAMES[:1], INTRINSICS[:1])["joints_mm"][0]
    for size in (1, 3):
        outputs = function(np.repeat(FRAMES[:1], size, axis=0), np.repeat(INTRINSICS[:1], size, axis=0))
        assert outputs["joints_mm"].shape == (size, ICVL.num_joints, 3) and outputs["presence"].shape == (size,)
        np.testing.assert_allclose(outputs["joints_mm"][-1], expected, atol=1e-2)


def test_crops_whose_place_is_known_go_the_way_of_frames_each_with_its_cube():
    """As evaluation has them: from a store, beside the frames' own crops."""
    predictor = Predictor(mean_depth, SIZE, CUBE_MM, ICVL, sure)
    intrinsics = tf.constant(INTRINSICS)
    located = predictor.locate(tf.constant(FRAMES), intrinsics, hand=tf.constant(RIGHT))
    frames = predictor.predict(located, intrinsics)
    placed = predictor.predict_placed_crops(located.image, located.center_mm, CUBE_MM)
    assert set(placed) == {"joints_mm", "confidence"}
    np.testing.assert_array_equal(placed["joints_mm"], frames["joints_mm"])
    np.testing.assert_array_equal(placed["confidence"], frames["confidence"])
    cubes_mm = np.array([200.0, 300.0], np.float32)
    placed = predictor.predict_placed_crops(located.image, located.center_mm, tf.constant(cubes_mm))
    for i in range(2):
        expected = mean_depth(located.image)[i] * cubes_mm[i] / 2 + located.center_mm[i]
        np.testing.assert_allclose(placed["joints_mm"][i], expected, rtol=1e-5)
