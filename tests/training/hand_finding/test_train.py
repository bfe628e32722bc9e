"""Training of the hand finder's networks on a few windows: losses against loops, and the file that it writes."""

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import crop, rotation
from lsps_tf.hand_finding import networks
from lsps_tf.hand_finding.networks import OFFSET_MM, PALM, PRESENCE
from lsps_tf.skeleton import NYU
from training.hand_finding import train
from training.hand_finding.windows import CENTERS, HAND_MM, NO_HAND_MM, WINDOW_MM, WINDOW_SIZE, Windows

COUNT, STEPS = 6, 24
SHIPPED = networks.WEIGHTS


@pytest.fixture(scope="module")
def windows():
    """Blobs in place of hands: joints in a ball before a wall, some windows without; centres near and far."""
    random = np.random.default_rng(0)
    center_mm = np.tile(np.float32([[20.0, -30.0, 600.0]]), (COUNT, 1))
    joints_mm = (center_mm[:, None] + random.normal(0.0, 30.0, (COUNT, 36, 3))).astype(np.float32)
    joints_mm[-2:] = np.nan
    spread_mm = random.choice([15.0, 40.0, 120.0], (COUNT, CENTERS, 1))
    looks_mm = (center_mm[:, None] + spread_mm * random.normal(0.0, 1.0, (COUNT, CENTERS, 3))).astype(np.float32)
    depth_mm = np.full((COUNT, WINDOW_SIZE, WINDOW_SIZE), 900.0, np.float32)
    for i in range(COUNT - 2):
        depth_mm[i, 30 + i : 60, 25 : 70 - 4 * i] = 590.0 + 20.0 * random.random((30 - i, 45 - 4 * i))
    return Windows(*map(tf.constant, (depth_mm, center_mm, joints_mm, looks_mm)))


def test_a_mirror_turns_the_chosen_windows_alone(windows):
    chosen = np.arange(COUNT) % 2 == 0
    mirrored = train.mirror(windows, tf.constant(chosen))
    for i in range(COUNT):
        for name, value, turned in zip(Windows._fields, windows, mirrored):
            expected = value[i].numpy()
            if chosen[i]:
                expected = expected[:, ::-1] if name == "depth_mm" else expected * np.float32([-1.0, 1.0, 1.0])
            np.testing.assert_array_equal(turned[i], expected, err_msg=f"{name} {i}")


def test_turns_are_those_of_frames(windows):
    quarters = np.arange(COUNT) % 4
    turned = train.turn(windows, tf.constant(quarters, tf.int32))
    for i, degrees in enumerate(90 * quarters):
        np.testing.assert_array_equal(turned.depth_mm[i], rotation.rotate_depth(windows.depth_mm[i].numpy(), degrees))
        for name in Windows._fields[1:]:
            expected = rotation.rotate_points(getattr(windows, name)[i].numpy(), degrees)
            np.testing.assert_array_equal(getattr(turned, name)[i], expected, err_msg=f"{name} {i}")


def output_of(spec, weights, windows, i, center_mm):
    intrinsics = crop.crop_intrinsics(windows.center_mm[i : i + 1], WINDOW_MM, WINDOW_SIZE)
    given = windows.depth_mm[i : i + 1], intrinsics, tf.constant(center_mm[None])
    return networks.look(spec, weights, *given)[0].numpy().astype(np.float64)


def cross_entropy(logit, true):
    return np.log1p(np.exp(-logit if true else logit))


def test_the_loss_of_presence_is_a_slow_loop_s(windows, monkeypatch):
    """Over all centres as they are, so that the draw of some does not matter."""
    monkeypatch.setattr(train, "LOOKS", CENTERS)
    monkeypatch.setattr(train, "JITTER_MM", 0.0)
    weights, seed = networks.new_weights(PRESENCE, 1), tf.constant([3, 4])
    losses = train.presence_losses(windows, seed, weights)
    seeds = tf.random.split(seed, 4)
    left = tf.random.stateless_uniform([COUNT], seeds[1]) < 0.5
    seen = train.turn(train.mirror(windows, left), tf.random.stateless_uniform([COUNT], seeds[3], 0, 4, tf.int32))
    presence, right, errors_mm, middles_mm = [], [], [], []
    for i in range(COUNT):
        middle_mm = seen.joints_mm[i].numpy().mean(axis=0)
        for center_mm in seen.looks_mm[i].numpy():
            output = output_of(PRESENCE, weights, seen, i, center_mm)
            distance_mm = np.linalg.norm(middle_mm - center_mm)
            distance_mm = 1e6 if np.isnan(distance_mm) else distance_mm
            close = distance_mm < HAND_MM
            if close or distance_mm > NO_HAND_MM:
                presence.append(cross_entropy(output[0], close))
                right.append((output[0] > 0.0) == close)
            if distance_mm < 130.0:
                errors_mm.append(np.linalg.norm(OFFSET_MM * output[1:4] - (middle_mm - center_mm)))
            if close:
                middles_mm.append(errors_mm[-1])
    assert len(presence) < COUNT * CENTERS and 3 < len(middles_mm) < len(errors_mm) < len(presence)
    expected = np.mean(presence) + np.mean(errors_mm) / OFFSET_MM
    np.testing.assert_allclose(losses["loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(losses["right"], np.mean(right), rtol=1e-5)
    np.testing.assert_allclose(losses["middle_mm"], np.mean(middles_mm), rtol=1e-4)


def test_the_loss_of_palm_is_a_slow_loop_s(windows, monkeypatch):
    monkeypatch.setattr(train, "PALM_JITTER_MM", 0.0)
    windows = Windows(*(value[: COUNT - 2] for value in windows))
    weights, seed = networks.new_weights(train.with_joints(PALM), 1), tf.constant([3, 4])
    losses = train.palm_losses(windows, seed, weights)
    right = (tf.random.stateless_uniform([COUNT - 2], tf.random.split(seed, 2)[0]) < 0.5).numpy()
    assert right.any() and not right.all()
    seen = train.mirror(windows, ~right)
    sides, palms_mm, joints_mm = [], [], []
    for i in range(COUNT - 2):
        true_mm = seen.joints_mm[i].numpy()
        center_mm = true_mm.mean(axis=0)
        output = output_of(PALM, weights, seen, i, center_mm)
        sides.append(cross_entropy(output[0], right[i]))
        palm_mm = true_mm[NYU.joint_names.index("palm")]
        palms_mm.append(np.linalg.norm(center_mm + OFFSET_MM * output[1:4] - palm_mm))
        for joint in range(36):
            first = 4 + 3 * joint
            error_mm = center_mm + OFFSET_MM * output[first : first + 3] - true_mm[joint]
            joints_mm.append(np.linalg.norm(error_mm))
    expected = (np.mean(palms_mm) + np.mean(joints_mm)) / OFFSET_MM + 0.1 * np.mean(sides)
    np.testing.assert_allclose(losses["loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(losses["palm_mm"], np.mean(palms_mm), rtol=1e-4)
    np.testing.assert_allclose(losses["joints_mm"], np.mean(joints_mm), rtol=1e-4)


@pytest.fixture
def trained(windows, tmp_path, eagerly, monkeypatch):
    """trained(presence=steps, palm=steps): trains into a file. Gives the file and, by network, losses and weights."""
    cache, output = tmp_path / "windows.npz", tmp_path / "weights.npz"
    depth = np.rint(windows.depth_mm.numpy() / 0.1).astype(np.uint16)
    repeated = [np.repeat(column, 4, axis=0) for column in (depth, *(value.numpy() for value in windows[1:]))]
    np.savez(cache, **dict(zip(Windows._fields, repeated)))
    monkeypatch.setattr(train, "BATCH", 8)

    def run(**steps):
        losses, kept = {"presence": [], "palm": []}, {}
        for name in losses:
            monkeypatch.setattr(train, f"{name}_losses", _noting(getattr(train, f"{name}_losses"), losses[name]))
        write = train._write
        monkeypatch.setattr(train, "_write", lambda path, spec, found: kept.update(found) or write(path, spec, found))
        train.train_judges(output, 4 * COUNT, {"presence": 0, "palm": 0, **steps}, seed=0, cache=cache)
        return output, losses, kept

    return run


def _noting(losses_of, noted):
    def wrapper(windows, seed, weights):
        losses = losses_of(windows, seed, weights)
        noted.append(float(losses["loss"]))
        return losses

    return wrapper


def test_training_lowers_the_loss_and_its_file_predicts_the_same(trained, windows, monkeypatch):
    path, losses, kept = trained(presence=STEPS, palm=STEPS)
    for name in ("presence", "palm"):
        first, last = losses[name][:4], losses[name][STEPS - 4 : STEPS]
        assert np.mean(last) < 0.8 * np.mean(first), (name, first, last)
    with np.load(path) as file, np.load(SHIPPED) as shipped:
        assert {name: (file[name].shape, file[name].dtype) for name in file.files} == {
            name: (shipped[name].shape, shipped[name].dtype) for name in shipped.files
        }
    monkeypatch.setattr(networks, "WEIGHTS", path)
    networks.load_weights.cache_clear()
    try:
        intrinsics = crop.crop_intrinsics(windows.center_mm, WINDOW_MM, WINDOW_SIZE)
        given = windows.depth_mm, intrinsics, windows.center_mm
        presence, middle_mm = networks.judge_presence(*given)
    finally:
        networks.load_weights.cache_clear()
    output = networks.look(PRESENCE, kept, *given)
    np.testing.assert_allclose(presence, output[:, 0], atol=0.02)
    np.testing.assert_allclose(middle_mm, windows.center_mm + OFFSET_MM * output[:, 1:4], atol=0.5)
    assert np.abs(output[:, 0] - networks.look(PRESENCE, networks.new_weights(PRESENCE, 0), *given)[:, 0]).max() > 0.1


def test_a_network_that_is_not_trained_keeps_its_weights(trained):
    path, *_ = trained(presence=1, palm=1)
    with np.load(path) as file:
        before = {name: file[name] for name in file.files}
    trained(presence=2)
    with np.load(path) as file:
        changed = {name for name in file.files if not np.array_equal(file[name], before[name])}
    assert changed and {name.split("/")[0] for name in changed} == {"presence"}


def test_windows_are_made_once_where_they_are_kept(tmp_path, monkeypatch, windows):
    """Both sensors take turns; depth is kept in tenths of a mm."""
    asked = []

    def make(sensor, subjects, count, seed):
        asked.append((sensor, count, seed.numpy().tolist()))
        return Windows(*(value[:count] for value in windows))

    monkeypatch.setattr(train, "make_windows", make)
    monkeypatch.setattr(train, "_RENDERED", 2)
    tf.config.run_functions_eagerly(True)
    try:
        made = train._windows(5, 7, tmp_path / "kept.npz")
    finally:
        tf.config.run_functions_eagerly(False)
    assert [sensor for sensor, *_ in asked] == ["structured-light", "time-of-flight", "structured-light"]
    assert len({tuple(seed) for *_, seed in asked}) == 3 and {count for _, count, _ in asked} == {2}
    assert [len(column) for column in made] == [6] * 4
    np.testing.assert_allclose(0.1 * made[0][2:4], windows.depth_mm[:2], atol=0.051)
    again = train._windows(5, 7, tmp_path / "kept.npz")
    assert len(asked) == 3
    for column, other in zip(made, again):
        np.testing.assert_array_equal(column, other)
