"""Translations and picture rows against the networks called one by one."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from lsps_tf import generate, losses, run_folder
from lsps_tf.errors import InputError
from lsps_tf.networks import DOMAINS, build_networks
from lsps_tf.presets import PRESETS

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
    assert list(generate.depth_pictures(networks, image, None, tf.constant([1, 2]))) == list(expected)[:-1]


def test_picture_rows_are_samples_by_the_seed(networks, image, joints):
    first, again, other = (
        generate.depth_pictures(networks, image, joints, tf.constant([1, number])) for number in (2, 2, 3)
    )
    for name, images in first.items():
        np.testing.assert_array_equal(images, again[name])
        assert np.array_equal(images, other[name]) == (name in DOMAINS), name


@pytest.fixture(scope="module")
def trained():
    """Networks whose biases are as after some steps."""
    networks = build_networks(TINY.network, TINY.data.image_size, seed=3)
    random = np.random.default_rng(2)
    for variable in networks.trainable_variables:
        variable.assign_add(random.normal(0, 0.05, variable.shape))
    return networks


@pytest.mark.parametrize("source", DOMAINS)
def test_what_becomes_of_images(networks, image, source):
    other = OTHER[source]
    rows = generate.translations(networks, image[source].numpy(), source)
    assert list(rows) == [source, f"{source}_reconstructed", f"{source}_to_{other}", f"{source}_to_{other}_and_back"]
    translated = there(networks, image[source], source, other)
    expected = [image[source], there(networks, image[source], source, source), translated]
    expected.append(there(networks, translated, other, source))
    for made, wanted in zip(rows.values(), expected):
        np.testing.assert_allclose(made, wanted[..., 0], atol=1e-5)


def test_hands_of_codes_are_the_networks_own(trained):
    codes = np.random.default_rng(4).normal(size=(3, TINY.network.latent_size)).astype(np.float32)
    hands = generate.hands_of_codes(trained, codes)
    for domain in DOMAINS:
        expected = trained.generators[domain](trained.mapping(codes))[..., 0]
        np.testing.assert_allclose(getattr(hands, domain), expected, atol=1e-5)
    np.testing.assert_allclose(hands.joints_norm, trained.decode_pose(codes), atol=1e-6)


def test_codes_of_joints_and_of_images(trained, image, joints):
    np.testing.assert_array_equal(generate.codes_of_joints(trained, joints), trained.encode_pose(joints)[0])
    for domain in DOMAINS:
        codes = generate.codes_of_images(trained, image[domain], domain)
        np.testing.assert_array_equal(codes, trained.predict_latent(image[domain], domain))


def test_a_walk_leads_along_the_lines_at_even_steps(trained):
    corners = np.random.default_rng(5).normal(size=(3, TINY.network.latent_size))
    # One leg is ten times as long, so that even steps of the code would be uneven steps of the pose.
    corners[2] = corners[1] + 0.1 * (corners[2] - corners[1])
    codes = generate.walk(trained, corners, 25)
    np.testing.assert_allclose(codes[[0, -1]], corners[[0, -1]], atol=1e-6)
    for code in codes:
        assert min(distance_to_line(code, *corners[leg : leg + 2]) for leg in (0, 1)) < 0.02
    moved_mm = generate.steps_moved_mm(trained.decode_pose(codes).numpy(), 250.0)
    assert len(moved_mm) == 24 and moved_mm.max() < 1.3 * moved_mm.mean()


def distance_to_line(point, start, end):
    along = np.clip(np.dot(point - start, end - start) / np.dot(end - start, end - start), 0, 1)
    return np.linalg.norm(point - start - along * (end - start))


def test_a_closed_walk_ends_a_step_before_its_start(trained):
    corners = np.random.default_rng(6).normal(size=(3, TINY.network.latent_size))
    codes = generate.walk(trained, corners, 30, closed=True)
    around = trained.decode_pose(np.concatenate([codes, codes[:1]])).numpy()
    moved_mm = generate.steps_moved_mm(around, 250.0)
    np.testing.assert_allclose(codes[0], corners[0], atol=1e-6)
    assert 0.7 * moved_mm.mean() < moved_mm[-1] < 1.3 * moved_mm.mean()


def test_steps_by_hand():
    joints = np.zeros((3, 2, 3))
    joints[1, 0] = (0.03, 0.04, 0.0)
    # One of two joints moves by 0.05 half cubes of 100 mm, and back.
    np.testing.assert_allclose(generate.steps_moved_mm(joints, 200.0), [2.5, 2.5])


def test_networks_that_were_never_trained_do_not_generate(networks, trained):
    assert generate.generates(trained) and not generate.generates(networks)
    run = run_folder.Run("runs/some", None, networks)
    with pytest.raises(InputError) as error:
        generate.check_generates(run)
    assert "runs/some: the run has no depth stage of both domains, so E_s, E_r, G_s, G_r, M are" in str(error.value)
    assert "structured-light" in str(error.value)


def test_the_run_that_comes_with_the_program_generates():
    run = generate.load_generating_run()
    assert generate.generates(run.networks) and run.config.network.latent_size == 20
