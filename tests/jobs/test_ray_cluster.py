"""A Ray cluster as who runs jobs: the same store as local processes make, one of two workers lost on the way."""

import contextlib
import importlib.util
import os
import socket
from pathlib import Path

import numpy as np
import pytest

from lsps_tf.datasets.simulated import ensure_store
from lsps_tf.datasets.simulator import BATCH, Simulation
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.jobs import Workers, ray_cluster

ROOT = Path(__file__).resolve().parents[2]
SIMULATION = Simulation("structured-light", "nyu", 32, 250.0)
COUNTS = {"synthetic/train": 11 * BATCH + 10}
SMALL = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "ray://head", "head:port", ""])
def test_what_is_no_address_is_said(address):
    with pytest.raises(InputError, match=rf"^--cluster {address}: give HOST:PORT"):
        Workers(cluster=address).check()


def test_a_missing_ray_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"Ray is not installed here; pip install lsps-tf\[cluster\]$"):
        Workers(cluster="127.0.0.1:6379").check()


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_an_address_where_nothing_answers_is_said(monkeypatch, prefix):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{prefix}127.0.0.1:{server.getsockname()[1]}"
        Workers(cluster=address).check()
    for gone in (address, f"{prefix}127.0.0.1:99999"):
        with pytest.raises(InputError, match=rf"^--cluster {gone}: nothing answers there \(.*ray start --head\)$"):
            Workers(cluster=gone).check()


def test_nodes_with_another_version_are_refused():
    assert ray_cluster._run_pickled(b"cos\ngetpid\n.", ray_cluster.code_digest()) == os.getpid()
    with pytest.raises(InputError, match=f"the node {socket.gethostname()} has another version of lsps_tf"):
        ray_cluster._run_pickled(b"", "older")


@contextlib.contextmanager
def cluster_of(workers):
    """A head without cores, and workers with one each, on loopback."""
    from ray.cluster_utils import Cluster

    head = {**SMALL, "num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        nodes = [cluster.add_node(**SMALL) for _ in range(workers)]
        cluster.wait_for_nodes()
        yield cluster, nodes
    finally:
        cluster.shutdown()


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_makes_the_store_of_local_processes(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed (pip install lsps-tf[cluster])")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Ray's workers give way to all others, and would wait for ever on a machine in use.
    monkeypatch.setenv("RAY_worker_niceness", "0")
    lost = []
    with cluster_of(2) as (cluster, nodes):

        def lose(done, total):
            if done > 2 * BATCH and not lost:
                cluster.remove_node(nodes[0], allow_graceful=False)
                lost.append(done)

        far = ensure_store(SIMULATION, tmp_path / "far", COUNTS, lose, workers=Workers(cluster=cluster.address))
    near = ensure_store(SIMULATION, tmp_path / "near", COUNTS, workers=Workers(2))
    assert lost and lost[0] < COUNTS["synthetic/train"] - 2 * BATCH
    with open_store(far) as a, open_store(near) as b:
        assert a.info == b.info and a.splits() == b.splits() == COUNTS
        whole = np.arange(COUNTS["synthetic/train"])
        for name, column in a.read("synthetic/train", whole).items():
            np.testing.assert_array_equal(column, b.read("synthetic/train", whole)[name])
