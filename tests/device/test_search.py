"""The hand finder in NumPy and LiteRT against the one in TensorFlow, on simulated and, where they are, real frames."""

import functools
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import camera, rotation
from lsps_tf.depth_files import read_depth
from lsps_tf.device import finder, search
from lsps_tf.errors import InputError
from lsps_tf.hand_finding import center_of_mass as tf_mass
from lsps_tf.hand_finding import networks
from lsps_tf.hand_finding import search as tf_search
from lsps_tf.simulation import scenes
from tests.scene_frames import CAMERA, empty_frames, hand_frames
from training.hand_finding import convert

ROOT = pathlib.Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "data" / "real"


@pytest.fixture(scope="module", autouse=True)
def sixteen_bits(tmp_path_factory):
    """The shipped networks with weights of 16 bits, so that both searches see the same; and the file that ships."""
    shipped, path = finder.TFLITE, tmp_path_factory.mktemp("finder") / "finder.tflite"
    convert.write_tflite(networks.load_weights(), path, bits=16)
    finder.TFLITE = path
    finder.load_networks.cache_clear()
    yield shipped
    finder.TFLITE = shipped
    finder.load_networks.cache_clear()


@functools.lru_cache(maxsize=1)
def frames():
    """Depth and camera by name."""
    examples = ROOT / "docs" / "example"
    found = {
        "structured light": (read_depth(examples / "structured-light.png"), camera.NYU),
        "time of flight": (read_depth(examples / "time-of-flight.png"), camera.ICVL),
        "nothing": (np.zeros((480, 640), np.float32), camera.NYU),
        "a wall": (np.full((240, 320), 1500.0, np.float32), camera.ICVL),
        "too small": (_with_patch(np.zeros((240, 320), np.float32), 4, 700.0), camera.ICVL),
        "only an object": (_with_patch(np.full((480, 640), 2500.0, np.float32), 60, 700.0), camera.NYU),
        "cut by the border": (np.roll(read_depth(examples / "structured-light.png"), (-120, 90), (0, 1)), camera.NYU),
    }
    noise = np.random.default_rng(0).uniform(0.9, 1.1, (480, 640)).astype(np.float32)
    found["noisy"] = (found["structured light"][0] * noise, camera.NYU)
    for kind in scenes.HAND_SCENES:
        found.update({f"{kind} {n}": (depth_mm, CAMERA) for n, depth_mm in enumerate(hand_frames(kind)[0][:4])})
    for kind in scenes.EMPTY_SCENES:
        found.update({f"{kind} {n}": (depth_mm, CAMERA) for n, depth_mm in enumerate(empty_frames(kind)[:2])})
    for path in sorted((REAL / "sr305").glob("*.png")) if REAL.is_dir() else []:
        found[f"sr305 {path.stem}"] = (read_depth(path, 0.125), camera.SR305)
    if REAL.is_dir():
        found["nyu 1"] = (read_depth(REAL / "nyu" / "test_depth_1_0000001.png"), camera.NYU)
    return found


def _with_patch(depth_mm, half, value_mm):
    middle = depth_mm.shape[0] // 2
    depth_mm[middle - half : middle + half, middle - half : middle + half] = value_mm
    return depth_mm


@functools.lru_cache(maxsize=1)
def expected():
    """What TensorFlow finds in each frame: the centres of at most two hands, and the logits of right ones."""
    results = {}
    for name, (depth_mm, view) in frames().items():
        found = tf_search.find_hands(tf.constant(depth_mm[None]), tf.constant(view.intrinsics[None]), 2)
        center_mm, presence, right = (value.numpy()[0] for value in found)
        results[name] = center_mm[presence], right[presence]
    return results


def test_hands_are_found_where_tensorflow_finds_them():
    for name, (depth_mm, view) in frames().items():
        found = search.find_hands(depth_mm, view.intrinsics, 2)
        centers_mm, right = expected()[name]
        assert len(found) == len(centers_mm), name
        for hand, center_mm, logit in zip(found, centers_mm, right):
            # A rounding may take a crop's pixel from beside it, which moves a centre by a millimetre or two.
            np.testing.assert_allclose(hand.center_mm, center_mm, atol=2.0, err_msg=name)
            np.testing.assert_allclose(hand.right, logit, rtol=0.2, atol=0.5, err_msg=name)
    with_hands = sum(len(centers_mm) > 0 for centers_mm, _ in expected().values())
    assert 8 <= with_hands <= len(frames()) - 4


def test_one_hand_is_found_where_tensorflow_finds_it():
    for name, (depth_mm, view) in frames().items():
        found = search.find_hand(depth_mm, view.intrinsics)
        center_mm, presence = tf_search.find_hand(tf.constant(depth_mm[None]), tf.constant(view.intrinsics[None]))
        assert (found is not None) == bool(presence[0]), name
        if found is not None:
            np.testing.assert_allclose(found, center_mm[0], atol=2.0, err_msg=name)


def test_of_two_places_beside_each_other_the_better_one_is_the_hand():
    places = [(score, np.array([x, 0.0, 700.0]), 0.0) for score, x in ((2.0, 0.0), (3.0, 60.0), (1.0, 400.0))]
    assert [search._better_beside(place, places) for place in places] == [True, False, False]


def test_portrait_frames_are_those_of_a_turned_camera():
    depth_mm, view = frames()["structured light"]
    turned = rotation.rotate_camera(view, 90)
    turned_mm = np.ascontiguousarray(rotation.rotate_depth(depth_mm, 90))
    found = search.find_hands(turned_mm, turned.intrinsics, 1)
    frame = tf.constant(turned_mm[None]), tf.constant(turned.intrinsics[None])
    np.testing.assert_allclose(found[0].center_mm, tf_search.find_hand(*frame)[0][0], atol=1.0)
    upright_mm = rotation.rotate_points(expected()["structured light"][0][0], 90)
    np.testing.assert_allclose(found[0].center_mm, upright_mm, atol=20.0)


def test_the_nearest_come_first_and_those_that_the_border_cuts_last():
    for name, (depth_mm, view) in frames().items():
        size = np.array(depth_mm.shape[::-1], np.float32)
        found = search.find_hands(depth_mm, view.intrinsics, 4)
        order = [
            (not search._is_whole(hand.center_mm, view.intrinsics, size), float(hand.center_mm[2])) for hand in found
        ]
        assert order == sorted(order), name
        assert search.find_hands(np.zeros_like(depth_mm), view.intrinsics, 4) == []


@pytest.mark.parametrize("shape", [(480, 640), (240, 320), (60, 80), (424, 512), (480, 848), (200, 200), (33, 47)])
def test_frames_are_thinned_as_by_tensorflow(shape):
    depth_mm = np.random.default_rng(1).uniform(0.0, 3000.0, shape).astype(np.float32)
    intrinsics = np.array([500.0, 510.0, 0.5 * shape[1], 0.5 * shape[0]], np.float32)
    frame_mm, thinned = search.thinned(depth_mm, intrinsics)
    expected_mm, expected_intrinsics = tf_search.thinned(tf.constant(depth_mm[None]), tf.constant(intrinsics[None]))
    np.testing.assert_array_equal(frame_mm, expected_mm[0])
    np.testing.assert_allclose(thinned, expected_intrinsics[0], rtol=1e-6)
    assert set(np.unique(frame_mm)) - {0.0} <= set(np.unique(depth_mm))


def test_whole_numbers_are_taken_as_they_are():
    depth_mm, view = frames()["structured light"]
    counts = depth_mm.astype(np.uint16)
    assert np.array_equal(counts, depth_mm)
    center_mm = search.find_hand(counts, view.intrinsics)
    np.testing.assert_array_equal(center_mm, search.find_hand(depth_mm, view.intrinsics))


@pytest.mark.parametrize("shift_mm", [(0, 0, 0), (40, -30, 25), (-90, 60, 40), (300, 300, 300)])
@pytest.mark.parametrize("iterations", [1, 8])
def test_refinement_is_that_of_tensorflow(shift_mm, iterations):
    for name, (depth_mm, view) in frames().items():
        if not len(expected()[name][0]):
            continue
        start_mm = np.add(expected()[name][0][0], shift_mm, dtype=np.float32)
        inputs = [tf.constant(value[None]) for value in (depth_mm[::2, ::2], view.intrinsics / 2, start_mm)]
        refined_mm = tf_mass.refine_center(*inputs, iterations).numpy()[0]
        center_mm = search.refine_center(depth_mm[::2, ::2], view.intrinsics / 2, start_mm, iterations)
        np.testing.assert_allclose(center_mm, refined_mm, atol=0.06, err_msg=name)


def test_crops_are_centred_as_a_model_was_trained():
    depth_mm, view = frames()["structured light"]
    center_mm = expected()["structured light"][0][0]
    assert search.crop_center(depth_mm, view.intrinsics, center_mm, "joints") is center_mm
    inputs = [tf.constant(value[None]) for value in (depth_mm, view.intrinsics, center_mm)]
    mass_mm = search.crop_center(depth_mm, view.intrinsics, center_mm, "mass")
    np.testing.assert_allclose(mass_mm, tf_mass.center_of_mass(*inputs)[0], atol=0.02)
    assert 2.0 < np.linalg.norm(mass_mm - center_mm) < 60.0


def test_the_networks_say_what_tensorflow_s_say():
    weights, file = networks.load_weights(), finder.load_networks()
    for name in ("structured light", "a wall", "noisy"):
        depth_mm, view = frames()[name]
        frame_mm, intrinsics = search.thinned(depth_mm, view.intrinsics)
        said = file.look_at_frame(frame_mm, intrinsics[0])
        for value, wanted in zip(said, networks.look_at_frame(weights, frame_mm[None], intrinsics[:1])):
            np.testing.assert_allclose(value, wanted[0], rtol=1e-4, atol=2e-3)
    image = np.random.default_rng(2).uniform(-1.0, 1.0, (64, 64, 1)).astype(np.float32)
    wanted = networks.look_at_crop(weights, image[None])[0]
    np.testing.assert_allclose(file.look_at_crop(image), wanted, rtol=1e-4, atol=2e-3)


def test_the_file_that_ships_finds_the_same_hands_a_few_millimetres_off(sixteen_bits, monkeypatch):
    monkeypatch.setattr(finder, "TFLITE", sixteen_bits)
    file = finder.FinderNetworks()
    monkeypatch.setattr(search, "load_networks", lambda: file)
    away_mm, differ = [], 0
    for name, (depth_mm, view) in frames().items():
        found, (centers_mm, _) = search.find_hands(depth_mm, view.intrinsics, 2), expected()[name]
        differ += len(found) != len(centers_mm)
        if len(found) == len(centers_mm):
            away_mm += [np.linalg.norm(hand.center_mm - each) for hand, each in zip(found, centers_mm)]
    # Weights of 8 bits. In a frame or two a place is just above the least score, or just below.
    assert differ <= 2 and len(away_mm) >= 8
    assert np.median(away_mm) < 4.0 and np.max(away_mm) < 20.0


def test_missing_and_damaged_networks_are_named(tmp_path, monkeypatch):
    for content, word in ((None, "missing"), (b"no networks", "damaged")):
        path = tmp_path / f"{word}.tflite"
        if content:
            path.write_bytes(content)
        monkeypatch.setattr(finder, "TFLITE", path)
        with pytest.raises(InputError, match=f"{word}.*install the program again"):
            finder.FinderNetworks()


def test_what_the_border_cuts_is_what_tensorflow_says():
    rng = np.random.default_rng(3)
    centers_mm = rng.uniform((-350, -280, 300), (350, 280, 1100), (200, 3)).astype(np.float32)
    size = np.array([CAMERA.width, CAMERA.height], np.float32)
    expected = tf_search._is_whole(
        tf.constant(centers_mm[None]), tf.constant(CAMERA.intrinsics[None]), tf.constant(size)
    )
    whole = [search._is_whole(each, CAMERA.intrinsics, size) for each in centers_mm]
    assert 20 < np.sum(whole) < 180
    np.testing.assert_array_equal(whole, expected[0])
