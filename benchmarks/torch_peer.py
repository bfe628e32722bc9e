"""The networks of tables 2 to 4 written plainly in PyTorch, as the peer of benchmarks/train_step.py.

The code is independent: of this project it takes the sizes (`NetworkConfig`) and the weights, as arrays by the names of
`Networks.named_variables`. PyTorch is not among the project's requirements.

Everything is turned by half a turn in the image plane: images, noise and kernels. Where a stride of 2 needs one row of
padding, TensorFlow pads below and PyTorch above. Turned, both are the same, and the peer needs no padding of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from lsps_tf.config import NetworkConfig

DOMAINS = ("synthetic", "real")
SLOPE = 0.2


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int | None = None, **options) -> nn.Conv2d:
    """A convolution that pads each side by half its kernel unless told otherwise."""
    return nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2 if padding is None else padding, **options)


class ResidualBlock(nn.Module):
    """A grouped bottleneck with instance norm."""

    def __init__(self, channels: int, config: NetworkConfig):
        super().__init__()
        width, groups = config.residual_width, config.residual_groups
        self.reduce = conv(channels, width, 1, bias=False)
        self.paths = conv(width, width, 3, bias=False, groups=groups)
        self.expand = conv(width, channels, 1, bias=False)
        self.norms = nn.ModuleList(nn.InstanceNorm2d(n, eps=1e-5) for n in (width, width, channels))
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.activation(self.norms[0](self.reduce(inputs)))
        hidden = self.activation(self.norms[1](self.paths(hidden)))
        return inputs + self.norms[2](self.expand(hidden))


def blocks(count: int, config: NetworkConfig) -> list[nn.Module]:
    return [ResidualBlock(config.encoder_widths[-1], config) for _ in range(count)]


def encoder(config: NetworkConfig) -> nn.Sequential:
    """A domain's own layers of E."""
    layers, inputs = [], 1
    for number, width in enumerate(config.encoder_widths):
        layers += [conv(inputs, width, 3, 2) if number else conv(1, width, 7), nn.LeakyReLU(SLOPE)]
        inputs = width
    return nn.Sequential(*layers, *blocks(config.private_blocks, config))


def generator(config: NetworkConfig) -> nn.Sequential:
    """A domain's own layers of G."""
    layers, inputs = blocks(config.private_blocks, config), config.encoder_widths[-1]
    for width in config.generator_widths:
        layers += [nn.ConvTranspose2d(inputs, width, 3, 2, 1, output_padding=1), nn.LeakyReLU(SLOPE)]
        inputs = width
    return nn.Sequential(*layers, nn.ConvTranspose2d(inputs, 1, 1), nn.Tanh())


def strided(inputs: int, widths: tuple[int, ...], first: int, repeats: int) -> nn.Sequential:
    """D's convolutions from number `first` on."""
    layers = []
    for number, width in enumerate(widths, start=first):
        layers += [conv(inputs, width, 3, 2), nn.LeakyReLU(SLOPE)]
        for _ in range(repeats if number else 0):
            layers += [conv(width, width, 3), nn.LeakyReLU(SLOPE)]
        inputs = width
    return nn.Sequential(*layers)


def mapping(config: NetworkConfig, image_size: int) -> nn.Sequential:
    """M: one pixel to the depth latent."""
    widths = (*config.mapping_widths, config.encoder_widths[-1])
    first = (image_size // 4) >> (len(widths) - 1)
    layers = [nn.ConvTranspose2d(config.latent_size, widths[0], first)]
    for inputs, width in zip(widths, widths[1:]):
        layers += [nn.LeakyReLU(SLOPE), nn.ConvTranspose2d(inputs, width, 4, 2, 1)]
    return nn.Sequential(*layers)


class PeerNetworks(nn.Module):
    """All networks of figure 2 with given weights.

    Args:
        config: their sizes.
        image_size: pixels of an image's side.
        weights: arrays by the names of `Networks.named_variables`.
    """

    def __init__(self, config: NetworkConfig, image_size: int, weights: dict[str, np.ndarray]):
        super().__init__()
        joints, hidden, latent = 3 * config.num_joints, config.pose_hidden, config.pose_latent
        private, widths = config.discriminator_private, config.discriminator_widths
        self.pose_encoder = nn.ModuleList(
            [nn.Linear(joints, hidden), nn.Linear(hidden, latent), nn.Linear(hidden, latent)]
        )
        self.pose_decoder = nn.Sequential(nn.Linear(latent, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, joints))
        self.encode_own = nn.ModuleDict({domain: encoder(config) for domain in DOMAINS})
        self.encode_shared = nn.Sequential(*blocks(config.shared_blocks, config))
        self.generate_shared = nn.Sequential(*blocks(config.shared_blocks, config))
        self.generate_own = nn.ModuleDict({domain: generator(config) for domain in DOMAINS})
        repeats = config.discriminator_repeats
        self.judge_own = nn.ModuleDict({domain: strided(1, widths[:private], 0, repeats) for domain in DOMAINS})
        self.judge_shared = strided(widths[private - 1], widths[private:], private, repeats)
        self.head = conv(widths[-1], 1, 2, padding=0)
        self.posterior = conv(widths[-1], config.latent_size, 2, padding=0)
        self.mapping = mapping(config, image_size)
        self._load(weights)

    def encode_pose(self, joints: Tensor) -> tuple[Tensor, Tensor]:
        """Joints [B, J, 3] to the mean and the standard deviation of the pose latent, both [B, Z]."""
        first, mean, log_variance = self.pose_encoder
        hidden = nn.functional.leaky_relu(first(joints.flatten(1)), SLOPE)
        return mean(hidden), torch.exp(0.5 * log_variance(hidden).clamp(-20.0, 10.0))

    def encode(self, images: dict[str, Tensor]) -> list[Tensor]:
        """E of an image per domain, in the order of `images`; the shared layers take all at once."""
        own = [self.encode_own[domain](image) for domain, image in images.items()]
        return list(self.encode_shared(torch.cat(own)).split([len(part) for part in own]))

    def generate(self, latents: list[Tensor], domain: str) -> list[Tensor]:
        """G of one domain of several latents."""
        images = self.generate_own[domain](self.generate_shared(torch.cat(latents)))
        return list(images.split([len(latent) for latent in latents]))

    def translate(self, latents: list[Tensor]) -> dict[str, list[Tensor]]:
        """G of both domains of the same latents; the shared layers run once."""
        hidden = self.generate_shared(torch.cat(latents))
        sizes = [len(latent) for latent in latents]
        return {domain: list(self.generate_own[domain](hidden).split(sizes)) for domain in DOMAINS}

    def features(self, images: list[Tensor], domain: str) -> list[Tensor]:
        """D's penultimate activations of several images of one domain."""
        features = self.judge_shared(self.judge_own[domain](torch.cat(images)))
        return list(features.split([len(image) for image in images]))

    def predict(self, features: Tensor) -> Tensor:
        """P's last layer: features to the pose latent [B, Z]."""
        return self.posterior(features).mean(dim=(2, 3))

    def generator_parameters(self) -> list[nn.Parameter]:
        parts = (self.encode_own, self.encode_shared, self.generate_own, self.generate_shared, self.mapping)
        return [parameter for part in parts for parameter in part.parameters()]

    def discriminator_parameters(self) -> list[nn.Parameter]:
        return [*self.posterior_parameters(), *self.head.parameters()]

    def posterior_parameters(self) -> list[nn.Parameter]:
        return [p for part in (self.judge_own, self.judge_shared, self.posterior) for p in part.parameters()]

    def pose_parameters(self) -> list[nn.Parameter]:
        return [*self.pose_encoder.parameters(), *self.pose_decoder.parameters()]

    @torch.no_grad()
    def _load(self, weights: dict[str, np.ndarray]) -> None:
        synthetic, real = DOMAINS
        parts = {
            "pose_encoder": [self.pose_encoder],
            "pose_decoder": [self.pose_decoder],
            "mapping": [self.mapping],
            "posterior": [self.posterior],
            "encoders/real": [self.encode_own[real], self.encode_shared],
            "encoders/synthetic": [self.encode_own[synthetic]],
            "generators/real": [self.generate_shared, self.generate_own[real]],
            "generators/synthetic": [self.generate_own[synthetic]],
            "discriminators/real": [self.judge_own[real], self.judge_shared, self.head],
            "discriminators/synthetic": [self.judge_own[synthetic]],
        }
        for name, modules in parts.items():
            arrays = iter(weights[key] for key in sorted(weights) if key.rsplit("/", 1)[0] == name)
            for module in modules:
                for layer in module.modules():
                    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                        _fill(layer, arrays)
            if next(arrays, None) is not None:
                raise ValueError(f"{name}: more weights than the peer has")


def turned(images: np.ndarray) -> Tensor:
    """[B, H, W, C] as the peer takes it: turned by half a turn, [B, C, H, W], with the channels last in memory."""
    return torch.from_numpy(images[:, ::-1, ::-1].copy()).permute(0, 3, 1, 2)


def _fill(layer: nn.Module, arrays: Iterator[np.ndarray]) -> None:
    if isinstance(layer, nn.Linear):
        kernel = next(arrays).T
    else:
        groups = [next(arrays) for _ in range(layer.groups)]
        kernel = np.concatenate(groups, axis=-1).transpose(3, 2, 0, 1)[:, :, ::-1, ::-1]
    # A copy, since PyTorch takes no negative strides.
    layer.weight.copy_(torch.from_numpy(kernel.copy()))
    if layer.bias is not None:
        layer.bias.copy_(torch.from_numpy(next(arrays)))
