"""P that votes, against slow loops; which weights it has, and what refuses to fit."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import losses
from lsps_tf.errors import InputError
from lsps_tf.networks import DOMAINS, build_networks
from lsps_tf.presets import PRESETS

VOTES = dataclasses.replace(
    PRESETS["tiny"].network, discriminator_widths=(3, 4, 5, 6), discriminator_repeats=1, vote_widths=(7, 5)
)


@pytest.fixture(scope="module")
def networks():
    return build_networks(VOTES, 32, seed=5)


@pytest.fixture(scope="module")
def image():
    return tf.random.stateless_uniform((2, 32, 32, 1), (0, 1), -1.0, 1.0)


def leaky(value):
    return np.where(value < 0, 0.2 * value, value)


def pointwise(layer, value):
    return np.einsum("bhwc,cd->bhwd", value, layer.kernel.numpy()[0, 0]) + layer.bias.numpy()


def convolve(layer, value):
    """A 3x3 convolution of stride 1 and its LeakyReLU, tap by tap."""
    padded = np.pad(value, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = value.shape[1:3]
    total = layer.bias.numpy()
    for i in range(3):
        for j in range(3):
            total = total + padded[:, i : i + height, j : j + width] @ layer.kernel.numpy()[i, j]
    return leaky(total)


@pytest.mark.parametrize("size", [32, 36])
def test_the_way_back_up_is_that_of_slow_loops(size):
    """Of 36 pixels the maps have 9, 5 and 3: what is enlarged loses its last row and column."""
    networks = build_networks(dataclasses.replace(VOTES, mapping_blocks=1), size, seed=5)
    shared = networks.discriminators["real"].shared
    value = tf.random.stateless_normal((2, size // 4, size // 4, 4), (0, 2))
    middle = shared.down[0](value)
    smallest = leaky(pointwise(shared.deepest, shared.down[1](middle).numpy()))
    expected, maps = smallest, [middle.numpy(), value.numpy()]
    for merge, beside in zip(shared.up, maps):
        below = pointwise(merge.from_below, expected)
        height, width = beside.shape[1:3]
        enlarged = np.zeros((2, height, width, below.shape[-1]))
        for v in range(height):
            for u in range(width):
                enlarged[:, v, u] = below[:, v // 2, u // 2]
        expected = convolve(merge.merged, leaky(enlarged + pointwise(merge.from_beside, beside)))
    np.testing.assert_allclose(shared(value), convolve(shared.last, expected), atol=1e-4)


def test_joints_are_weighted_means_of_the_votes_of_all_places(networks):
    features = tf.random.stateless_normal((2, 3, 4, 5), (0, 3))
    head = networks.posterior
    logits, offset = pointwise(head.importance, features.numpy()), pointwise(head.offset, features.numpy())
    joints = np.zeros((2, VOTES.num_joints, 3))
    for b in range(2):
        for j in range(VOTES.num_joints):
            share = np.exp(logits[b, :, :, j])
            for v in range(3):
                for u in range(4):
                    place = offset[b, v, u, 3 * j : 3 * j + 3] + ((u + 0.5) / 2 - 1, (v + 0.5) / 1.5 - 1, 0)
                    joints[b, j] += share[v, u] / share.sum() * place
    weights, places = head.votes(features)
    np.testing.assert_allclose(np.sum(weights[..., None] * places, axis=1), joints, atol=1e-5)
    mean, _ = networks.encode_pose(tf.constant(joints, tf.float32))
    np.testing.assert_allclose(head(features), mean, atol=1e-5)


def test_the_distance_of_the_votes_is_that_of_a_loop():
    random = np.random.default_rng(0)
    weights, places = random.dirichlet(np.ones(4), (2, 3)).transpose(0, 2, 1), random.normal(size=(2, 4, 3, 3))
    target = random.normal(size=(2, 3, 3))
    total = 0.0
    for b in range(2):
        for n in range(4):
            for j in range(3):
                total += weights[b, n, j] * np.linalg.norm(places[b, n, j] - target[b, j])
    term = losses.vote_loss(*(tf.constant(value, tf.float32) for value in (weights, places, target)))
    assert (term.weight, float(term.value)) == ("lambda_7_votes", pytest.approx(total / 6, rel=1e-5))


def reached_from(output, networks, image):
    with tf.GradientTape() as tape:
        value = output(image)
    slopes = tape.gradient(value, networks.variables)
    return {v.ref() for v, slope in zip(networks.variables, slopes) if slope is not None}


@pytest.mark.parametrize("domain", DOMAINS)
def test_p_s_weights_are_those_that_move_its_latent(networks, image, domain):
    """E_y's are not among them, though the latent comes through it."""
    reached = reached_from(lambda image: networks.predict_latent(image, domain), networks, image)
    encoder = {v.ref() for v in networks.pose_encoder.variables}
    assert {v.ref() for v in networks.posterior_variables(domain)} == reached - encoder
    joints = reached_from(lambda image: networks.predict_joints(image, domain), networks, image)
    assert {v.ref() for layer in networks.deployed_layers(domain) for v in layer.variables} == joints
    assert {v.ref() for v in networks.deployed_variables(domain)} == joints | encoder


def test_a_larger_map_is_judged_and_named_like_any_other(networks, image):
    real = networks.discriminators["real"]
    assert real.features(image).shape == (2, 8, 8, 5) and real(image).shape == (2, 7, 7, 1)
    assert real.shared is networks.discriminators["synthetic"].shared
    assert len(networks.named_variables()) == len({v.ref() for v in networks.variables})
    again = build_networks(VOTES, 32, seed=5)
    for one, other in zip(networks.variables, again.variables):
        np.testing.assert_array_equal(one, other)


def test_without_a_pose_vae_the_joints_that_won_are_the_prediction(image):
    networks = build_networks(dataclasses.replace(VOTES, pose_vae=False, mapping="code"), 32, seed=0)
    weights, places = networks.posterior.votes(networks.discriminators["real"].features(image))
    expected = tf.reduce_sum(weights[..., None] * places, axis=1)
    np.testing.assert_array_equal(networks.predict_joints(image, "real"), expected)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ((4, 4, 4), "vote_widths: 3 widths given, but the discriminators share 2 convolutions"),
        ((4, 0), r"vote_widths: \(4, 0\) holds a width below 1"),
    ],
)
def test_a_way_up_that_cannot_be_is_refused(widths, message):
    with pytest.raises(InputError, match=message):
        build_networks(dataclasses.replace(VOTES, vote_widths=widths), 32, seed=0)
