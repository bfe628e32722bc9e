"""A run from its command line to its evaluation: resolve or resume the settings, make the data, train the stages."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import shlex
import sys
from typing import Any

import tensorflow as tf
from tensorflow import keras

from lsps_tf import run_folder
from lsps_tf.commandline.command import stop_was_asked, stoppable
from lsps_tf.config import FIT
from lsps_tf.datasets.store import Store, open_store, stored_size
from lsps_tf.errors import InputError
from lsps_tf.files import disk_errors, locked
from lsps_tf.jobs import HERE, Workers
from lsps_tf.networks import Networks, build_networks
from lsps_tf.run_folder import RunSettings, held_run
from training.arguments import parse_arguments, resolve_config
from training.data.source import workers_of
from training.data.table import choices, get_dataset
from training.distribution.starting import fits_of_chief, join, settings_of_chief, start
from training.distribution.strategies import Alone, distribution_of
from training.ending import check_export, script_command, show_end
from training.loop import train_stage
from training.methods import METHODS, build_plan
from training.new_settings import resolve_settings
from training.plan import labelled_frames
from training.pseudo_labels import fit_frames
from training.survival.checkpoints import checkpoints_folder, saved_steps
from training.survival.resuming import resume_run

STOPPED = 130
ALONE = Alone()


def run_session(arguments: list[str]) -> int:
    """Runs `training/run.py`. Returns the exit status: 0, 130 where it was stopped, 1 where its export is wrong."""
    given = parse_arguments(arguments)
    with stoppable():
        return _run(given, f"{script_command('run.py')} {shlex.join(arguments)}")


def _run(given: dict[str, Any], again: str) -> int:
    distribution = distribution_of(given.get("strategy"))
    run_dir = None
    try:
        with distribution.together():
            if distribution.is_chief:
                run_dir, settings = open_run(given, again, distribution)
            else:
                settings = join(resolve_config(given).training, distribution)
        if given.get("data_only"):
            if run_dir is not None:
                print(f"The data is made. Train with:\n  {_command(run_dir)} --resume")
            return 0
        if distribution.workers > 1:
            settings = settings_of_chief(settings, distribution)
        return _trained(given, run_dir, settings, distribution)
    except tf.errors.OpError as error:
        if not distribution.lost(error):
            raise
        distribution.start_again(error, [] if run_dir is None else ["--run-dir", str(run_dir), "--resume"])
        raise


def _trained(given: dict[str, Any], run_dir: pathlib.Path | None, settings: RunSettings, distribution: Alone) -> int:
    """Trains an opened run and shows its end. Returns the exit status."""
    try:
        finished, said = train(settings, run_dir, workers_of(given), distribution), "Stopped and saved."
        if finished and run_dir is None:
            return 0
        if finished:
            print(f"Finished: {run_dir}")
            return show_end(settings, run_dir, given.get("export"))
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt) and not stop_was_asked():
            raise
        # Between two stages, or a second time within a step.
        said = "\nStopped; what was saved before is kept."
    if run_dir is None:
        print(said, file=sys.stderr)
        return STOPPED
    export = f" --export {shlex.quote(given['export'])}" if "export" in given else ""
    print(f"{said} Go on with:\n  {_command(run_dir)} --resume{export}", file=sys.stderr)
    return STOPPED


def open_run(given: dict[str, Any], again: str, distribution: Alone = ALONE) -> tuple[pathlib.Path, RunSettings]:
    """Starts a run, with its data made, or opens the one to resume; sets TensorFlow up for it.

    Args:
        given: the options that were given, by name (`arguments.parse_arguments`). With "resume" and a dataset, a run
            that is not there yet is started, so that one command serves a machine that may be taken away.
        again: the command to go on with where the making of the data is stopped, which ends the program.
        distribution: of its steps; it is connected here.
    """
    workers_of(given).check()
    resumes = given.get("resume", False)
    if resumes and {"dataset", "run_dir"} <= given.keys():
        resumes = run_folder.settings_path(given["run_dir"]).exists()
    return _resumed(given, distribution) if resumes else _started(given, again, distribution)


def train(
    settings: RunSettings, run_dir: pathlib.Path | None, workers: Workers = HERE, distribution: Alone = ALONE
) -> bool:
    """Trains a run's stages that are not finished; `workers` fit. Returns whether all are.

    Where several processes train together, the chief alone has the run's folder.
    """
    with contextlib.ExitStack() as held:
        with distribution.together():
            if distribution.is_chief:
                held.enter_context(held_run(run_dir))
        return _train(settings, run_dir, workers, distribution)


def say_waiting(text: str) -> None:
    """Tells who is waited for."""
    print(text, file=sys.stderr)


def _train(settings: RunSettings, run_dir: pathlib.Path | None, workers: Workers, distribution: Alone) -> bool:
    config = settings.config
    keras.utils.set_random_seed(config.training.seed)
    with distribution.scope():
        networks = build_networks(config.network, config.data.image_size, config.training.seed)
    with contextlib.ExitStack() as opened:
        with distribution.together():
            if distribution.is_chief:
                _load_pretrained(settings, networks)
            store = opened.enter_context(open_store(settings.store))
            _check_store(store, settings)
        for stage in settings.stages:
            with distribution.together():
                done = distribution.is_chief and _loads(networks, run_dir, stage)
            if distribution.agree(done):
                continue
            fits = None
            if stage.startswith(FIT):
                make = functools.partial(fit_frames, stage, settings, networks, store, run_dir, workers)
                fits = fits_of_chief(make, distribution)
            with distribution.scope():
                plan = build_plan(stage, settings, networks, store, fits)
            if not train_stage(plan, settings, networks, run_dir, distribution, workers):
                return False
    return True


def _loads(networks: Networks, run_dir: pathlib.Path, stage: str) -> bool:
    """Loads a finished stage's weights. False, with a line, where they are damaged and its checkpoint is there."""
    path = run_folder.weights_path(run_dir, stage)
    if not path.exists():
        return False
    try:
        run_folder.load_weights(networks, path)
    except InputError:
        if not saved_steps(checkpoints_folder(run_dir, stage)):
            raise
        print(f"{path}: the weights cannot be read; they are made again from the last checkpoint", file=sys.stderr)
        return False
    return True


def _started(given: dict[str, Any], again: str, distribution: Alone) -> tuple[pathlib.Path, RunSettings]:
    dataset = given.get("dataset")
    if dataset is None:
        raise InputError(f"--dataset is needed: {choices()}")
    settings = resolve_settings(given, dataset)
    check_export(given.get("export"), settings)
    start(settings.config.training, settings.stages, distribution)
    # What does not fit together must be said before the data is made.
    if _load_pretrained(settings, build_networks(settings.config.network, settings.config.data.image_size, seed=0)):
        where = settings.pretrained
        print(f"P votes otherwise than in {where}: its convolutions go on from there, the rest starts anew.")
    run_dir = pathlib.Path(given["run_dir"]) if "run_dir" in given else _new_run_dir(settings)
    try:
        with held_run(run_dir):
            if run_folder.settings_path(run_dir).exists():
                raise InputError(f"{run_dir}: there is a run already; go on with --resume, or choose another --run-dir")
            print(f"Run folder: {run_dir}")
            return run_dir, _with_data(given, settings, run_dir)
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt) and not stop_was_asked():
            raise
        print(f"\nStopped while making the data; what is made is kept. Go on with:\n  {again}", file=sys.stderr)
        raise SystemExit(STOPPED) from None
    finally:
        with contextlib.suppress(OSError):
            # Nothing came of it.
            run_dir.rmdir()


def _with_data(given: dict[str, Any], settings: RunSettings, run_dir: pathlib.Path) -> RunSettings:
    """Makes a run's data and writes its settings, which say how many frames it uses."""
    with locked(settings.store, say_waiting):
        get_dataset(settings.dataset).make(given, settings, run_dir)
    with open_store(settings.store) as store:
        if not settings.stream:
            settings = dataclasses.replace(settings, frames={**store.splits(), **settings.frames})
        _check_store(store, settings)
    # A run is there once its data is: until then the same command, not --resume, goes on.
    run_folder.write_settings(run_dir, settings)
    return settings


def _resumed(given: dict[str, Any], distribution: Alone) -> tuple[pathlib.Path, RunSettings]:
    run_dir, settings = resume_run(given)
    check_export(given.get("export"), settings)
    start(settings.config.training, settings.stages, distribution)
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
    for split in METHODS[settings.method].splits(settings.config, settings.stages):
        if not settings.stream and not settings.frames.get(split, store.count(split)):
            raise InputError(
                f"{store.path}: --method {settings.method} trains on '{split}', of which this store has no frames; "
                "add some, or choose another method"
            )
    for split, count in settings.frames.items():
        if store.count(split) < count:
            raise InputError(
                f"{store.path}: the run uses {count} frames of '{split}', the store has {store.count(split)}; bring "
                "the run's store back, or start a new run"
            )
    labelled_frames(settings, store)


def _load_pretrained(settings: RunSettings, networks: Networks) -> bool:
    """Loads what the run starts from. Returns whether P takes over D's convolutions alone, and starts anew above."""
    if not settings.pretrained:
        return False
    path = run_folder.weights_path(settings.pretrained, settings.pretrained_stage)
    prefix, without = "pose_" if settings.pretrained_stage == "pose" else "", []
    before, now = run_folder.read_settings(settings.pretrained).config.network, networks.config
    # An M of the other kind starts anew. Nothing but its own stage reads it.
    if before.mapping != now.mapping:
        without.append("mapping/")
    # So does P above D's convolutions where it votes otherwise, and where a stage of this run trains it from there.
    other_votes = before.vote_widths != now.vote_widths and not prefix
    anew = other_votes and bool({"regression", "posterior"} & set(settings.stages))
    if anew:
        without += networks.names_above_convolutions()
    run_folder.load_weights(networks, path, prefix, tuple(without))
    return anew


def _new_run_dir(settings: RunSettings) -> pathlib.Path:
    """Makes a folder of its own: chosen and taken in one step, so that two runs never share one."""
    dataset = pathlib.Path(settings.dataset).stem
    stem = f"{dataset}-{settings.method}-{settings.config.preset}-seed{settings.config.training.seed}"
    number = 0
    while True:
        path = pathlib.Path("runs") / f"{stem}-{number:03d}"
        with disk_errors(path):
            try:
                path.mkdir(parents=True)
                return path
            except FileExistsError:
                number += 1


def _command(run_dir: pathlib.Path) -> str:
    return f"{script_command('run.py')} --run-dir {shlex.quote(str(run_dir))}"
