"""The whole set: sizes, sharing, seeds, and what refuses to fit."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.errors import InputError
from lsps_tf.networks import DOMAINS, build_networks
from lsps_tf.presets import PRESETS

TINY = PRESETS["tiny"].network
PARAMETERS = {
    "tiny": {
        "pose_encoder": 4510,
        "pose_decoder": 3978,
        "encoders": 2540,
        "generators": 2142,
        "discriminators": 1581,
        "posterior": 660,
        "mapping": 5905,
    },
    "compact": {
        "pose_encoder": 19112,
        "pose_decoder": 16620,
        "encoders": 100096,
        "generators": 98434,
        "discriminators": 697153,
        "posterior": 9360,
        "mapping": 187681,
    },
    "paper": {
        "pose_encoder": 4510,
        "pose_decoder": 3978,
        "encoders": 6708224,
        "generators": 7734274,
        "discriminators": 6348033,
        "posterior": 81940,
        "mapping": 27593472,
    },
}


@pytest.fixture(scope="module")
def networks():
    return build_networks(TINY, 32, seed=5)


def count_parameters(part):
    parts = part.values() if hasattr(part, "values") else [part]
    variables = {v.ref(): v for network in parts for v in network.variables}
    return sum(int(np.prod(v.shape)) for v in variables.values())


@pytest.mark.parametrize("preset", PARAMETERS)
def test_parameters_of_each_preset(preset):
    config = PRESETS[preset]
    built = build_networks(config.network, config.data.image_size, seed=0)
    assert {name: count_parameters(getattr(built, name)) for name in PARAMETERS[preset]} == PARAMETERS[preset]
    assert sum(int(np.prod(v.shape)) for v in built.variables) == sum(PARAMETERS[preset].values())


def test_domains_share_by_identity(networks):
    synthetic, real = (networks.encoders[d] for d in DOMAINS)
    assert synthetic.shared is real.shared and synthetic.private is not real.private
    synthetic, real = (networks.generators[d] for d in DOMAINS)
    assert synthetic.shared is real.shared and synthetic.private is not real.private
    synthetic, real = (networks.discriminators[d] for d in DOMAINS)
    assert synthetic.shared is real.shared and synthetic.head is real.head
    private = {v.ref() for v in synthetic.private.variables}
    assert private.isdisjoint(v.ref() for v in real.variables)


def test_same_seed_same_weights(networks):
    again, other = build_networks(TINY, 32, seed=5), build_networks(TINY, 32, seed=6)
    for own, same, different in zip(networks.variables, again.variables, other.variables):
        np.testing.assert_array_equal(own, same)
        assert "bias" in own.name or not own.shape.rank or not np.array_equal(own, different)


def test_no_two_kernels_are_equal(networks):
    kernels = {v.numpy().tobytes() for v in networks.variables if "kernel" in v.name}
    assert len(kernels) == sum("kernel" in v.name for v in networks.variables)


def test_sets_of_images_equal_one_by_one(networks):
    random = np.random.default_rng(0)
    images = {name: tf.constant(random.uniform(-1, 1, (n, 32, 32, 1)), tf.float32) for name, n in (("a", 2), ("b", 1))}
    domains = {"a": "real", "b": "synthetic"}
    means = networks.encode(images, domains)
    targets = {"a": ("synthetic", "real"), "b": ("real",)}
    made = networks.generate(means, targets)
    features = networks.discriminator_features(images, domains)
    for name, domain in domains.items():
        np.testing.assert_allclose(means[name], networks.encoders[domain](images[name]), atol=1e-5)
        expected = networks.discriminators[domain].features(images[name])
        np.testing.assert_allclose(features[name], expected, atol=1e-5)
    assert means["a"].shape == (2, 8, 8, 8) and made["a"]["synthetic"].shape == (2, 32, 32, 1)
    assert {source: tuple(images) for source, images in made.items()} == targets
    for source, images in made.items():
        for domain, image in images.items():
            np.testing.assert_allclose(image, networks.generators[domain](means[source]), atol=1e-5)


def test_prediction_is_decoder_of_posterior_of_that_domain(networks):
    image = tf.random.stateless_uniform((2, 32, 32, 1), (0, 1), -1.0, 1.0)
    for domain in DOMAINS:
        discriminator = networks.discriminators[domain]
        latent = networks.posterior(discriminator.shared(discriminator.private(image)))
        np.testing.assert_array_equal(networks.predict_latent(image, domain), latent)
        joints = networks.predict_joints(image, domain)
        assert joints.shape == (2, TINY.num_joints, 3)
        np.testing.assert_array_equal(tf.reshape(joints, (2, -1)), networks.pose_decoder(latent))
    mean, _ = networks.encode_pose(joints)
    np.testing.assert_array_equal(mean, networks.pose_encoder(tf.reshape(joints, (2, -1)))[0])


def count(variables):
    assert len({v.ref() for v in variables}) == len(variables)
    return sum(int(np.prod(v.shape)) for v in variables)


@pytest.mark.parametrize("preset", PARAMETERS)
def test_each_players_variables_are_its_networks(preset):
    """By their numbers of parameters, which are those of the tables."""
    config, sizes = PRESETS[preset], PARAMETERS[preset]
    networks = build_networks(config.network, config.data.image_size, seed=0)
    head = count(networks.realism_head.variables)
    width = (config.network.vote_widths or config.network.discriminator_widths)[-1]
    assert head == 4 * width + 1
    assert count(networks.pose_variables()) == sizes["pose_encoder"] + sizes["pose_decoder"]
    assert count(networks.generator_variables(*DOMAINS)) == (sizes["encoders"] + sizes["generators"] + sizes["mapping"])
    assert count(networks.discriminator_variables(*DOMAINS)) == sizes["discriminators"] + sizes["posterior"]
    assert count(networks.posterior_variables(*DOMAINS)) == sizes["discriminators"] + sizes["posterior"] - head
    assert count(list(networks.named_variables().values())) == sum(sizes.values())


def test_one_domains_variables_are_its_own_and_the_shared_ones(networks):
    everything = {v.ref() for v in networks.posterior_variables(*DOMAINS)}
    synthetic, real = ({v.ref() for v in networks.posterior_variables(domain)} for domain in DOMAINS)
    assert synthetic | real == everything and synthetic - real and real - synthetic
    shared = {v.ref() for v in networks.discriminators["real"].shared.variables}
    assert synthetic & real == shared | {v.ref() for v in networks.posterior.variables}
    image = tf.random.stateless_uniform((1, 32, 32, 1), (0, 3))
    with tf.GradientTape() as tape:
        joints = networks.predict_joints(image, "real")
    gradients = tape.gradient(joints, networks.variables)
    reached = {v.ref() for v, g in zip(networks.variables, gradients) if g is not None}
    confidence = {v.ref() for v in networks.pose_encoder.variables}
    assert {v.ref() for v in networks.deployed_variables("real")} == reached | confidence
    assert {v.ref() for layer in networks.deployed_layers("real") for v in layer.variables} == reached


def test_names_of_weights_are_their_networks_and_places(networks):
    named = networks.named_variables()
    assert named["encoders/real/000"] is networks.encoders["real"].variables[0]
    assert named["mapping/001"] is networks.mapping.variables[1]
    # Shared layers have the name that "real", which sorts first, gives them.
    shared = {v.ref() for v in networks.encoders["real"].shared.variables}
    names = [name for name, v in named.items() if v.ref() in shared]
    assert len(names) == len(shared) and all(name.startswith("encoders/real/") for name in names)


def test_large_features_are_averaged_to_one_latent(networks):
    features = tf.random.stateless_normal((2, 4, 4, 8), (0, 2))
    crops = [features[:, i : i + 2, j : j + 2] for i in range(3) for j in range(3)]
    expected = np.mean([networks.posterior(crop) for crop in crops], axis=0)
    np.testing.assert_allclose(networks.posterior(features), expected, atol=1e-5)


def test_a_deeper_discriminator_and_images_between_powers_of_two_are_settings():
    config = dataclasses.replace(
        TINY, discriminator_widths=(2, 3, 4, 4), discriminator_repeats=1, mapping="code", mapping_widths=(4, 4)
    )
    built = build_networks(config, 96, seed=0)
    real = built.discriminators["real"]
    strides = [layer.strides[0] for part in (real.private, real.shared) for layer in part.layers]
    assert strides == [2, 2, 1, 2, 1, 2, 1]
    assert built.mapping(tf.zeros((1, config.pose_latent))).shape == (1, 24, 24, config.encoder_widths[-1])


def test_sixth_discriminator_layer_is_a_setting():
    config = dataclasses.replace(
        TINY, discriminator_widths=(2, 2, 3, 3, 4, 4), mapping="code", mapping_widths=(4, 4, 4)
    )
    built = build_networks(config, 128, seed=0)
    assert len(built.discriminators["real"].shared.layers) == 4
    assert built.discriminators["real"](tf.zeros((1, 128, 128, 1))).shape == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("image_size", "change", "message"),
    [
        (64, {"discriminator_widths": (2, 2, 2, 2, 2), "mapping": "code"}, "mapping_widths"),
        (32, {"mapping_widths": (8, 8), "mapping": "code"}, "mapping_widths"),
        (32, {"mapping_widths": ()}, "mapping_widths"),
        (30, {}, "image_size"),
        (32, {"encoder_widths": (4, 8)}, "encoder_widths"),
        (32, {"generator_widths": (4, 4, 4)}, "generator_widths"),
        (32, {"residual_width": 10}, "residual_width"),
        (32, {"discriminator_private": 4}, "discriminator_private"),
        (32, {"discriminator_widths": (4, 4, 4, 4, 4)}, "discriminator_widths"),
        (32, {"shared_blocks": 0}, "shared_blocks"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(image_size, change, message):
    with pytest.raises(InputError, match=message):
        build_networks(dataclasses.replace(TINY, **change), image_size, seed=0)


def test_weights_survive_a_checkpoint(networks, tmp_path):
    path = tf.train.Checkpoint(networks=networks).write(str(tmp_path / "weights"))
    other = build_networks(TINY, 32, seed=9)
    tf.train.Checkpoint(networks=other).read(path).assert_consumed()
    for own, restored in zip(networks.variables, other.variables):
        np.testing.assert_array_equal(own, restored)
