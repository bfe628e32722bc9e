"""Trains one stage of a run with Keras' `fit`: from its last checkpoint to its end, or to a stop."""

from __future__ import annotations

import pathlib
import re

import tensorflow as tf

from lsps_tf.errors import InputError
from lsps_tf.networks import Networks
from lsps_tf.pipeline import build_pipeline
from lsps_tf.run_folder import RunSettings, save_weights, weights_path
from training import callbacks
from training.plan import StagePlan


def fit_stage(plan: StagePlan, settings: RunSettings, networks: Networks, run_dir: pathlib.Path) -> bool:
    """Trains the stage on. Returns whether it is finished; False means that it was stopped and saved.

    Raises:
        InputError: where the checkpoint does not fit the settings, or the disk is full.
    """
    training = settings.config.training
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    checkpoint = tf.train.Checkpoint(networks=networks, step=step, **plan.optimizers)
    manager = tf.train.CheckpointManager(checkpoint, str(run_dir / "checkpoints" / plan.name), max_to_keep=1)
    _restore(checkpoint, manager)
    stop = callbacks.CleanStop()
    if int(step) < plan.steps:
        dataset = build_pipeline(settings.store, plan.streams, training.seed, int(step))
        watchers = [
            callbacks.Position(step),
            callbacks.Progress(step, plan.name, plan.steps, plan.shown),
            callbacks.MetricsLog(step, training.log_every, plan.name, plan.steps, run_dir),
            callbacks.Checkpoints(step, training.checkpoint_every, lambda: _save(manager, step)),
            stop,
        ]
        if plan.has_pictures:
            shown = next(iter(build_pipeline(settings.store, plan.streams, training.seed, plan.steps)))
            watchers.append(callbacks.Pictures(step, training.picture_every, plan.steps, run_dir, shown))
        plan.model.fit(
            dataset, steps_per_epoch=plan.steps - int(step), epochs=1, verbose=0, shuffle=False, callbacks=watchers
        )
    finished = int(step) >= plan.steps
    if finished:
        save_weights(networks, weights_path(run_dir, plan.name))
    return finished


def _restore(checkpoint: tf.train.Checkpoint, manager: tf.train.CheckpointManager) -> None:
    if not manager.latest_checkpoint:
        return
    try:
        checkpoint.restore(manager.latest_checkpoint).assert_existing_objects_matched()
    except (ValueError, AssertionError, LookupError, RuntimeError, tf.errors.OpError) as error:
        raise InputError(
            f"{manager.latest_checkpoint}: the checkpoint is damaged or of other settings ({_reason(error)}); delete "
            f"{manager.directory} to do this stage again"
        ) from error


def _save(manager: tf.train.CheckpointManager, step: tf.Variable) -> None:
    try:
        manager.save(checkpoint_number=int(step))
    except (tf.errors.ResourceExhaustedError, tf.errors.UnknownError, tf.errors.InternalError, OSError) as error:
        raise InputError(
            f"{manager.directory}: the checkpoint cannot be written ({_reason(error)}); free some space and go on "
            "with --resume"
        ) from error


def _reason(error: Exception) -> str:
    """The first line of an error without the names that TensorFlow puts around it."""
    return re.sub(r"\{\{.*?\}\} | \[Op:\w+\]", "", str(error).splitlines()[0])
