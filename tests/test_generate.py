"""Translations and picture rows against the networks called one by one."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from lsps_tf import generate, losses
from lsps_tf.config import PRESETS
from lsps_tf.networks import DOMAINS, build_networks

TINY = PRESETS["tiny"]
OTHER = {"synthetic": "real", "real": "synthetic"}


@pytest.fixture(scope="module")
def networks():
    return build_networks(TINY.network, TINY.data.image_size, seed=3)


@pytest.fixture(scope="module")
def image():
    random, size = np.random.default_rng(0), TINY.data.image_size
    return {domain: tf.constant(random.uniform(-1, 1, (2, size, size, 1)), tf.float32) for domain in DOMAINS}


@pytest.fixture(scope="module")
def joints():
    return tf.constant(np.random.default_rng(1).normal(0, 0.4, (2, TINY.network.num_joints, 3)), tf.float32)


def there(networks, image, source, domain):
    return networks.generators[domain](networks.encoders[source](image))


@pytest.mark.parametrize("source", DOMAINS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_translation_is_the_other_generators_image_of_the_mean(networks, image, source, domain):
    made = generate.translate(networks, image[source], source, domain)
    np.testing.assert_allclose(made, there(networks, image[source], source, domain), atol=1e-5)


def test_picture_rows_are_what_the_networks_make(networks, image, joints, monkeypatch):
    monkeypatch.setattr(losses, "depth_posterior", tfp.distributions.Deterministic)
    monkeypatch.setattr(losses, "pose_posterior", lambda mean, stddev: tfp.distributions.Deterministic(mean))
    expected = {}
    for domain, other in OTHER.items():
        translated = there(networks, image[domain], domain, other)
        expected[domain] = image[domain]
        expected[f"{domain}, reconstructed"] = there(networks, image[domain], domain, domain)
        expected[f"{domain} to {other}"] = translated
        expected[f"{domain} to {other} and back"] = there(networks, translated, other, domain)
    latent = networks.mapping(networks.encode_pose(joints)[0])
    expected["synthetic, from its pose by M"] = networks.generators["synthetic"](latent)
    rows = generate.depth_pictures(networks, image, joints, tf.constant([1, 2]))
    assert list(rows) == list(expected)
    for name, images in expected.items():
        np.testing.assert_allclose(rows[name], images[..., 0], atol=1e-5, err_msg=name)


def test_picture_rows_are_samples_by_the_seed(networks, image, joints):
    first, again, other = (
        generate.depth_pictures(networks, image, joints, tf.constant([1, number])) for number in (2, 2, 3)
    )
    for name, images in first.items():
        np.testing.assert_array_equal(images, again[name])
        assert np.array_equal(images, other[name]) == (name in DOMAINS), name
