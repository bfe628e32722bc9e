"""Networks without weight sharing, and without a pose VAE."""

import numpy as np
import tensorflow as tf

from lsps_tf.networks import DOMAINS, build_networks
from lsps_tf.presets import PRESETS

TINY = PRESETS["tiny"]


def images(seed):
    return tf.constant(np.random.default_rng(seed).uniform(-1, 1, (2, 32, 32, 1)), tf.float32)


def test_without_weight_sharing_no_layer_of_e_and_g_is_in_both_domains():
    networks = build_networks(TINY.replace(weight_sharing=False).network, 32, seed=1)
    shared = build_networks(TINY.network, 32, seed=1)
    for kind in ("encoders", "generators"):
        synthetic, real = (getattr(networks, kind)[domain] for domain in DOMAINS)
        assert not {id(v) for v in synthetic.variables} & {id(v) for v in real.variables}
        same = getattr(shared, kind)["real"]
        assert [v.shape for v in real.variables] == [v.shape for v in same.variables]
        # The layers that would be shared do not start alike either.
        assert not np.allclose(synthetic.shared.variables[0], real.shared.variables[0])
    assert networks.discriminators["real"].shared is networks.discriminators["synthetic"].shared


def test_without_weight_sharing_each_domain_takes_its_own_layers():
    networks = build_networks(TINY.replace(weight_sharing=False).network, 32, seed=1)
    batch = {"a": images(0), "b": images(1), "c": images(2)}
    domains = {"a": "real", "b": "synthetic", "c": "real"}
    mean = networks.encode(batch, domains)
    for name, domain in domains.items():
        np.testing.assert_allclose(mean[name], networks.encoders[domain](batch[name]), atol=1e-5)
    made = networks.generate(mean, dict.fromkeys(batch, DOMAINS))
    for name in batch:
        for domain in DOMAINS:
            expected = networks.generators[domain](mean[name])
            np.testing.assert_allclose(made[name][domain], expected, atol=1e-5)


def test_without_a_pose_vae_p_gives_the_joints():
    networks = build_networks(TINY.replace(pose_vae=False).network, 32, seed=1)
    joints = tf.constant(np.random.default_rng(0).normal(0, 0.4, (2, 36, 3)), tf.float32)
    mean, stddev = networks.encode_pose(joints)
    np.testing.assert_array_equal(stddev, 0.0)
    np.testing.assert_array_equal(networks.decode_pose(mean), joints)
    latent = networks.predict_latent(images(0), "real")
    assert latent.shape == (2, 108)
    np.testing.assert_array_equal(networks.predict_joints(images(0), "real"), tf.reshape(latent, (2, 36, 3)))
    assert not networks.pose_variables() and len(networks.deployed_layers("real")) == 5
    mapped = networks.mapping(mean)
    assert mapped.shape == networks.encoders["synthetic"](images(0)).shape
