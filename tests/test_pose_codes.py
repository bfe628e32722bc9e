"""The space of pose codes against what it was drawn from and against loops, and names against what was put in."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import pose_codes
from lsps_tf.errors import InputError
from lsps_tf.networks import build_networks
from lsps_tf.pose_codes import fit_codes, named_quantities
from lsps_tf.presets import PRESETS
from lsps_tf.simulation import anatomy
from lsps_tf.skeleton import NYU

TINY = PRESETS["tiny"]


def drawn(count=4000, size=4):
    """Codes that are stretched, turned and moved, and two quantities: of the widest direction, and of none."""
    random = np.random.default_rng(0)
    coordinates = random.standard_normal((count, size)) * [3.0, 1.0, 0.3, 0.1]
    turn, _ = np.linalg.qr(random.standard_normal((size, size)))
    quantities = {"nothing": random.standard_normal(count), "curl": -2 * coordinates[:, 0] + 5}
    return coordinates @ turn.T + [1.0, 2.0, 3.0, 4.0], quantities


def test_the_fit_finds_the_directions_and_their_spread():
    codes, quantities = drawn()
    space = fit_codes(codes, quantities)
    np.testing.assert_allclose(space.mean, [1, 2, 3, 4], atol=0.2)
    np.testing.assert_allclose(space.stddevs, [3.0, 1.0, 0.3, 0.1], rtol=0.05)
    np.testing.assert_allclose(space.directions @ space.directions.T, np.eye(4), atol=1e-5)
    np.testing.assert_allclose(np.cov(space.coordinates(codes), rowvar=False), np.eye(4), atol=1e-4)
    np.testing.assert_allclose(space.codes(space.coordinates(codes)), codes, atol=1e-4)


def test_a_direction_is_named_by_what_goes_along_with_it_and_rises_with_it():
    codes, quantities = drawn()
    space = fit_codes(codes, quantities)
    assert space.names == ("curl", "mixture 2", "mixture 3", "mixture 4")
    assert space.correlations[0] > 0.99
    assert np.corrcoef(space.coordinates(codes)[:, 0], quantities["curl"])[0, 1] > 0.99


def test_a_name_that_is_taken_gets_the_next_quantity():
    random = np.random.default_rng(1)
    codes = random.standard_normal((500, 2)) * [2.0, 1.0]
    both = {"curl": codes[:, 0] / 2 + codes[:, 1], "spread": codes[:, 1] + 5 * codes[:, 0]}
    names = fit_codes(codes, both).names
    assert len(set(names)) == 2 and names[0] == "spread" and "curl" in names[1]


def nearest_by_hand(known, code, but=None):
    return min(math.dist(code, other) for number, other in enumerate(known) if number != but)


def test_typicality_is_the_share_that_is_as_far_from_the_next():
    codes, quantities = drawn(60)
    space = fit_codes(codes, quantities)
    apart = [nearest_by_hand(codes, code, number) for number, code in enumerate(codes)]
    np.testing.assert_allclose(space.distances, sorted(apart), rtol=1e-4)
    near = codes[:5] + [0.2, 0.1, 0.0, 0.1]
    expected = [np.mean(np.array(apart) >= nearest_by_hand(codes, code)) for code in near]
    np.testing.assert_allclose(space.typicality(near), expected, atol=1e-6)
    assert space.typicality(codes[:1])[0] == 1.0
    assert space.typicality(space.codes(np.full((1, 4), 50.0)))[0] == 0.0


def test_the_middle_of_a_ring_is_far_from_all():
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    space = fit_codes(ring, {"turn": turn})
    assert space.typicality(space.mean[None])[0] == 0.0
    between = 0.5 * (ring[:1] + ring[1:2])
    assert space.typicality(between)[0] == 1.0
    # From one side to the other the way leads along the ring, and the straight line through its middle.
    way = space.path(ring[0] * 1.01, ring[20] * 1.01)
    np.testing.assert_allclose(way[[0, -1]], [ring[0] * 1.01, ring[20] * 1.01], rtol=1e-6)
    assert len(way) > 10 and np.linalg.norm(way, axis=1).min() > 0.99
    assert np.linalg.norm(np.diff(way, axis=0), axis=1).max() < 0.4


def test_a_path_has_the_smallest_sum_of_squared_steps():
    random = np.random.default_rng(3)
    known = random.standard_normal((6, 2))
    start, end = np.array([-1.5, 0.0]), np.array([1.5, 0.0])
    ways = [(start, *known[list(order)], end) for size in range(5) for order in itertools.permutations(range(6), size)]
    cost = [sum(math.dist(one, other) ** 2 for one, other in itertools.pairwise(way)) for way in ways]
    found = fit_codes(known, {"x": known[:, 0]}).path(start, end)
    np.testing.assert_allclose(found, ways[int(np.argmin(cost))], atol=1e-6)


def test_samples_follow_the_seed_and_the_truncation():
    codes, quantities = drawn(500)
    space = fit_codes(codes, quantities)
    whole, again, other = space.sample(300, 0), space.sample(300, 0), space.sample(300, 1)
    np.testing.assert_array_equal(whole, again)
    assert not np.allclose(whole, other)
    known, half = space.sample(300, 0, truncation=0.0), space.sample(300, 0, truncation=0.5)
    assert all(nearest_by_hand(codes, code) < 1e-5 for code in known[:20])
    np.testing.assert_allclose(half - known, 0.5 * (whole - known), atol=1e-5)
    # Between the known one and one of its eight neighbours, anywhere.
    for code, start in zip(whole[:40], known):
        order = np.argsort(np.linalg.norm(codes - start, axis=1))
        ways = codes[order[1:9]] - start
        shares = [way @ (code - start) / (way @ way) for way in ways]
        off = [np.linalg.norm(start + share * way - code) for share, way in zip(shares, ways)]
        assert min(off) < 1e-4 and 0 <= shares[int(np.argmin(off))] <= 1
    np.testing.assert_allclose(space.coordinates(whole).std(axis=0), 1.0, atol=0.3)
    for truncation in (-0.1, 3.5, float("nan")):
        with pytest.raises(InputError, match="--truncation"):
            space.sample(2, 0, truncation)


def test_the_networks_own_prior_is_unit():
    networks = build_networks(TINY.network, TINY.data.image_size, seed=0)
    codes = pose_codes.sample_prior(networks, 2000, seed=4)
    assert codes.shape == (2000, TINY.network.latent_size)
    np.testing.assert_allclose([codes.mean(), codes.std()], [0, 1], atol=0.03)


def test_quantities_of_a_known_pose():
    angles, rotation = np.zeros((1, anatomy.NUM_ANGLES)), np.eye(3)[None]
    open_hand = named_quantities(angles, rotation)
    # In the palm frame the fingers point up, a camera sees the palm, and the thumb is at the right.
    for name in ("fingers up", "palm to the camera", "thumb to the right"):
        assert open_hand[name] == 1.0, name
    assert open_hand["curl"] == open_hand["spread"] == open_hand["fingers to the camera"] == 0.0
    angles[:, anatomy.FINGER_ANGLES[:, 0]] = 0.5
    angles[:, anatomy.FINGER_ANGLES[3, 1]] = 0.2
    bent = named_quantities(angles, rotation)
    np.testing.assert_allclose([bent["curl"][0], bent["knuckles bent"][0], bent["spread"][0]], [0.5, 0.5, 0.2])


@pytest.fixture
def few_poses(monkeypatch):
    monkeypatch.setattr(pose_codes, "POSES", 48)
    monkeypatch.setattr(pose_codes, "_PER_BATCH", 24)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_codes_of_simulated_poses(few_poses):
    networks = build_networks(TINY.network, TINY.data.image_size, seed=0)
    space = pose_codes.codes_of_simulated_poses(networks, NYU, 250.0)
    size = TINY.network.latent_size
    assert space.directions.shape == (size, size) and len(space.names) == size and len(space.distances) == 48
    joints_mm, quantities = pose_codes.simulated_poses(48, 0)
    joints_norm = (joints_mm - joints_mm.mean(axis=1, keepdims=True)) / 125
    codes = networks.encode_pose(tf.constant(joints_norm))[0].numpy()
    np.testing.assert_allclose(space.mean, codes.mean(axis=0), atol=1e-4)
    assert {len(values) for values in quantities.values()} == {48}
