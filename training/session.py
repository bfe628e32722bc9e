"""A run from its command line to its evaluation: resolve or resume the settings, make the data, train the stages."""

from __future__ import annotations

import os
import pathlib
import shlex
import sys
from typing import Any

import tensorflow as tf
from tensorflow import keras

from lsps_tf import run_folder
from lsps_tf.config import TrainingConfig, setting_fields
from lsps_tf.datasets.store import Store, open_store, stored_size
from lsps_tf.errors import InputError
from lsps_tf.networks import Networks, build_networks
from lsps_tf.run_folder import RunSettings
from training.arguments import parse_arguments, resolve_config
from training.datasets import choices, get_dataset
from training.fit import fit_stage
from training.plan import build_plan, resolve_stages

STOPPED = 130


def run_session(arguments: list[str]) -> int:
    """Runs `training/run.py`. Returns the exit status: 0, or 130 where it was stopped."""
    given = parse_arguments(arguments)
    if given.get("resume"):
        run_dir, settings = _resumed(given)
    else:
        run_dir, settings = _started(given)
    finished = train(settings, run_dir)
    if not finished:
        print(f"Stopped and saved. Go on with:\n  {_command(run_dir)} --resume", file=sys.stderr)
        return STOPPED
    print(f"Finished: {run_dir}\nNext: python training/evaluate.py --run-dir {shlex.quote(str(run_dir))}")
    return 0


def train(settings: RunSettings, run_dir: pathlib.Path) -> bool:
    """Trains a run's stages that are not finished. Returns whether all are."""
    keras.utils.set_random_seed(settings.config.training.seed)
    networks = build_networks(settings.config.network, settings.config.data.image_size, settings.config.training.seed)
    _load_pretrained(settings, networks)
    with open_store(settings.store) as store:
        _check_store(store, settings)
        for stage in settings.stages:
            done = run_folder.weights_path(run_dir, stage)
            if done.exists():
                run_folder.load_weights(networks, done)
                continue
            plan = build_plan(stage, settings, networks, store)
            if not fit_stage(plan, settings, networks, run_dir):
                return False
    return True


def _started(given: dict[str, Any]) -> tuple[pathlib.Path, RunSettings]:
    dataset = given.get("dataset")
    if dataset is None:
        raise InputError(f"--dataset is needed: {choices()}")
    settings = _settings(given, dataset)
    _set_up_tensorflow(settings.config.training)
    # Sizes that do not fit each other must be said before the data is made.
    build_networks(settings.config.network, settings.config.data.image_size, seed=0)
    run_dir = pathlib.Path(given["run_dir"]) if "run_dir" in given else _new_run_dir(settings)
    if run_folder.settings_path(run_dir).exists():
        raise InputError(f"{run_dir}: there is a run already; go on with --resume, or choose another --run-dir")
    print(f"Run folder: {run_dir}")
    try:
        get_dataset(dataset).make(given, settings, run_dir)
    except KeyboardInterrupt:
        again = shlex.join(["python", "training/run.py", *sys.argv[1:]])
        print(f"\nStopped while making the data; what is made is kept. Go on with:\n  {again}", file=sys.stderr)
        raise SystemExit(STOPPED) from None
    # A run is there once its data is: until then the same command, not --resume, goes on.
    run_folder.write_settings(run_dir, settings)
    return run_dir, settings


def _settings(given: dict[str, Any], dataset: str) -> RunSettings:
    method = given.get("method", "lsps")
    labels = given.get("labels", 1.0 if method == "real" else 0.0)
    if not 0.0 <= labels <= 1.0:
        raise InputError(f"--labels {labels:g}: it is a fraction of the real labels, from 0 to 1")
    if method == "real" and labels == 0.0:
        raise InputError("--labels 0: --method real trains on real labels alone and needs some of them")
    if method == "synthetic-only" and labels > 0.0:
        raise InputError(f"--labels {labels:g}: --method synthetic-only uses no real labels; leave the option out")
    pretrained = str(pathlib.Path(given["pretrained"]).resolve()) if "pretrained" in given else ""
    pretrained_stage = given.get("pretrained_stage", "depth") if pretrained else ""
    source = get_dataset(dataset).resolve(given, resolve_config(given))
    return RunSettings(
        config=source.config,
        method=method,
        skeleton=source.skeleton,
        dataset=dataset,
        store=str(source.store),
        sensor=source.sensor,
        labels=labels,
        stages=resolve_stages(method, given.get("stages"), pretrained_stage),
        pretrained=pretrained,
        pretrained_stage=pretrained_stage,
    )


def _resumed(given: dict[str, Any]) -> tuple[pathlib.Path, RunSettings]:
    if "run_dir" not in given:
        raise InputError("--resume: name the run with --run-dir")
    run_dir = pathlib.Path(given["run_dir"])
    settings = run_folder.read_settings(run_dir)
    stored = {
        "preset": settings.config.preset,
        "method": settings.method,
        "labels": settings.labels,
        "dataset": settings.dataset,
        "sensor": settings.sensor,
        **{
            name: getattr(group, name)
            for group in (
                settings.config.data,
                settings.config.network,
                settings.config.weights,
                settings.config.training,
            )
            for name in setting_fields()
            if hasattr(group, name)
        },
    }
    for name, value in stored.items():
        if name in given and given[name] != value:
            raise InputError(
                f"{run_dir}: this run was started with --{name.replace('_', '-')} {value}, not {given[name]}; "
                "leave the option out, or start a new run"
            )
    _set_up_tensorflow(settings.config.training)
    return run_dir, settings


def _check_store(store: Store, settings: RunSettings) -> None:
    data = settings.config.data
    if store.info.skeleton.name != settings.skeleton:
        raise InputError(f"{store.path}: its skeleton is {store.info.skeleton.name}, the run's is {settings.skeleton}")
    if store.info.size < stored_size(data.image_size):
        raise InputError(
            f"{store.path}: its crops of {store.info.size} pixels are too small for --image-size {data.image_size}; "
            "make the store again for this size"
        )


def _load_pretrained(settings: RunSettings, networks: Networks) -> None:
    if not settings.pretrained:
        return
    path = run_folder.weights_path(settings.pretrained, settings.pretrained_stage)
    run_folder.load_weights(networks, path, prefix="pose_" if settings.pretrained_stage == "pose" else "")


def _new_run_dir(settings: RunSettings) -> pathlib.Path:
    dataset = pathlib.Path(settings.dataset).stem
    stem = f"{dataset}-{settings.method}-{settings.config.preset}-seed{settings.config.training.seed}"
    number = 0
    while (path := pathlib.Path("runs") / f"{stem}-{number:03d}").exists():
        number += 1
    return path


def _set_up_tensorflow(training: TrainingConfig) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(training.intra_op_threads)
    tf.config.threading.set_inter_op_parallelism_threads(training.inter_op_threads)
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)


def _command(run_dir: pathlib.Path) -> str:
    script = pathlib.Path(os.path.relpath(pathlib.Path(__file__).with_name("run.py")))
    return f"python {shlex.quote(str(script))} --run-dir {shlex.quote(str(run_dir))}"
