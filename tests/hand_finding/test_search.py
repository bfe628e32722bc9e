import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import mirror
from lsps_tf.hand_finding import center_of_mass, constants, search
from lsps_tf.simulation import scenes
from tests.scene_frames import CAMERA, empty_frames, hand_frames

INTRINSICS = CAMERA.intrinsics[None]
NOWHERE = tf.constant([[np.nan] * 3], tf.float32)


def find(depth_mm, camera=CAMERA):
    intrinsics = np.repeat(camera.intrinsics[None], len(depth_mm), axis=0)
    center_mm, present = search.find_hand(tf.constant(depth_mm), tf.constant(intrinsics))
    return center_mm.numpy(), present.numpy()


@pytest.mark.parametrize("kind", scenes.HAND_SCENES)
def test_hands_are_found_in_every_scene(kind):
    depth_mm, joints_mm = hand_frames(kind)
    center_mm, present = find(depth_mm)
    distance_mm = np.linalg.norm(center_mm - joints_mm.mean(axis=1), axis=1)
    assert np.mean(present & (distance_mm < 45.0)) >= 7 / 8


@pytest.mark.parametrize("kind", scenes.EMPTY_SCENES)
def test_no_hand_is_an_answer(kind):
    assert find(empty_frames(kind))[1].mean() <= 1 / 8


def test_what_is_beyond_the_limits_is_not_looked_at():
    depth_mm, _ = hand_frames()
    assert not find(np.where(depth_mm > 0, depth_mm + constants.FARTHEST_MM, 0.0))[1].any()


def test_left_hands_are_found_where_their_mirror_images_are():
    depth_mm, _ = hand_frames()
    center_mm, present = find(depth_mm)
    mirrored_mm, found = find(mirror.mirror_depth(depth_mm).copy(), mirror.mirror_camera(CAMERA))
    np.testing.assert_array_equal(found, present)
    assert np.median(np.linalg.norm(mirror.mirror_points(mirrored_mm) - center_mm, axis=1)) < 3.0


def test_the_graph_finds_what_eager_execution_does():
    depth_mm, _ = hand_frames()
    graph = tf.function(search.find_hand, input_signature=[
        tf.TensorSpec([None, None, None], tf.float32), tf.TensorSpec([None, 4], tf.float32)
    ])  # fmt: skip
    center_mm, present = graph(depth_mm[:3], np.repeat(INTRINSICS, 3, axis=0))
    alone_mm, alone = find(depth_mm[:3])
    np.testing.assert_array_equal(present, alone)
    np.testing.assert_allclose(center_mm, alone_mm, atol=0.01)


def test_a_hand_is_followed_lost_and_found_again():
    depth_mm, joints_mm = hand_frames("person")
    first_mm, present = find(depth_mm)
    number = int(np.flatnonzero(present)[0])
    frame, first_mm = depth_mm[None, number], first_mm[None, number]
    center_mm, found, tracked = search.track_hand(frame, INTRINSICS, first_mm + np.float32([[25.0, -20.0, 15.0]]))
    assert found.numpy()[0] and tracked.numpy()[0]
    np.testing.assert_allclose(center_mm, first_mm, atol=4.0)
    for previous_mm in (NOWHERE, tf.constant([[300.0, 300.0, 2500.0]])):
        center_mm, found, tracked = search.track_hand(frame, INTRINSICS, previous_mm)
        assert found.numpy()[0] and not tracked.numpy()[0]
        np.testing.assert_allclose(center_mm, first_mm, atol=0.01)
    _, found, tracked = search.track_hand(tf.zeros_like(frame), INTRINSICS, first_mm)
    assert not found.numpy()[0] and not tracked.numpy()[0]


def test_the_middle_is_nearer_to_the_joints_mean_than_the_centre_of_mass():
    depth_mm, joints_mm = hand_frames()
    intrinsics = np.repeat(INTRINSICS, len(depth_mm), axis=0)
    center_mm, present = find(depth_mm)
    mass_mm = center_of_mass.center_of_mass(
        tf.constant(depth_mm), tf.constant(intrinsics), tf.constant(center_mm)
    ).numpy()
    middle_mm = joints_mm.mean(axis=1)
    error_mm, mass_error_mm = (np.linalg.norm(each - middle_mm, axis=1)[present] for each in (center_mm, mass_mm))
    assert np.median(error_mm) < 20.0 and error_mm.mean() < mass_error_mm.mean()


def test_two_hands_are_found_the_nearest_first():
    depth_mm, joints_mm = hand_frames()
    # Two frames in one, of which the second shows a hand elsewhere.
    both_mm = np.where(depth_mm[:4] > 0.0, depth_mm[:4], depth_mm[4:])
    places_mm = np.stack([joints_mm[:4].mean(axis=1), joints_mm[4:].mean(axis=1)], axis=1)
    found = search.find_hands(tf.constant(both_mm), tf.constant(np.repeat(INTRINSICS, 4, axis=0)), 3)
    center_mm, presence, _ = (value.numpy() for value in found)
    near = np.linalg.norm(center_mm[:, :, None] - places_mm[:, None], axis=-1) < 45.0
    hit = (near & presence[..., None]).any(axis=1)
    assert hit.any(axis=1).all() and hit.all(axis=1).any()
    z = np.where(presence, center_mm[..., 2], np.inf)
    assert np.all(z[:, :-1] <= z[:, 1:])


def test_hands_do_not_depend_on_how_many_frames_the_graph_was_made_for():
    depth_mm, _ = hand_frames()
    frames = tf.constant(depth_mm), tf.constant(np.repeat(INTRINSICS, len(depth_mm), axis=0))
    fixed = tf.function(lambda *inputs: search.find_hands(*inputs, 2))(*frames)
    for value, wanted in zip(fixed, search.find_hands(*frames, 2)):
        np.testing.assert_allclose(value, wanted, atol=1.0)


def test_of_one_hand_it_is_found_once():
    depth_mm, _ = hand_frames()
    found = search.find_hands(tf.constant(depth_mm), tf.constant(np.repeat(INTRINSICS, len(depth_mm), axis=0)), 3)
    assert np.isfinite(found.center_mm.numpy()).all()
    assert np.mean(found.presence.numpy().sum(axis=1) <= 1) >= 7 / 8


def places(*centers_mm):
    """Places that are hands for sure."""
    sure = tf.ones([1, len(centers_mm)])
    center_mm = tf.constant([centers_mm], tf.float32)
    size = tf.constant([CAMERA.width, CAMERA.height], tf.float32)
    whole = search._is_whole(center_mm, tf.constant(INTRINSICS), size)
    return search.JudgedPlaces(sure, center_mm, 5.0 * sure, sure, whole)


def at(u, v, z):
    fx, fy, cx, cy = CAMERA.intrinsics
    return [(u - cx) / fx * z, (v - cy) / fy * z, z]


def test_hands_that_the_border_cuts_come_last():
    z = 700.0
    reach_px = constants.WHOLE_MM * CAMERA.fx / z
    middle_px = 0.5 * CAMERA.width, 0.5 * CAMERA.height
    cut, whole = at(reach_px - 1.0, middle_px[1], z), at(CAMERA.width - 2.0 - reach_px, middle_px[1], z)
    below, farther = at(middle_px[0], CAMERA.height - reach_px, 0.9 * z), at(*middle_px, 1.2 * z)
    found = search.choose_hands(places(cut, below, farther, whole), 4)
    np.testing.assert_allclose(found.center_mm[0], [whole, farther, below, cut], rtol=1e-5)
    alone = search.choose_hands(places(cut), 1)
    assert alone.presence.numpy().all() and np.allclose(alone.center_mm[0, 0], cut)


def test_of_one_hand_the_better_place_beside_a_nearer_one_is_taken():
    hand, wrist, other = [0.0, 0.0, 700.0], [60.0, 0.0, 690.0], [0.0, 100.0, 600.0]
    found = {}
    for name, centers_mm, logits in (
        ("wrist", (hand, wrist), (4.0, 3.0)),
        ("a nearer hand far away", (hand, wrist, other), (4.0, 3.0, 3.5)),
        ("the wrist looks more like one", (hand, wrist), (3.0, 4.0)),
    ):
        judged = places(*centers_mm)._replace(hand=tf.constant([logits]))
        found[name] = search.choose_hands(judged, 1).center_mm[0, 0].numpy().tolist()
        # Where more are asked for, each of them may be a hand.
        assert search.choose_hands(judged, 4).presence.numpy().sum() == len(centers_mm)
    assert found == {"wrist": hand, "a nearer hand far away": other, "the wrist looks more like one": wrist}
