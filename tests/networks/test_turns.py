"""P of turned images: the turns against those of the augmentation, and the median against NumPy's."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf import augment
from lsps_tf.errors import InputError
from lsps_tf.networks import build_networks
from lsps_tf.networks.turns import median_of_turns, turn_images
from lsps_tf.presets import PRESETS

SIZE = 32
TINY = dataclasses.replace(PRESETS["tiny"].network, turns=3)


def images(count=2):
    return np.random.default_rng(0).uniform(-1, 1, (count, SIZE, SIZE, 1)).astype(np.float32)


def test_turned_images_show_the_nearest_pixels_and_background_outside():
    turned = turn_images(tf.constant(images()), 3).numpy().reshape(3, 2, SIZE, SIZE)
    np.testing.assert_array_equal(turned[0], images()[..., 0])
    middle = (SIZE - 1) / 2
    for number, image, row, column in np.ndindex(3, 2, SIZE, SIZE):
        angle = 2 * np.pi * number / 3
        x, y = column - middle, row - middle
        # A point that lay at (u, v) lies at (x, y) now.
        u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
        source = round(v + middle), round(u + middle)
        inside = min(source) >= 0 and max(source) < SIZE
        assert turned[number, image, row, column] == (images()[image][source][0] if inside else 1.0)


def test_turns_are_those_of_the_augmentation():
    """Joints and images of the same angle: a patch lies where its turned joint is."""
    depth = np.ones((1, SIZE, SIZE, 1), np.float32)
    depth[0, 8:11, 20:23] = 0.0
    turned = turn_images(tf.constant(depth), 3).numpy()[..., 0]
    joint = (np.array([[[21.0, 9.0, 0.0]]], np.float32) - (SIZE - 1) / 2) * 2 / SIZE
    for number in range(3):
        moved = augment.turn_joints(tf.constant(joint), tf.constant([2 * np.pi * number / 3], tf.float32))
        rows, columns = np.nonzero(turned[number] < 1.0)
        seen = (np.array([columns.mean(), rows.mean()]) - (SIZE - 1) / 2) * 2 / SIZE
        np.testing.assert_allclose(moved[0, 0, :2], seen, atol=0.5 * 2 / SIZE)


@pytest.mark.parametrize("turns", [1, 3])
def test_the_median_is_numpys_of_joints_that_are_turned_back(turns):
    joints = np.random.default_rng(1).normal(size=(turns, 4, 5, 3)).astype(np.float32)
    turned = [
        augment.turn_joints(tf.constant(part), tf.fill([4], np.float32(2 * np.pi * number / turns)))
        for number, part in enumerate(joints)
    ]
    median = median_of_turns(tf.concat(turned, axis=0), turns)
    np.testing.assert_allclose(median, np.median(joints, axis=0), atol=1e-5)


def test_the_latent_is_that_of_the_median_of_three_predictions():
    networks, plain = (build_networks(dataclasses.replace(TINY, turns=turns), SIZE, seed=0) for turns in (3, 1))
    image = tf.constant(images())
    np.testing.assert_allclose(networks.predict_once(image, "real"), plain.predict_latent(image, "real"), atol=1e-6)
    parts = tf.split(turn_images(image, 3), 3)
    joints = tf.concat([plain.predict_joints(part, "real") for part in parts], axis=0)
    latent = plain.encode_pose(median_of_turns(joints, 3))[0]
    np.testing.assert_allclose(networks.predict_latent(image, "real"), latent, atol=1e-5)
    np.testing.assert_allclose(networks.predict_joints(image, "real"), plain.decode_pose(latent), atol=1e-5)


def test_a_first_look_that_is_known_is_not_taken_again():
    networks = build_networks(TINY, SIZE, seed=0)
    image = tf.constant(images())
    first = networks.decode_pose(networks.predict_once(image, "real"))
    np.testing.assert_allclose(
        networks.predict_latent(image, "real", first), networks.predict_latent(image, "real"), atol=1e-5
    )
    # What is given in its place counts.
    moved = first + 0.2 * np.random.default_rng(2).normal(size=first.shape).astype(np.float32)
    parts = [networks.decode_pose(networks.predict_once(part, "real")) for part in tf.split(turn_images(image, 3), 3)]
    latent = networks.encode_pose(median_of_turns(tf.concat([moved, *parts[1:]], axis=0), 3))[0]
    np.testing.assert_allclose(networks.predict_latent(image, "real", moved), latent, atol=1e-5)


def test_other_numbers_of_turns_are_refused():
    with pytest.raises(InputError, match="turns: 2; choose 1 or 3"):
        build_networks(dataclasses.replace(TINY, turns=2), SIZE, seed=0)
