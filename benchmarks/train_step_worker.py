"""One form of a stage's training step for benchmarks/train_step.py, in a process of its own.

It reads commands from its input, a line each, and answers with a line of JSON. `step N` takes N steps and gives their
seconds. `matmul N` multiplies two matrices of side N and gives GFLOP/s. The first line that it writes says what it is.
At the end of its input it writes its largest memory.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.timing import CLOCKS, Clock, seconds
from lsps_tf.config import CODE, IN_A_ROW, Config
from lsps_tf.presets import PRESETS

OURS = "lsps_tf"


def random_batch(stage: str, config: Config, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """A prepared batch of a stage without labels of real frames: `image` [B, S, S, 1] and `joints` [B, J, 3]."""
    random, training, size = np.random.default_rng(seed), config.training, config.data.image_size
    counts = {
        "pose": {"synthetic": training.pose_batch},
        "depth": {"synthetic": training.depth_batch, "real": training.depth_batch},
        "mapping": {"synthetic": training.mapping_batch},
        "posterior": {"synthetic": training.posterior_batch, "real": training.matching_batch},
    }[stage]
    batch = {}
    for name, count in counts.items():
        images = random.uniform(-1.0, 1.0, (count, size, size, 1)).astype(np.float32)
        joints = random.normal(0.0, 0.4, (count, config.network.num_joints, 3)).astype(np.float32)
        batch[name] = {} if stage == "pose" else {"image": images}
        if name == "synthetic":
            batch[name]["joints"] = joints
    return batch


def build_stage(stage: str, config: Config) -> Any:
    """The stage of LSPS as a run trains it, which takes prepared batches."""
    from lsps_tf.networks import build_networks
    from lsps_tf.run_folder import RunSettings
    from training.methods import LSPS
    from training.plan import StageInputs

    networks = build_networks(config.network, config.data.image_size, seed=0)
    settings = RunSettings(config, LSPS.name, "nyu", "sim", "")
    # The streams are not drawn from, so there is no store.
    model = LSPS.build(stage, StageInputs(stage, settings, networks, None, ())).model
    model.prepare = lambda batch: batch
    return model


def our_step(stage: str, config: Config, threads: int, weights: Path) -> tuple[Callable, Callable, dict[str, Any]]:
    """The stage's step, a matrix product, and what the step counts; writes the first weights to a file."""
    import tensorflow as tf

    from benchmarks.stage_cost import gflop_of_graph
    from lsps_tf.run_folder import save_weights

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    model = build_stage(stage, config)
    save_weights(model.networks, weights)
    batch = {**random_batch(stage, config), "seed": np.array([0, 0], np.int32)}
    batch = tf.nest.map_structure(tf.constant, batch)
    function = tf.function(model.train_step)
    # The first trace makes the optimizers' variables; the second is the graph that runs.
    function(batch)
    gflop = gflop_of_graph(function.get_concrete_function(batch).graph)

    def step() -> None:
        tf.nest.map_structure(lambda value: value.numpy(), function(batch))

    return step, lambda a: tf.linalg.matmul(a, a).numpy(), {"gflop": gflop, "version": tf.__version__}


def peer_step(
    stage: str, form: str, config: Config, threads: int, weights: Path
) -> tuple[Callable, Callable, dict[str, Any]]:
    """PyTorch's step from the same weights, and its matrix product."""
    import h5py
    import torch

    from benchmarks.torch_peer import PeerNetworks, turned
    from benchmarks.torch_steps import build_step

    torch.set_num_threads(threads)
    arrays: dict[str, np.ndarray] = {}
    with h5py.File(weights) as file:
        file.visititems(lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    networks = PeerNetworks(config.network, config.data.image_size, arrays)
    train = build_step(stage, form, config, networks)
    take = {"image": turned, "joints": torch.from_numpy}
    batch = {
        name: {key: take[key](value) for key, value in part.items()}
        for name, part in random_batch(stage, config).items()
    }
    if form == "released":
        for part in batch.values():
            part.update({"image": part["image"].contiguous()} if "image" in part else {})

    def step() -> None:
        for value in train(batch).values():
            value.item()

    def multiply(matrix: np.ndarray) -> None:
        tensor = torch.from_numpy(matrix)
        torch.mm(tensor, tensor)

    return step, multiply, {"version": torch.__version__}


def serve(step: Callable, multiply: Callable, clock: Clock) -> None:
    """Answers commands until its input ends."""
    random = np.random.default_rng(0)
    for line in sys.stdin:
        command, number = line.split()
        if command == "step":
            print(json.dumps([seconds(step, clock=clock) for _ in range(int(number))]), flush=True)
            continue
        matrix = random.normal(size=(int(number), int(number))).astype(np.float32)
        multiply(matrix)
        print(json.dumps(2e-9 * int(number) ** 3 / seconds(multiply, matrix, clock=clock)), flush=True)
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024), flush=True)


def main() -> None:
    preset, stage, form, threads, clock, weights = sys.argv[1:]
    # The peer has the M of table 3 and the P of table 4.
    given = PRESETS[preset].replace(mapping=CODE, **IN_A_ROW), int(threads), Path(weights)
    step, multiply, said = our_step(stage, *given) if form == OURS else peer_step(stage, form, *given)
    print(json.dumps(said), flush=True)
    serve(step, multiply, CLOCKS[clock])


if __name__ == "__main__":
    main()
