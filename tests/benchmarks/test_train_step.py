"""The training steps against the same steps written plainly in PyTorch, and the count of their operations."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import train_step
from benchmarks.stage_cost import gflop_of_graph
from benchmarks.train_step_worker import build_stage, random_batch
from lsps_tf import losses
from lsps_tf.presets import PRESETS
from training.stages.base import noise_seeds
from training.stages.depth import _NOISES

# The paper's rate: a larger one makes the two players' game chaotic within ten steps, rounding included.
RATES = dict.fromkeys(
    ("posterior_learning_rate", "depth_learning_rate", "discriminator_learning_rate", "pose_learning_rate"), 1e-4
)
# The peer has the M of table 3.
TINY = PRESETS["tiny"].replace(**RATES, clip_norm=5.0, lambda_7_made=1.0, mapping="code")
STEPS = 10
NAMES = {"pose": ["pose"], "depth": _NOISES, "posterior": ["pose_synthetic", "pose_real"]}


def stage_noise(stage, step):
    """The noise that the stage draws at a step, by name, in the shape of a peer's tensor [B, Z] or [B, C, H, W]."""
    import torch

    seeds = noise_seeds(tf.constant([7, step]), NAMES[stage])

    def noise(name, like):
        if like.dim() == 2:
            zeros = tf.zeros(like.shape)
            return torch.from_numpy(losses.pose_posterior(zeros, zeros + 1.0).sample(seed=seeds[name]).numpy())
        batch, channels, height, width = like.shape
        drawn = losses.depth_posterior(tf.zeros((batch, height, width, channels))).sample(seed=seeds[name]).numpy()
        from benchmarks.torch_peer import turned

        return turned(drawn)

    return noise


def peer_losses(stage, form, weights, batch):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from benchmarks.torch_peer import PeerNetworks, turned
    from benchmarks.torch_steps import build_step

    step_number = [0]
    train = build_step(
        stage,
        form,
        TINY,
        PeerNetworks(TINY.network, TINY.data.image_size, weights),
        lambda name, like: stage_noise(stage, step_number[0])(name, like),
    )
    take = {"image": turned, "joints": torch.from_numpy}
    batch = {name: {key: take[key](value) for key, value in part.items()} for name, part in batch.items()}
    found = []
    for step_number[0] in range(STEPS):
        found.append({name: float(value) for name, value in train(batch).items()})
    return found


@pytest.mark.parametrize("stage", ["pose", "depth", "posterior"])
def test_ten_steps_from_equal_weights_agree_with_pytorch(stage):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    model, batch = build_stage(stage, TINY), random_batch(stage, TINY)
    weights = {name: variable.numpy() for name, variable in model.networks.named_variables().items()}
    ours = []
    for number in range(STEPS):
        model.reset_metrics()
        # Eagerly: building the graph takes ten times as long as these steps.
        terms = model.train_step({**tf.nest.map_structure(tf.constant, batch), "seed": tf.constant([7, number])})
        ours.append({name: float(terms[name]) for name in model.totals})
    for form in ("released", "careful"):
        peer = peer_losses(stage, form, weights, batch)
        for name in model.totals:
            expected, found = ([losses[name] for losses in run] for run in (peer, ours))
            np.testing.assert_allclose(found, expected, rtol=1e-3, err_msg=f"{form}: {name}")
            assert found[-1] != found[0]


def test_operations_are_those_of_the_layers():
    # The pose stage of 16 poses: dense layers of 108 and 30 numbers, 20 latents; backward twice the forward pass, but
    # for the first layer's inputs, which need no gradient.
    model, batch = build_stage("pose", TINY), random_batch("pose", TINY)
    batch = {**tf.nest.map_structure(tf.constant, batch), "seed": tf.constant([0, 0])}
    graph = tf.function(model.train_step).get_concrete_function(batch).graph
    layers = [108 * 30, 30 * 20, 30 * 20, 20 * 30, 30 * 108]
    multiply_adds = 16 * (3 * sum(layers) - layers[0])
    gflop = gflop_of_graph(graph)
    # Activations, losses and Adam come on top.
    assert 2e-9 * multiply_adds < gflop < 1.2 * 2e-9 * multiply_adds


def test_ratios_are_of_turns_and_not_of_the_whole():
    worker = type("Ended", (), {"said": {"version": "1"}, "peak_mb": 10.0})()
    # The machine is three times slower in the second turn, for both.
    row = train_step.figures_of([2.0, 6.0, 2.2], [1.0, 3.0, 1.0], 8.0, 16.0, worker)
    assert row["time_over_ours"] == 2.0 and row["time_over_ours_range"] == [2.0, 2.2]
    assert row["ms"] == 2200.0 and row["multiply_adds_g"] == 4.0
    np.testing.assert_allclose([row["gflop_per_s"], row["share_of_peak"]], [8 / 2.2, 8 / 2.2 / 16])
