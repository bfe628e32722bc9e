"""The whole set of networks and what shares what."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import tensorflow as tf
from tensorflow import keras

from lsps_tf.config import BONES, NetworkConfig
from lsps_tf.errors import InputError
from lsps_tf.networks.bone_mapping import BoneMapping
from lsps_tf.networks.depth_vae import Encoder, Generator, residual_blocks
from lsps_tf.networks.discriminator import Discriminator, PosteriorHead, realism_head, strided_convolutions
from lsps_tf.networks.layers import apply_together
from lsps_tf.networks.mapping import Mapping
from lsps_tf.networks.pose_vae import DirectDecoder, DirectEncoder, PoseDecoder, PoseEncoder
from lsps_tf.networks.sizes import check_sizes, first_mapping_size
from lsps_tf.networks.turns import median_of_turns, turn_images
from lsps_tf.networks.votes import TopDown, VotingHead

DOMAINS = ("synthetic", "real")

Tensors = dict[Hashable, tf.Tensor]


class Networks(tf.Module):
    """All networks of figure 2, built. Made by `build_networks`.

    Attributes:
        config: their sizes.
        image_size: S, pixels of an image's side.
        pose_encoder, pose_decoder: E_y and G_y.
        encoders, generators, discriminators: per domain, "synthetic" and "real".
        posterior: P's last layer, or layers that vote, which apply to the features of either discriminator.
        mapping: M, from the pose latent [B, Z] to the depth latent [B, S/4, S/4, C].
    """

    def __init__(self, config: NetworkConfig, image_size: int, seed: int):
        super().__init__(name="networks")
        self.config = config
        self.image_size = image_size
        if config.pose_vae:
            self.pose_encoder = PoseEncoder(config.pose_hidden, config.pose_latent, seed)
            self.pose_decoder = PoseDecoder(config.pose_hidden, config.num_joints, seed)
        else:
            self.pose_encoder, self.pose_decoder = DirectEncoder(), DirectDecoder()
        self.encoders = _build_encoders(config, seed)
        self.generators = _build_generators(config, seed)
        self.discriminators = _build_discriminators(config, seed)
        self.posterior = self._build_posterior(seed)
        self.mapping = self._build_mapping(seed)

    @property
    def realism_head(self) -> keras.layers.Layer:
        """The head that D_s and D_r share: features [B, h, w, C] to a map of logits [B, h - 1, w - 1, 1]."""
        return self.discriminators["real"].head

    def encode(self, images: Tensors, domains: dict[Hashable, str]) -> Tensors:
        """E of several sets of images in one go; the layers that the domains share run once.

        Args:
            images: normalised depth [B, S, S, 1] by any keys.
            domains: by the same keys, whose encoder takes them.

        Returns:
            By the same keys the means of q(z|x), [B, S/4, S/4, C].
        """
        return _apply_shared(self.encoders, _apply_private(self.encoders, images, domains), domains)

    def generate(self, depth_latents: Tensors, domains: dict[Hashable, Sequence[str]]) -> dict[Hashable, Tensors]:
        """G of several sets of latents in one go; the shared layers run once per latent, whatever it becomes.

        Args:
            depth_latents: [B, S/4, S/4, C] by any source.
            domains: by the same sources, whose generators take them.

        Returns:
            Normalised depth [B, S, S, 1] as `made[source][domain]`.
        """
        pairs = {(source, domain): domain for source, wanted in domains.items() for domain in wanted}
        if _share(self.generators):
            hidden = apply_together(self.generators["real"].shared, depth_latents)
            parts = {(source, domain): hidden[source] for source, domain in pairs}
        else:
            latents = {(source, domain): depth_latents[source] for source, domain in pairs}
            parts = _apply_shared(self.generators, latents, pairs)
        images = _apply_private(self.generators, parts, pairs)
        return {source: {domain: images[source, domain] for domain in wanted} for source, wanted in domains.items()}

    def discriminator_features(self, images: Tensors, domains: dict[Hashable, str]) -> Tensors:
        """D_phi of equation 8 of several sets of images [B, S, S, 1] in one go, by their keys: [B, h, w, C]."""
        return apply_together(self.discriminators["real"].shared, _apply_private(self.discriminators, images, domains))

    def predict_latent(self, image: tf.Tensor, domain: str, first_joints: tf.Tensor | None = None) -> tf.Tensor:
        """P of that domain: normalised depth [B, S, S, 1] to the pose latent [B, Z], as the setting `turns` says.

        Args:
            image: what P sees.
            domain: whose P.
            first_joints: [B, J, 3], what P says of the images as they are (`decode_pose` of `predict_once`), where that
                is known already and there are turns; the turns alone are looked at then.
        """
        turns = self.config.turns
        if turns == 1:
            return self.predict_once(image, domain)
        turned = turn_images(image, turns)
        if first_joints is not None:
            turned = turned[tf.shape(image)[0] :]
        joints = self.decode_pose(self.predict_once(turned, domain))
        if first_joints is not None:
            joints = tf.concat([first_joints, joints], axis=0)
        return self.encode_pose(median_of_turns(joints, turns))[0]

    def predict_once(self, image: tf.Tensor, domain: str) -> tf.Tensor:
        """P of that domain and of the images as they are: [B, S, S, 1] to the pose latent [B, Z]."""
        return self.posterior(self.discriminators[domain].features(image))

    def predict_joints(self, image: tf.Tensor, domain: str) -> tf.Tensor:
        """P_r = G_y(P(x)) (section 3), deployed for "real": depth [B, S, S, 1] to joints [B, J, 3] in half cubes."""
        return self.decode_pose(self.predict_latent(image, domain))

    def decode_pose(self, pose_latent: tf.Tensor) -> tf.Tensor:
        """G_y: pose latent [B, Z] to joints [B, J, 3] in half cubes."""
        return tf.reshape(self.pose_decoder(pose_latent), (-1, self.config.num_joints, 3))

    def encode_pose(self, joints: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """E_y: joints [B, J, 3] in half cubes to the mean [B, Z] and the standard deviation [B, Z] of q(z_y|y)."""
        return self.pose_encoder(tf.reshape(joints, (-1, 3 * self.config.num_joints)))

    def pose_variables(self) -> list[tf.Variable]:
        """The weights of E_y and G_y."""
        return _unique(self.pose_encoder, self.pose_decoder)

    def generator_variables(self, *domains: str) -> list[tf.Variable]:
        """The weights of the generators' player: E and G of these domains, and M."""
        parts = (part[domain] for part in (self.encoders, self.generators) for domain in domains)
        return _unique(*parts, self.mapping)

    def mapping_variables(self) -> list[tf.Variable]:
        """The weights of M."""
        return _unique(self.mapping)

    def discriminator_variables(self, *domains: str) -> list[tf.Variable]:
        """The weights of the discriminators' player: D of these domains with the realism head, and P's last layer."""
        return _unique(*(self.discriminators[domain] for domain in domains), self.posterior)

    def posterior_variables(self, *domains: str) -> list[tf.Variable]:
        """The weights of P of these domains: the discriminators' layers without the realism head, and P's last."""
        return _unique(*(layer for domain in domains for layer in self._trunk(domain)), self.posterior)

    def deployed_variables(self, domain: str) -> list[tf.Variable]:
        """The weights that P_r = G_y(P(x)) and its confidence read, where P is that of `domain`: P, G_y and E_y."""
        return _unique(*self._trunk(domain), self.posterior, self.pose_decoder, self.pose_encoder)

    def deployed_layers(self, domain: str) -> list[keras.layers.Layer]:
        """The layers of P_r = G_y(P(x)): P's convolutions of `domain`, P's last, and G_y's.

        Each reads the one before where the settings are `in_a_row`. Otherwise E_y stands before G_y.
        """
        encoder = self.pose_encoder
        between = [] if self.config.in_a_row or not self.config.pose_vae else [encoder.hidden, encoder.mean]
        return [*self._trunk(domain), *self.posterior.layers, *between, *self.pose_decoder.layers]

    def named_variables(self) -> dict[str, tf.Variable]:
        """Every weight once, by its network and its place in it, as in "encoders/real/004" (the names of weight files).

        What the domains share has the name that "real" gives it.
        """
        parts = {name: getattr(self, name) for name in ("pose_encoder", "pose_decoder", "mapping", "posterior")}
        for kind in ("encoders", "generators", "discriminators"):
            parts.update({f"{kind}/{domain}": part for domain, part in sorted(getattr(self, kind).items())})
        named, seen = {}, set()
        for part, network in parts.items():
            for number, variable in enumerate(network.variables):
                if variable.ref() not in seen:
                    seen.add(variable.ref())
                    named[f"{part}/{number:03d}"] = variable
        return named

    def names_above_convolutions(self) -> tuple[str, ...]:
        """The names, as of `named_variables`, of what reads D's convolutions: the way back up, the head, P's last."""
        convolutions = _unique(
            *(part for each in self.discriminators.values() for part in (each.private, *_down(each.shared)))
        )
        below = {variable.ref() for variable in convolutions}
        return tuple(
            name
            for name, variable in self.named_variables().items()
            if name.startswith(("discriminators/", "posterior/")) and variable.ref() not in below
        )

    def _build_posterior(self, seed: int) -> keras.Model:
        config = self.config
        if config.vote_widths:
            return VotingHead(config.num_joints, seed, lambda joints: self.encode_pose(joints)[0])
        return PosteriorHead(config.latent_size, seed)

    def _build_mapping(self, seed: int) -> keras.Model:
        config = self.config
        if config.mapping == BONES:
            return BoneMapping(config, self.image_size, seed, self.decode_pose)
        widths = (*config.mapping_widths, config.encoder_widths[-1])
        return Mapping(widths, first_mapping_size(config, self.image_size), seed)

    def _trunk(self, domain: str) -> list[keras.layers.Layer]:
        """The convolutions of a discriminator, the domain's own and the shared ones."""
        discriminator = self.discriminators[domain]
        return [*discriminator.private.layers, *discriminator.shared.layers]


def build_networks(config: NetworkConfig, image_size: int, seed: int) -> Networks:
    """All networks with their variables; the same arguments give the same weights.

    Args:
        config: sizes (tables 2 to 4).
        image_size: S, pixels of an image's side, divisible by 4.
        seed: the run's seed of initial weights.

    Raises:
        InputError: where the sizes do not fit each other or the image.
    """
    check_sizes(config, image_size)
    networks = Networks(config, image_size, seed)
    image = keras.Input((image_size, image_size, 1))
    pose_latent = keras.Input((config.latent_size,))
    networks.pose_encoder(keras.Input((3 * config.num_joints,)))
    networks.pose_decoder(pose_latent)
    mapped = networks.mapping(pose_latent)
    for domain in DOMAINS:
        latent = networks.encoders[domain](image)
        if mapped.shape != latent.shape:
            raise InputError(
                f"mapping_widths: M ends in {mapped.shape[1:]} but the depth latent of a {image_size} pixel image is "
                f"{latent.shape[1:]}; one more or one fewer width doubles or halves M's output"
            )
        networks.generators[domain](latent)
        networks.discriminators[domain](image)
        networks.posterior(networks.discriminators[domain].features(image))
    return networks


def _unique(*modules: tf.Module) -> list[tf.Variable]:
    """The modules' trainable variables in order, shared ones once."""
    return list({variable.ref(): variable for module in modules for variable in module.trainable_variables}.values())


def _apply_private(networks: dict[str, keras.Model], parts: Tensors, domains: dict[Hashable, str]) -> Tensors:
    return _apply_by_domain({domain: network.private for domain, network in networks.items()}, parts, domains)


def _apply_shared(networks: dict[str, keras.Model], parts: Tensors, domains: dict[Hashable, str]) -> Tensors:
    if _share(networks):
        return apply_together(networks["real"].shared, parts)
    return _apply_by_domain({domain: network.shared for domain, network in networks.items()}, parts, domains)


def _share(networks: dict[str, keras.Model]) -> bool:
    return networks["real"].shared is networks["synthetic"].shared


def _apply_by_domain(layers: dict[str, keras.Model], parts: Tensors, domains: dict[Hashable, str]) -> Tensors:
    outputs = {}
    for domain in DOMAINS:
        own = {name: part for name, part in parts.items() if domains[name] == domain}
        if own:
            outputs.update(apply_together(layers[domain], own))
    return outputs


def _build_encoders(config: NetworkConfig, seed: int) -> dict[str, Encoder]:
    shared = _shared_blocks("encoder", config, seed)
    return {domain: Encoder(f"encoder_{domain}", config, shared[domain], seed) for domain in DOMAINS}


def _build_generators(config: NetworkConfig, seed: int) -> dict[str, Generator]:
    shared = _shared_blocks("generator", config, seed)
    return {domain: Generator(f"generator_{domain}", config, shared[domain], seed) for domain in DOMAINS}


def _shared_blocks(kind: str, config: NetworkConfig, seed: int) -> dict[str, keras.Sequential]:
    """By domain the layers that both share; without `weight_sharing` as many of each domain's own."""

    def blocks(name: str) -> keras.Sequential:
        return keras.Sequential(residual_blocks(name, config.shared_blocks, config, seed), name=name)

    if config.weight_sharing:
        return dict.fromkeys(DOMAINS, blocks(f"{kind}_shared"))
    return {domain: blocks(f"{kind}_{domain}_unshared") for domain in DOMAINS}


def _down(shared: keras.Model) -> list[keras.Model]:
    """The strided convolutions of a discriminator's shared layers."""
    return shared.down if isinstance(shared, TopDown) else [shared]


def _build_discriminators(config: NetworkConfig, seed: int) -> dict[str, Discriminator]:
    private = config.discriminator_private
    widths, repeats = config.discriminator_widths[private:], config.discriminator_repeats
    name = "discriminator_shared"
    levels = [
        strided_convolutions(name, (width,), number, seed, repeats) for number, width in enumerate(widths, private + 1)
    ]
    if config.vote_widths:
        down = [keras.Sequential(level, name=f"{name}_level_{i}") for i, level in enumerate(levels, private + 1)]
        shared = TopDown(name, down, config.vote_widths, seed)
    else:
        shared = keras.Sequential([layer for level in levels for layer in level], name=name)
    head = realism_head(seed)
    return {domain: Discriminator(f"discriminator_{domain}", config, shared, head, seed) for domain in DOMAINS}
