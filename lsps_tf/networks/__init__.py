"""Networks of the appendix (tables 2 to 4)."""

from lsps_tf.networks.build import DOMAINS, Networks, build_networks
from lsps_tf.networks.depth_vae import Encoder, Generator
from lsps_tf.networks.discriminator import Discriminator, PosteriorHead
from lsps_tf.networks.layers import ResidualBlock, apply_together, instance_normalize
from lsps_tf.networks.mapping import Mapping
from lsps_tf.networks.pose_vae import PoseDecoder, PoseEncoder
from lsps_tf.networks.sizes import DEPTH_LATENT_STRIDE
from lsps_tf.stack import check_keras

__all__ = [
    "DEPTH_LATENT_STRIDE",
    "DOMAINS",
    "Discriminator",
    "Encoder",
    "Generator",
    "Mapping",
    "Networks",
    "PoseDecoder",
    "PoseEncoder",
    "PosteriorHead",
    "ResidualBlock",
    "apply_together",
    "build_networks",
    "instance_normalize",
]

check_keras()
