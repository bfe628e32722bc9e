"""What `--strategy` and TF_CONFIG say of the replicas that share a run's steps. Loads no TensorFlow."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from lsps_tf.config import FIT, TrainingConfig
from lsps_tf.errors import InputError

MIRRORED, MULTIWORKER = "mirrored", "multiworker"
STRATEGIES = (MIRRORED, MULTIWORKER)
VARIABLE = "TF_CONFIG"
# The jobs whose tasks train, in the order in which TensorFlow numbers them.
_JOBS = ("chief", "worker")
_EXAMPLE = '{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, "task": {"type": "worker", "index": 0}}'
# What a stage draws in each step.
_BATCHES = {
    "pose": ("pose_batch",),
    "depth": ("depth_batch",),
    "mapping": ("mapping_batch",),
    "posterior": ("posterior_batch", "matching_batch"),
    "regression": ("posterior_batch",),
    FIT: ("posterior_batch",),
}


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers of a run, and which of them this process is.

    Attributes:
        workers: their addresses, "HOST:PORT"; the first is the chief.
        index: of this process.
    """

    workers: tuple[str, ...]
    index: int

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(address for number, address in enumerate(self.workers) if number != self.index)


def read_cluster(environment: Mapping[str, str]) -> Cluster:
    """The cluster of TF_CONFIG; InputError where it is missing, or says nothing that a run can use."""
    text = environment.get(VARIABLE, "")
    if not text.strip():
        raise InputError(
            f"--strategy {MULTIWORKER}: the environment has no {VARIABLE}; set it on each machine, with its own index, "
            f"such as {_EXAMPLE}"
        )
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _broken(f"it is no JSON ({error})") from None
    cluster, task = _part(values, "cluster"), _part(values, "task")
    for job in cluster:
        if job not in _JOBS:
            raise _broken(f"'cluster' has the job '{job}', and a run has {' and '.join(_JOBS)} alone")
    addresses = {job: _addresses(cluster, job) for job in _JOBS}
    if len(addresses["chief"]) > 1:
        raise _broken("'cluster' has more than one chief")
    job, index = task.get("type"), task.get("index")
    if job not in _JOBS:
        raise _broken(f"the 'type' of 'task' is {json.dumps(job)}, and not {' or '.join(_JOBS)}")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(addresses[job]):
        raise _broken(
            f"the 'index' of 'task' is {json.dumps(index)}, and 'cluster' has {len(addresses[job])} of the job "
            f"'{job}', counted from 0"
        )
    workers = (*addresses["chief"], *addresses["worker"])
    if len(set(workers)) < len(workers):
        raise _broken("'cluster' names an address twice")
    return Cluster(workers, index + (len(addresses["chief"]) if job == "worker" else 0))


def check_batches(training: TrainingConfig, stages: tuple[str, ...], replicas: int) -> None:
    """Raises InputError where so many replicas cannot share what a stage draws in a step."""
    kinds = {FIT if stage.startswith(FIT) else stage for stage in stages}
    for name in dict.fromkeys(name for kind, names in _BATCHES.items() if kind in kinds for name in names):
        if getattr(training, name) % replicas:
            raise InputError(
                f"--{name.replace('_', '-')} {getattr(training, name)}: {replicas} replicas cannot share it evenly; "
                f"give a multiple of {replicas}"
            )


def _part(values: Any, name: str) -> dict[str, Any]:
    part = values.get(name) if isinstance(values, dict) else None
    if not isinstance(part, dict) or not part:
        raise _broken(f"it has no '{name}'")
    return part


def _addresses(cluster: dict[str, Any], job: str) -> list[str]:
    addresses = cluster.get(job, [])
    if not isinstance(addresses, list):
        raise _broken(f"'{job}' of 'cluster' is no list of addresses")
    for address in addresses:
        host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise _broken(f"the address {json.dumps(address)} of '{job}' is no HOST:PORT")
    return addresses


def _broken(reason: str) -> InputError:
    return InputError(f"{VARIABLE}: {reason}; it should be such as {_EXAMPLE}")
