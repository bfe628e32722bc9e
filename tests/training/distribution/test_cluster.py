"""What TF_CONFIG may say, and which batches workers can share."""

import json
import subprocess
import sys

import pytest

from lsps_tf.errors import InputError
from lsps_tf.presets import PRESETS
from training.distribution.cluster import VARIABLE, Cluster, check_batches, read_cluster

TWO = ["a:1000", "b:1000"]


def config(cluster, job="worker", index=0):
    return {VARIABLE: json.dumps({"cluster": cluster, "task": {"type": job, "index": index}})}


def test_workers_are_numbered_as_tensorflow_does():
    assert read_cluster(config({"worker": TWO}, index=1)) == Cluster(("a:1000", "b:1000"), 1)
    cluster = {"worker": TWO, "chief": ["[::1]:2000"]}
    assert read_cluster(config(cluster, "chief")) == Cluster(("[::1]:2000", *TWO), 0)
    found = read_cluster(config(cluster, "worker", 0))
    assert found.index == 1 and found.others == ("[::1]:2000", "b:1000")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "has no TF_CONFIG"),
        ({VARIABLE: " "}, "has no TF_CONFIG"),
        ({VARIABLE: "{'cluster'"}, "no JSON"),
        ({VARIABLE: "[]"}, "no 'cluster'"),
        ({VARIABLE: '{"cluster": {"worker": ["a:1"]}}'}, "no 'task'"),
        (config({}), "no 'cluster'"),
        (config({"worker": TWO, "ps": ["c:1"]}), "the job 'ps'"),
        (config({"worker": "a:1"}), "no list"),
        (config({"worker": ["a", "b:1"]}), 'address "a"'),
        (config({"worker": ["a:0", "b:1"]}), 'address "a:0"'),
        (config({"worker": [1, "b:1"]}), "address 1 "),
        (config({"worker": ["a:1", "a:1"]}), "twice"),
        (config({"chief": TWO}, "chief"), "more than one chief"),
        (config({"worker": TWO}, "evaluator"), '"evaluator"'),
        (config({"worker": TWO}, index=2), "has 2 of the job"),
        (config({"worker": TWO}, index="0"), 'is "0"'),
        (config({"worker": TWO}, index=True), "is true"),
        (config({"worker": TWO}, "chief"), "has 0 of the job"),
    ],
)
def test_what_tf_config_lacks_is_said_in_a_line(environment, said):
    with pytest.raises(InputError, match="TF_CONFIG") as error:
        read_cluster(environment)
    assert said in str(error.value) and '"worker": ["HOST:PORT"' in str(error.value)


def test_batches_that_cannot_be_shared_are_named_before_anything_is_made():
    training = PRESETS["tiny"].training
    stages = ("pose", "depth", "mapping", "posterior", "fit1")
    check_batches(training, stages, 2)
    with pytest.raises(InputError, match="--depth-batch 2: 4 replicas cannot share it evenly; give a multiple of 4"):
        check_batches(training, stages, 4)
    check_batches(training, ("pose", "fit1"), 4)
    with pytest.raises(InputError, match="--matching-batch"):
        check_batches(training, ("posterior",), 4)


def test_mistakes_come_before_tensorflow(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    code = "import sys; from training.arguments import parse_arguments\ntry: parse_arguments(sys.argv[1:])\n"
    code += "except Exception as error: print(error, 'tensorflow' in sys.modules)"
    for name, said in (("multiworker", "has no TF_CONFIG"), ("mirrord", "mirrored")):
        command = [sys.executable, "-c", code, "--dataset", "sim", "--strategy", name]
        found = subprocess.run(command, capture_output=True, text=True)
        assert said in found.stdout + found.stderr and "True" not in found.stdout
