"""What a new run is: its settings, from the options that were given and the data and model that they name."""

from __future__ import annotations

import pathlib
from typing import Any

from lsps_tf import run_folder
from lsps_tf.config import Config
from lsps_tf.datasets.simulator import DATASETS as SIMULATIONS
from lsps_tf.errors import InputError
from lsps_tf.run_folder import RunSettings
from training.arguments import resolve_config
from training.data.table import get_dataset
from training.methods import DEFAULT, METHODS, Method, resolve_stages


def resolve_settings(given: dict[str, Any], dataset: str) -> RunSettings:
    """Settings of a new run.

    Args:
        given: the options that were given, by name (`arguments.parse_arguments`).
        dataset: a name of `training.data.table`, or a store's path.
    """
    method = METHODS[given.get("method", DEFAULT)]
    if method.adapts:
        given = _from_trained(given, method)
    if given.get("stream") and dataset not in SIMULATIONS:
        raise InputError(f"--stream: the simulator alone has frames without end; choose {', '.join(SIMULATIONS)}")
    source = get_dataset(dataset).resolve(given, resolve_config(given))
    pretrained = str(pathlib.Path(given["pretrained"]).resolve()) if "pretrained" in given else ""
    pretrained_stage = given.get("pretrained_stage", "depth") if pretrained else ""
    labels = _labels(given, method, source.labels)
    stages = resolve_stages(method.name, source.config, given.get("stages"), pretrained_stage)
    if pretrained_stage in ("", "pose"):
        _check_posterior(method, source.config, labels, stages)
    return RunSettings(
        config=source.config,
        method=method.name,
        skeleton=source.skeleton,
        dataset=dataset,
        store=str(source.store),
        sensor=source.sensor,
        labels=labels,
        frames=source.frames,
        stages=stages,
        pretrained=pretrained,
        pretrained_stage=pretrained_stage,
        method_title=method.title,
        last_stage=method.stages_with(source.config)[-1],
        domain=method.domain,
        centering=source.centering,
        stream=given.get("stream", False),
    )


def _from_trained(given: dict[str, Any], method: Method) -> dict[str, Any]:
    """The options of an adaptation: the model that it starts from, and that one's last stage, preset and networks."""
    folder = pathlib.Path(given.get("pretrained", run_folder.SHIPPED))
    trained = run_folder.read_settings(folder)
    if trained.domain != method.domain:
        raise InputError(
            f"--pretrained {folder}: its method, {trained.method}, does not read real frames; --method {method.name} "
            "needs one that does"
        )
    start = {"pretrained": str(folder), "pretrained_stage": trained.last_stage, "preset": trained.config.preset}
    # A preset's may have changed since.
    networks = {name: value for name, value in vars(trained.config.network).items() if name != "num_joints"}
    return {**start, **networks, **given}


def _check_posterior(method: Method, config: Config, labels: float, stages: tuple[str, ...]) -> None:
    """InputError where a posterior stage that starts from no depth stage has nothing to learn real frames from."""
    if config.training.depth_steps or "posterior" not in stages:
        return
    if method.one_domain or not (labels or config.weights.lambda_7_randomized):
        raise InputError(
            f"--depth-steps 0: without a depth stage nothing teaches the posterior stage of --method {method.name} to "
            "read real frames; leave the option out, or take --method lsps with --recipe fitting"
        )


def _labels(given: dict[str, Any], method: Method, own: float) -> float:
    """How many real labels a run uses, as `RunSettings` has it; `own` is what its dataset would have a method use."""
    default = 1.0 if method.needs_labels else own if method.takes_labels else 0.0
    labels = given.get("labels", default)
    if not (0.0 <= labels <= 1.0 or (labels > 1.0 and float(labels).is_integer())):
        raise InputError(
            f"--labels {labels:g}: it is a fraction of the real labels, from 0 to 1, or from 2 on a whole number of "
            "labelled frames"
        )
    if method.needs_labels and labels == 0.0:
        raise InputError(f"--labels 0: --method {method.name} trains on real labels alone and needs some of them")
    if not method.takes_labels and labels > 0.0:
        raise InputError(f"--labels {labels:g}: --method {method.name} uses no real labels; leave the option out")
    return labels
