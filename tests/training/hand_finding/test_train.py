"""Training of the hand finder's networks on a few views: what is learned, and the files that are written."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from lsps_tf.hand_finding import networks
from lsps_tf.simulation import shape
from training.hand_finding import blocks, convert, crop_losses, frame_losses, train
from training.hand_finding.initial_weights import new_weights
from training.hand_finding.views import make_views


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two blocks of a few views."""
    path = tmp_path_factory.mktemp("views")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 8)
        patch.setattr(blocks, "_AT_ONCE", 8)
        blocks.ensure_blocks(path, 16, 3)
    return path


def test_blocks_are_made_once_and_say_what_was_simulated(folder):
    first, second = sorted(folder.iterdir())
    made = first.stat().st_mtime_ns
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 8)
        assert blocks.ensure_blocks(folder, 9, 3) == [first, second]
    assert first.stat().st_mtime_ns == made
    views = blocks.as_examples(blocks.read_block(first), np.array([2, 5]))
    assert views.depth_mm.dtype == tf.float32 and views.depth_mm.shape == (2, 160, 160)
    assert "structured-light" in first.name and "time-of-flight" in second.name


def test_standardized_kernels_have_the_deviation_of_their_gains():
    start = new_weights("frame", 1)
    weights = {key: tf.Variable(value + 0.3) for key, value in start.items()}
    weights.update(train._gains(start))
    for key, value in train.standardized(weights).items():
        if key.endswith("/kernel") and "/output/" not in key:
            axes = tuple(range(value.ndim - 1))
            np.testing.assert_allclose(value.numpy().mean(axis=axes), 0.0, atol=1e-5)
            np.testing.assert_allclose(value.numpy().std(axis=axes), start[key].std(axis=axes), rtol=1e-3)
        else:
            np.testing.assert_allclose(value, start[key] + 0.3, rtol=1e-6)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A block of a few scenes with places."""
    path = tmp_path_factory.mktemp("cache") / "places"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 8)
        patch.setattr(blocks, "_AT_ONCE", 8)
        blocks.ensure_blocks(path, 8, 3, blocks.PLACES)
    return path


def test_the_loss_of_the_frame_s_network_falls_on_a_few_views(folder):
    views = blocks.as_examples(blocks.read_block(sorted(folder.glob("*.npz"))[0]), np.arange(8))
    weights = {key: tf.Variable(value) for key, value in new_weights("frame", 0).items()}
    step = train._build_step(weights, tf.keras.optimizers.legacy.Adam(1e-3), frame_losses.frame_losses)
    found = [float(step(views, tf.constant([0, 1]))["loss"]) for _ in range(25)]
    assert found[-1] < 0.7 * found[0]


def test_the_loss_of_the_network_of_crops_falls_on_a_few_places(places):
    block = blocks.read_block(next(places.iterdir()), blocks.PLACES)
    examples = blocks.as_examples(block, np.arange(8), blocks.PLACES)
    weights = {key: tf.Variable(value) for key, value in new_weights("crop", 0).items()}
    step = train._build_step(weights, tf.keras.optimizers.legacy.Adam(3e-4), crop_losses.crop_losses)
    found = [float(step(examples, tf.constant([0, 1]))["loss"]) for _ in range(20)]
    assert found[-1] < 0.7 * found[0]


def test_the_network_of_crops_is_written_as_running_averages(places, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 8)
    monkeypatch.setattr(train, "BATCHES", {"crop": 2})
    output, steps = tmp_path / "finder.npz", []
    monkeypatch.setattr(train, "_follow", lambda means, weights, step: steps.append(step))
    train.train_finder(output, 8, {"crop": 2}, 3, places.parent)
    assert steps == [0, 1]
    # Averages that do not follow stay where training has started.
    for key, value in new_weights("crop", 3).items():
        np.testing.assert_allclose(train.read_weights(output, "crop")[key], value, rtol=1e-3, atol=1e-6)


def test_running_averages_are_of_the_last_steps():
    means, weights = {"a": tf.Variable(0.0)}, {"a": tf.Variable(1.0)}
    expected = 0.0
    for step in range(50):
        train._follow(means, weights, step)
        kept = min(train.AVERAGE, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept)
    np.testing.assert_allclose(means["a"], expected, rtol=1e-5)
    assert expected > 0.99


def test_weights_are_written_and_gone_on_from(folder, places, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 8)
    monkeypatch.setattr(train, "BATCHES", {"frame": 2, "crop": 2})
    monkeypatch.setattr(train, "clear_views", train.all_views)
    output = tmp_path / "finder.npz"
    train.train_finder(output, 16, {"frame": 1, "crop": 0}, 3, folder)
    train.train_finder(output, 8, {"frame": 0, "crop": 1}, 3, places.parent)
    first = {name: train.read_weights(output, name) for name in ("frame", "crop")}
    train.train_finder(output, 8, {"frame": 0, "crop": 1}, 3, places.parent, resume=True)
    second = {name: train.read_weights(output, name) for name in ("frame", "crop")}
    for key, value in first["frame"].items():
        np.testing.assert_array_equal(second["frame"][key], value)
    moved = [np.abs(second["crop"][key] - value).max() for key, value in first["crop"].items()]
    assert 0.0 < max(moved) < 0.02


def test_the_file_for_devices_says_the_same(tmp_path):
    weights = {**new_weights("frame", 4), **new_weights("crop", 5)}
    # As they are kept.
    weights = {name: value.astype(np.float16).astype(np.float32) for name, value in weights.items()}
    path = tmp_path / "finder.tflite"
    convert.write_tflite(weights, path, bits=16)
    interpreter = Interpreter(model_path=str(path))
    depth_mm = np.random.default_rng(0).uniform(0.0, 2000.0, (1, 128, 160)).astype(np.float32)
    focal_px = np.array([140.0], np.float32)
    said = interpreter.get_signature_runner("look_at_frame")(depth_mm=depth_mm, focal_px=focal_px)
    output, reference_mm = networks.look_at_frame(weights, depth_mm, focal_px)
    np.testing.assert_allclose(said["output"], output, rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(said["reference_mm"], reference_mm, rtol=1e-4)


def test_views_that_are_cut_or_hidden_are_left_out():
    made = make_views("stereo", shape.sample_shape(tf.constant([1, 2]), 3), 16, tf.constant([5, 6]))
    block = {key: value.numpy() for key, value in made._asdict().items()}
    chosen = set(train.clear_views(block))
    for n in range(16):
        fx, fy, cx, cy = block["intrinsics"][n]
        clear = False
        for (x, y, z), pixels, share in zip(block["middle_mm"][n], block["pixels"][n], block["share"][n]):
            u, v = fx * x / z + cx, fy * y / z + cy
            inside = 8.0 < u < 152.0 and 8.0 < v < 152.0
            clear |= inside and pixels >= 2 * frame_losses.FEWEST_PIXELS and share >= frame_losses.LEAST_SHARE
        assert (n in chosen) == (clear or not block["pixels"][n].any())
