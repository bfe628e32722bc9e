"""Trains one stage of a run with Keras' `fit`: from its last checkpoint to its end, or to a stop."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable

import tensorflow as tf

from lsps_tf.errors import InputError
from lsps_tf.files import disk_errors
from lsps_tf.networks import Networks
from lsps_tf.pipeline import build_pipeline
from lsps_tf.run_folder import RunSettings, save_weights, weights_path
from lsps_tf.tensorflow_paths import plain_folder
from training import callbacks
from training.divergence import Divergence
from training.plan import StagePlan

# What is wrong with the disk or the memory, and not with a checkpoint.
_OF_THE_MACHINE = (tf.errors.PermissionDeniedError, tf.errors.ResourceExhaustedError, tf.errors.UnavailableError)


def train_stage(plan: StagePlan, settings: RunSettings, networks: Networks, run_dir: pathlib.Path) -> bool:
    """Trains the stage on. Returns whether it is finished; False means that it was stopped and saved.

    Raises:
        InputError: where the checkpoint does not fit the settings, the disk is full, or a loss or a weight is not
            finite; the last checkpoint stays, and nothing that is not finite is saved.
    """
    # On the CPU: it is read after each step, and on another device each reading would wait for the step to end.
    with tf.device("CPU:0"):
        step = tf.Variable(0, dtype=tf.int64, trainable=False)
    averages = {} if plan.model.averages is None else {"averages": plan.model.averages}
    checkpoint = tf.train.Checkpoint(networks=networks, step=step, **plan.optimizers, **averages)
    folder = run_dir / "checkpoints" / plan.name
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with plain_folder(folder) as plain:
        manager = tf.train.CheckpointManager(checkpoint, plain, max_to_keep=1)
        _restore(checkpoint, manager, folder)
        divergence = Divergence(plan, settings, networks, run_dir)

        def save() -> None:
            divergence.check_variables(int(step))
            _save(manager, step, folder)

        if int(step) < plan.steps:
            _fit(plan, settings, step, run_dir, divergence.check_losses, save)
    finished = int(step) >= plan.steps
    if finished:
        plan.model.finish()
        divergence.check_variables(int(step))
        save_weights(networks, weights_path(run_dir, plan.name))
    return finished


def _fit(
    plan: StagePlan,
    settings: RunSettings,
    step: tf.Variable,
    run_dir: pathlib.Path,
    check_losses: Callable[[], None],
    save: Callable[[], None],
) -> None:
    training = settings.config.training
    dataset = build_pipeline(settings.store, plan.streams, training.seed, int(step))
    looks = (callbacks.SHOWN_EVERY, training.log_every, training.checkpoint_every, training.picture_every)
    watchers = [
        callbacks.Position(step),
        callbacks.FiniteCheck(step, looks, plan.steps, check_losses),
        callbacks.Progress(step, plan.name, plan.steps, plan.shown),
        callbacks.MetricsLog(step, training.log_every, plan.name, plan.steps, run_dir),
        callbacks.Checkpoints(step, training.checkpoint_every, save),
        callbacks.CleanStop(step),
    ]
    if plan.has_pictures:
        shown = next(iter(build_pipeline(settings.store, plan.streams, training.seed, plan.steps)))
        watchers.append(callbacks.Pictures(step, training.picture_every, plan.steps, run_dir, shown))
    try:
        plan.model.fit(
            dataset, steps_per_epoch=plan.steps - int(step), epochs=1, verbose=0, shuffle=False, callbacks=watchers
        )
    finally:
        for watcher in watchers:
            watcher.close()


def _restore(checkpoint: tf.train.Checkpoint, manager: tf.train.CheckpointManager, folder: pathlib.Path) -> None:
    if not manager.latest_checkpoint:
        return
    try:
        checkpoint.restore(manager.latest_checkpoint).assert_existing_objects_matched()
    except (ValueError, AssertionError, LookupError, RuntimeError, tf.errors.OpError) as error:
        name = pathlib.Path(manager.latest_checkpoint).name
        if isinstance(error, _OF_THE_MACHINE):
            raise InputError(
                f"{folder / name}: the checkpoint cannot be read ({_reason(error)}); mend that and go on with --resume"
            ) from error
        raise InputError(
            f"{folder / name}: the checkpoint is damaged or of other settings ({_reason(error)}); delete {folder} to "
            "do this stage again"
        ) from error


def _save(manager: tf.train.CheckpointManager, step: tf.Variable, folder: pathlib.Path) -> None:
    try:
        manager.save(checkpoint_number=int(step))
    except (tf.errors.ResourceExhaustedError, tf.errors.UnknownError, tf.errors.InternalError, OSError) as error:
        raise InputError(
            f"{folder}: the checkpoint cannot be written ({_reason(error)}); free some space and go on with --resume"
        ) from error


def _reason(error: Exception) -> str:
    """The first line of an error without the names that TensorFlow puts around it."""
    return re.sub(r"\{\{.*?\}\} | \[Op:\w+\]", "", str(error).splitlines()[0])
