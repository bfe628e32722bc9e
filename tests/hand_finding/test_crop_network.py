import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.hand_finding import crop_network
from lsps_tf.hand_finding.constants import CROP_SIZE, OUTPUTS
from lsps_tf.run_folder import SHIPPED, load_run
from training.hand_finding.initial_weights import named_trunk, new_weights


def test_it_starts_from_what_p_sees():
    images = np.random.default_rng(1).uniform(-1.0, 1.0, (2, CROP_SIZE, CROP_SIZE, 1)).astype(np.float32)
    seen = crop_network.features(new_weights("crop", 0), images)
    wanted = load_run(SHIPPED).networks.discriminator_features({"crops": tf.constant(images)}, {"crops": "real"})
    np.testing.assert_allclose(seen, wanted["crops"], rtol=1e-3, atol=1e-4)


def test_another_network_s_kernels_are_refused():
    weights = new_weights("crop", 0)
    trunk = [weights[f"{name}/{part}"] for name in crop_network.TRUNK_SHAPES for part in ("kernel", "bias")]
    trunk[2] = np.zeros((5, 5, 24, 48), np.float32)
    with pytest.raises(ValueError, match="crop/down1"):
        named_trunk(trunk)


def test_each_crop_is_looked_at_by_itself():
    weights = new_weights("crop", 0)
    images = np.random.default_rng(2).uniform(-1.0, 1.0, (3, CROP_SIZE, CROP_SIZE, 1)).astype(np.float32)
    said = crop_network.look_at_crop(weights, images)
    assert said.shape == (3, OUTPUTS)
    np.testing.assert_allclose(said[1:2], crop_network.look_at_crop(weights, images[1:2]), rtol=1e-4, atol=1e-5)
    assert np.abs(said[0] - said[1]).max() > 1e-3
