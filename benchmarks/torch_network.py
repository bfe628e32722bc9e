"""The deployed network in PyTorch with a run's weights, for comparison; it is not among the project's requirements."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from lsps_tf.errors import InputError
from lsps_tf.networks.layers import LEAKY_SLOPE
from lsps_tf.run_folder import Run


class DeployedNetwork(nn.Module):
    """P_r = G_y(P(x)): strided convolutions, P's head, and two dense layers."""

    def __init__(self, run: Run):
        super().__init__()
        if not run.config.network.in_a_row:
            raise InputError(
                f"{run.directory}: its P votes or turns, which this network does not; "
                "give a run that was trained with --vote-widths= --turns 1"
            )
        *trunk, head, hidden, output = run.networks.deployed_layers(run.domain)
        self.trunk = nn.ModuleList(_convolution(layer, 2) for layer in trunk)
        self.head, self.hidden, self.output = _convolution(head, 1), _dense(hidden), _dense(output)
        self.num_joints = run.config.network.num_joints

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Crops [B, 1, S, S] to joints [B, J, 3] in half cubes."""
        value = image
        for convolution in self.trunk:
            # TensorFlow pads images of even sides at the right and at the bottom only.
            value = _leaky(convolution(nn.functional.pad(value, (0, 1, 0, 1))))
        latent = self.head(value).mean(dim=(2, 3))
        return self.output(_leaky(self.hidden(latent))).reshape(-1, self.num_joints, 3)


def build_runner(run: Run, threads: int):
    """A function of one crop, float32 [1, S, S, 1], to joints [J, 3], as fast as PyTorch runs it here."""
    torch.set_num_threads(threads)
    # On CPUs PyTorch convolves one image four times faster with the channels last.
    network = DeployedNetwork(run).eval().to(memory_format=torch.channels_last)

    def predict(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            pixels = torch.from_numpy(image).permute(0, 3, 1, 2).to(memory_format=torch.channels_last)
            return network(pixels)[0].numpy()

    return predict


def _convolution(layer, stride: int) -> nn.Conv2d:
    kernel, bias = (np.array(value) for value in layer.get_weights())
    side, _, inputs, outputs = kernel.shape
    convolution = nn.Conv2d(inputs, outputs, side, stride)
    return _with_weights(convolution, kernel.transpose(3, 2, 0, 1), bias)


def _dense(layer) -> nn.Linear:
    kernel, bias = (np.array(value) for value in layer.get_weights())
    return _with_weights(nn.Linear(*kernel.shape), kernel.T, bias)


def _with_weights(module, weight: np.ndarray, bias: np.ndarray):
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        module.bias.copy_(torch.from_numpy(bias))
    return module


def _leaky(value: torch.Tensor) -> torch.Tensor:
    return nn.functional.leaky_relu(value, LEAKY_SLOPE)
