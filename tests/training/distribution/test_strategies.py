"""Steps that several replicas share: losses and weights as one has them, in one process, and in two with kills."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from lsps_tf.errors import InputError
from lsps_tf.networks import build_networks
from lsps_tf.presets import PRESETS
from tests.training.run_files import assert_same_weights, metrics
from training.distribution import strategies
from training.distribution.cluster import VARIABLE, Cluster
from training.distribution.strategies import MultiWorker
from training.pseudo_labels import pack_fits, unpack_fits
from training.session import STOPPED, run_session
from training.stages.crossing_nets import CrossingDepthStage, CrossingPosteriorStage
from training.stages.depth import DepthStage
from training.stages.mapping import MappingStage
from training.stages.pose import PoseStage
from training.stages.posterior import PosteriorStage
from training.stages.regression import RegressionStage

ROOT = pathlib.Path(__file__).resolve().parents[3]
TINY = PRESETS["tiny"]
LAMBDAS = TINY.replace(lambda_7_made=1.0).weights
STAGES = {
    "pose": lambda networks: PoseStage(networks, LAMBDAS),
    "depth": lambda networks: DepthStage(networks, LAMBDAS, average_decay=0.9),
    "mapping": lambda networks: MappingStage(networks, LAMBDAS),
    "posterior": lambda networks: PosteriorStage(networks, LAMBDAS),
    "regression": lambda networks: RegressionStage(networks, LAMBDAS, "real", sources=("labelled", "synthetic")),
    "crossing depth": lambda networks: CrossingDepthStage(networks, LAMBDAS),
    "crossing posterior": lambda networks: CrossingPosteriorStage(networks, LAMBDAS, 2),
}
PLAYERS = {2: ("generator_optimizer", "discriminator_optimizer"), 1: ("optimizer",)}
# What two workers train: a step or a few of each stage, one batch of which both share.
FEW = ["--pose-steps", "12", "--depth-steps", "8", "--mapping-steps", "2", "--posterior-steps", "2"]
LOOKS = ["--log-every", "1", "--checkpoint-every", "2"]
# With several, sums are ordered by who is first.
THREADS = ["--intra-op-threads", "1", "--inter-op-threads", "1"]


def built(name):
    """A compiled stage. A large epsilon keeps Adam from making steps of rounding errors where gradients are zero."""
    model = STAGES[name](build_networks(TINY.network, TINY.data.image_size, seed=3))
    options = {"epsilon": 1e-2, "global_clipnorm": 50.0}
    model.compile(**{player: keras.optimizers.legacy.Adam(1e-3, **options) for player in PLAYERS[len(model.totals)]})
    return model


def two_steps(model, step):
    """The terms of two steps."""
    found = []
    for _ in range(2):
        model.reset_metrics()
        found.append({name: float(value) for name, value in step().items()})
    return found


@pytest.mark.parametrize("name", STAGES)
def test_replicas_train_as_one_does(name, batch, strategy):
    alone = built(name)
    expected = two_steps(alone, lambda: alone.train_step(batch))
    with strategy.scope():
        shared = built(name)

    def rows(context):
        number = context.replica_id_in_sync_group
        parts = {key: part for key, part in batch.items() if key != "seed"}
        return {**tf.nest.map_structure(lambda whole: whole[number::2], parts), "seed": batch["seed"]}

    def step():
        raw = strategy.experimental_distribute_values_from_function(rows)
        with strategy.scope():
            results = strategy.run(shared.train_step, args=(raw,))
        return {key: strategy.experimental_local_results(value)[0] for key, value in results.items()}

    for a, b in zip(expected, two_steps(shared, step)):
        assert a.keys() == b.keys()
        np.testing.assert_allclose(list(b.values()), list(a.values()), rtol=1e-4, err_msg=str(list(a)))
    assert expected[0] != expected[1]
    for a, b in zip(alone.networks.variables, shared.networks.variables):
        np.testing.assert_allclose(b.numpy(), a.numpy(), atol=2e-5, err_msg=a.name)
        replicas = [value.numpy() for value in strategy.experimental_local_results(b)]
        np.testing.assert_array_equal(replicas[0], replicas[1])
    if alone.averages is not None:
        for a, b in zip(alone.averages.values, shared.averages.values):
            np.testing.assert_allclose(b.numpy(), a.numpy(), atol=2e-5)
    assert [len(variables) for _, variables in shared.players] == [len(variables) for _, variables in alone.players]


def test_a_mirrored_run_logs_what_a_run_of_one_replica_does(arguments, tmp_path, capsys):
    """Through `fit`, with the pipeline's shares, and resumed with one replica from what two saved."""
    options = ["--stages", "pose", "--pose-steps", "6", *LOOKS]
    assert run_session([*arguments, *options, "--run-dir", str(tmp_path / "one")]) == 0
    two = ["--strategy", "mirrored", "--run-dir", str(tmp_path / "two")]
    assert run_session([*arguments, *options, *two]) == 0
    assert "Training on 2 CPUs." in capsys.readouterr().err
    assert_same_losses(metrics(tmp_path / "one"), metrics(tmp_path / "two"), steps=6)
    (tmp_path / "two" / "weights" / "pose.h5").unlink()
    assert run_session(["--run-dir", str(tmp_path / "two"), "--resume"]) == 0


def assert_same_losses(expected, found, steps):
    assert len(expected) == len(found) == steps
    for a, b in zip(expected, found):
        assert a.keys() == b.keys() and (a["stage"], a["step"]) == (b["stage"], b["step"])
        for name in a.keys() - {"stage", "step", "seconds"}:
            np.testing.assert_allclose(
                b[name], a[name], rtol=1e-4, atol=1e-6, err_msg=f"{a['stage']} {a['step']} {name}"
            )


class Spoken(MultiWorker):
    """Worker 0 of two, of which the other says what it is given."""

    def __init__(self, others):
        super().__init__(Cluster(("a:1", "b:2"), 0))
        self.others, self._strategy = list(others), object()

    def _added(self, values):
        return values + self.others.pop(0)


def test_one_workers_mistake_ends_all():
    with pytest.raises(InputError, match="mine"), Spoken([0]).together():
        raise InputError("mine")
    with pytest.raises(InputError, match="another worker cannot go on"), Spoken([1]).together():
        pass
    with Spoken([0]).together():
        pass
    # Nobody waits for one who has not met the others.
    alone = MultiWorker(Cluster(("a:1", "b:2"), 0))
    with pytest.raises(InputError, match="mine"), alone.together():
        raise InputError("mine")
    assert Spoken([1]).agree(False) and Spoken([0]).agree(True) and not Spoken([0]).agree(False)


def test_the_chiefs_content_reaches_all():
    content = '{"a": "ä"}'.encode()
    assert Spoken([0, 0]).from_chief(content) == content
    worker = Spoken([len(content), np.frombuffer(content, np.uint8).astype(np.int64)])
    worker.is_chief = False
    assert worker.from_chief(b"") == content


def test_who_loses_another_starts_again_with_its_run(monkeypatch, capsys):
    started = []
    monkeypatch.setattr(os, "execv", lambda path, command: started.append(command))
    monkeypatch.setattr(sys, "orig_argv", ["python", "training/run.py", "--strategy", "multiworker"])
    worker, options = Spoken([]), ["--run-dir", "r", "--resume"]
    lost = tf.errors.UnavailableError(None, None, "Graph execution error:\n\nCollective ops is aborted by: two is gone")
    worker.start_again(lost, options)
    monkeypatch.setattr(sys, "orig_argv", started[0])
    worker.start_again(lost, options)
    assert started[0] == started[1] == [sys.executable, "training/run.py", "--strategy", "multiworker", *options]
    said = capsys.readouterr().err
    assert "another worker is lost" in said and "two is gone)" in said
    assert worker.lost(lost) and not worker.lost(ValueError())
    assert not worker.lost(tf.errors.InvalidArgumentError(None, None, ""))
    assert not strategies.Alone().lost(tf.errors.UnavailableError(None, None, ""))


def test_fits_are_packed_whole():
    from lsps_tf.fitting.jobs import FrameFits

    fits = FrameFits(*(np.full([3, number + 1], number, np.float32) for number in range(len(FrameFits._fields))))
    for a, b in zip(fits, unpack_fits(pack_fits(fits))):
        np.testing.assert_array_equal(a, b)


def test_a_batch_that_replicas_cannot_share_ends_the_run(arguments, tmp_path):
    with pytest.raises(InputError, match="--pose-batch 15: 2 replicas cannot share it evenly"):
        run_session([*arguments, "--strategy", "mirrored", "--pose-batch", "15", "--run-dir", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def worker(index, ports, command, output):
    """Starts a worker as its own process; what it says goes into a file."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    task = {"type": "worker", "index": index}
    environment = {**os.environ, VARIABLE: json.dumps({"cluster": cluster, "task": task}), "TF_CPP_MIN_LOG_LEVEL": "3"}
    full = [sys.executable, str(ROOT / "training" / "run.py"), "--strategy", "multiworker", "--resume", *THREADS]
    with output.open("a") as file:
        return subprocess.Popen([*full, *command], stdout=file, stderr=subprocess.STDOUT, env=environment)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for opened in sockets:
        opened.bind(("127.0.0.1", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


class Pair:
    """Two workers of one run, which end with the block."""

    def __init__(self, command, folder):
        self.command, self.folder = [*command, "--run-dir", str(folder / "run")], folder
        self.run_dir, self.ports = folder / "run", free_ports(2)
        folder.mkdir()

    def start(self, index):
        self.workers[index] = worker(index, self.ports, self.command, self.said(index))

    def said(self, index):
        return self.folder / f"{index}.txt"

    def wait(self):
        found = [process.wait(timeout=1200) for process in self.workers]
        return found, [self.said(index).read_text() for index in (0, 1)]

    def __enter__(self):
        self.workers = [None, None]
        for index in (0, 1):
            self.start(index)
        return self

    def __exit__(self, *_):
        for process in self.workers:
            if process.poll() is None:
                process.kill()


@pytest.fixture(scope="module")
def common(arguments):
    return [*arguments, *FEW, *LOOKS]


@pytest.fixture(scope="module")
def two_workers(common, tmp_path_factory):
    """The folder of a run that two processes trained together."""
    with Pair(common, tmp_path_factory.mktemp("two") / "whole") as pair:
        status, said = pair.wait()
    assert status == [0, 0], said
    return pair.run_dir


@pytest.mark.slow
def test_two_workers_have_the_losses_of_one(two_workers, common, tmp_path):
    assert run_session([*common, "--run-dir", str(tmp_path / "one")]) == 0
    assert_same_losses(metrics(tmp_path / "one"), metrics(two_workers), steps=24)
    assert (two_workers / "evaluation").is_dir() and (two_workers / "pictures").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_worker_is_brought_back_and_the_bits_are_the_same(killed, two_workers, common, tmp_path):
    with Pair(common, tmp_path / "killed") as pair:
        wait_for(pair, lambda: list(pair.run_dir.glob("checkpoints/depth/ckpt-4.index")))
        pair.workers[killed].kill()
        assert pair.workers[killed].wait() == -signal.SIGKILL
        pair.start(killed)
        status, said = pair.wait()
    assert status == [0, 0], said
    assert re.search("another worker is lost", said[1 - killed])
    assert_same_weights(two_workers, pair.run_dir, ("pose", "depth", "mapping", "posterior"))


@pytest.mark.slow
def test_a_stop_of_one_worker_stops_both_after_the_same_step(common, tmp_path):
    many = [*common, "--stages", "pose", "--pose-steps", "100000"]
    with Pair(many, tmp_path / "stopped") as pair:
        wait_for(pair, lambda: list(pair.run_dir.glob("checkpoints/pose/ckpt-*.index")))
        pair.workers[1].terminate()
        status, said = pair.wait()
    assert status == [STOPPED, STOPPED] and "Stopped and saved." in said[0] and "Go on with" in said[0], said


def wait_for(pair, happened):
    deadline = time.monotonic() + 1200
    while not happened():
        assert time.monotonic() < deadline and all(process.poll() is None for process in pair.workers), pair.wait()
        time.sleep(0.05)
