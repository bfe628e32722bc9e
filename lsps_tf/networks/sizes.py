"""Which sizes of networks fit each other and the image."""

from __future__ import annotations

from lsps_tf.config import NetworkConfig
from lsps_tf.errors import InputError
from lsps_tf.networks.mapping import FIRST_SIZES
from lsps_tf.networks.turns import TURNS

DEPTH_LATENT_STRIDE = 4


def first_mapping_size(config: NetworkConfig, image_size: int) -> int:
    """The side of M's first layer with which its last one gives a depth latent; table 3's where none does."""
    side, halvings = image_size // DEPTH_LATENT_STRIDE, len(config.mapping_widths)
    first = side >> halvings
    return first if first in FIRST_SIZES and first << halvings == side else FIRST_SIZES[0]


def check_sizes(config: NetworkConfig, image_size: int) -> None:
    """Raises InputError where the sizes do not fit each other or the image."""
    convolutions = len(config.discriminator_widths)
    if len(config.encoder_widths) != 3:
        raise InputError(f"encoder_widths: {len(config.encoder_widths)} widths given, table 4 has three")
    if len(config.generator_widths) != 2:
        raise InputError(f"generator_widths: {len(config.generator_widths)} widths given, table 4 has two")
    if image_size % DEPTH_LATENT_STRIDE:
        raise InputError(f"image_size: {image_size} is not divisible by {DEPTH_LATENT_STRIDE}")
    if config.residual_width % config.residual_groups:
        raise InputError(f"residual_width: {config.residual_width} is not divisible by {config.residual_groups} groups")
    if not 0 < config.discriminator_private < convolutions:
        raise InputError(
            f"discriminator_private: {config.discriminator_private} of {convolutions} convolutions; at least one must "
            "be private and one shared"
        )
    if config.turns not in TURNS:
        raise InputError(f"turns: {config.turns}; choose {' or '.join(map(str, TURNS))}")
    if min(config.vote_widths, default=1) < 1:
        raise InputError(f"vote_widths: {config.vote_widths} holds a width below 1")
    if len(config.vote_widths) > convolutions - config.discriminator_private:
        raise InputError(
            f"vote_widths: {len(config.vote_widths)} widths given, but the discriminators share "
            f"{convolutions - config.discriminator_private} convolutions; give at most as many"
        )
    if not config.mapping_widths or min(config.private_blocks, config.shared_blocks) < 1:
        raise InputError("mapping_widths, private_blocks and shared_blocks must hold at least one layer each")
    if -(-image_size // 2**convolutions) < 2:
        raise InputError(
            f"discriminator_widths: {convolutions} halvings leave less than 2x2 of {image_size} pixels, which the "
            "heads need; use fewer widths"
        )
