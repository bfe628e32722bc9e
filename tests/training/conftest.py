"""What the tests share: tiny networks, a prepared batch, which networks a step moved, and a small simulated store."""

import contextlib
import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

from lsps_tf.config import LossWeights
from lsps_tf.datasets.simulated import ensure_store
from lsps_tf.datasets.simulator import Simulation
from lsps_tf.networks import DOMAINS, build_networks
from lsps_tf.presets import PRESETS
from training.session import run_session

TINY = PRESETS["tiny"]
FRAMES = {"synthetic/train": 24, "real/train": 24, "real/validation": 6, "real/test": 6}


@pytest.fixture(scope="session")
def _built():
    networks = build_networks(TINY.network, TINY.data.image_size, seed=3)
    return networks, [variable.numpy() for variable in networks.variables]


@pytest.fixture
def start(_built):
    """Takes the shared networks back to their initial weights."""
    networks, values = _built

    def back():
        for variable, value in zip(networks.variables, values):
            variable.assign(value)
        return networks

    return back


@pytest.fixture
def networks(start):
    return start()


@pytest.fixture
def batch():
    """What `Preparation` hands to a stage, with labels of real frames."""
    random = np.random.default_rng(0)

    def frames(labels):
        image = tf.constant(random.uniform(-1, 1, (2, TINY.data.image_size, TINY.data.image_size, 1)), tf.float32)
        joints = tf.constant(random.normal(0, 0.4, (2, TINY.network.num_joints, 3)), tf.float32)
        return {"image": image, "joints": joints} if labels else {"image": image}

    return {
        "synthetic": frames(True),
        "real": frames(False),
        "labelled": frames(True),
        "seed": tf.constant([7, 11], tf.int32),
    }


@pytest.fixture
def unlabelled(batch):
    return {name: part for name, part in batch.items() if name != "labelled"}


def _parts(networks):
    parts = {"E_y": networks.pose_encoder, "G_y": networks.pose_decoder, "M": networks.mapping, "P": networks.posterior}
    for letter, kind in (("E", "encoders"), ("G", "generators"), ("D", "discriminators")):
        pair = getattr(networks, kind)
        parts[letter] = pair["real"].shared
        parts.update({f"{letter}_{domain[0]}": pair[domain].private for domain in DOMAINS})
    return {**parts, "head": networks.discriminators["real"].head}


@pytest.fixture
def parts(networks):
    """The networks' parts by the paper's letters: E, G, D are the shared layers, E_s, E_r, ... a domain's own."""
    parts = _parts(networks)
    assert sum(len(part.variables) for part in parts.values()) == len(networks.variables)
    return parts


@pytest.fixture
def changed(parts):
    """Names of the parts in which every variable has a gradient, or moved; fails where only some of them do."""

    def names(touched):
        whole = set()
        for name, part in parts.items():
            hit = [touched(variable) for variable in part.variables]
            assert all(hit) or not any(hit), f"{name}: {[v.name for v, h in zip(part.variables, hit) if h]}"
            if hit[0]:
                whole.add(name)
        return whole

    return names


@pytest.fixture
def moved_by(networks, changed):
    """Runs a step and names the parts that it moved."""

    def run(step):
        before = {variable.ref(): variable.numpy() for variable in networks.variables}
        step()
        return changed(lambda variable: not np.array_equal(before[variable.ref()], variable.numpy()))

    return run


@pytest.fixture
def reached_by(networks, changed):
    """Names the parts that a term's gradient reaches, given a persistent tape that watched all variables."""

    def run(tape, term):
        gradients = {v.ref(): g for v, g in zip(networks.variables, tape.gradient(term.value, networks.variables))}
        return changed(lambda v: gradients[v.ref()] is not None and bool(np.any(gradients[v.ref()])))

    return run


@pytest.fixture
def only():
    """Weights of which all but the named are zero."""
    nothing = {field.name: 0.0 for field in dataclasses.fields(LossWeights)}
    return lambda **weights: LossWeights(**{**nothing, **weights})


@contextlib.contextmanager
def _eager():
    """Building graphs takes ten times as long as a few steps; what runs in them is the same."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def eagerly():
    with _eager():
        yield


@pytest.fixture(scope="session")
def data_root(tmp_path_factory):
    """A folder of stores with the one that `arguments` asks for."""
    root = tmp_path_factory.mktemp("data")
    with _eager():
        ensure_store(Simulation("structured-light", "nyu", TINY.data.image_size, TINY.data.cube_mm), root, FRAMES)
    return root


@pytest.fixture(scope="session")
def store_path(data_root):
    (path,) = (data_root / "sim").iterdir()
    return path


@pytest.fixture(scope="session")
def arguments(data_root):
    """A tiny run on the simulated store, but for its folder."""
    counts = [FRAMES["synthetic/train"], FRAMES["real/train"], FRAMES["real/test"]]
    names = ["--sim-synthetic-frames", "--sim-real-frames", "--sim-test-frames"]
    frames = [part for name, count in zip(names, counts) for part in (name, str(count))]
    return ["--dataset", "sim", "--data-root", str(data_root), "--preset", "tiny", *frames]


@pytest.fixture(scope="session")
def finished_run(arguments, tmp_path_factory):
    """A whole run that was never stopped."""
    run_dir = tmp_path_factory.mktemp("runs") / "whole"
    assert run_session([*arguments, "--run-dir", str(run_dir), "--log-every", "3"]) == 0
    return run_dir


@pytest.fixture
def copy_of_run(finished_run, tmp_path):
    """The same, to damage."""
    return shutil.copytree(finished_run, tmp_path / "copy")


@pytest.fixture
def copy_of_store(store_path, tmp_path):
    path = tmp_path / "copy.h5"
    path.write_bytes(store_path.read_bytes())
    return path
