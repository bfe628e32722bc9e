"""Weights that the training of the hand finder's networks starts from, by name."""

from __future__ import annotations

import numpy as np

from lsps_tf.hand_finding.crop_network import HEAD_SHAPES, TRUNK_SHAPES
from lsps_tf.hand_finding.networks import FRAME_SHAPES
from lsps_tf.run_folder import SHIPPED, load_run

Shapes = dict[str, tuple[int, ...]]


def new_weights(network: str, seed: int) -> dict[str, np.ndarray]:
    """Those of "frame" are random; those of "crop" have the trunk of P as it ships, and a random head."""
    if network == "crop":
        return {**_trunk_of_p(), **_random_weights(HEAD_SHAPES, seed)}
    weights = _random_weights(FRAME_SHAPES, seed)
    # Hardly any cell is a hand's middle (Lin et al., "Focal loss", 2017, section 3.3).
    weights["frame/output/bias"][0] = -4.0
    return weights


def _trunk_of_p() -> dict[str, np.ndarray]:
    layers = load_run(SHIPPED).networks.deployed_layers("real")
    values = [
        value.numpy()
        for layer in layers
        if layer.name.startswith("discriminator")
        for value in layer.trainable_variables
    ]
    return named_trunk(values)


def named_trunk(values: list[np.ndarray]) -> dict[str, np.ndarray]:
    """P's kernels and biases, in its order, by the names that they have here; ValueError where they are others."""
    weights = dict(zip((f"{name}/{part}" for name in TRUNK_SHAPES for part in ("kernel", "bias")), values, strict=True))
    for name, shape in TRUNK_SHAPES.items():
        if weights[f"{name}/kernel"].shape != shape:
            raise ValueError(f"{name}: a kernel of {weights[f'{name}/kernel'].shape} is none of P's as it ships")
    return weights


def _random_weights(shapes: Shapes, seed: int) -> dict[str, np.ndarray]:
    """Kernels of these shapes (He et al., 2015), smaller ones of the outputs, and biases of 0."""
    rng, weights = np.random.default_rng(seed), {}
    for name, shape in shapes.items():
        scale = np.sqrt((0.1 if name.endswith("output") else 2.0) / np.prod(shape[:-1]))
        weights[f"{name}/kernel"] = (scale * rng.standard_normal(shape)).astype(np.float32)
        weights[f"{name}/bias"] = np.zeros(shape[-1], np.float32)
    return weights
