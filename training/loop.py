"""Trains one stage of a run with Keras' `fit`: from its last checkpoint to its end, or to a stop."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import tensorflow as tf

from lsps_tf.datasets.feeds import Feed
from lsps_tf.errors import InputError
from lsps_tf.files import disk_errors
from lsps_tf.jobs import HERE, Workers
from lsps_tf.networks import Networks
from lsps_tf.pipeline import build_pipeline
from lsps_tf.run_folder import RunSettings, save_weights, weights_path
from training import callbacks
from training.data.feeding import open_feed
from training.plan import Optimizers, StagePlan
from training.survival.checkpoints import StageCheckpoints, checkpoints_folder
from training.survival.divergence import Divergence


def train_stage(
    plan: StagePlan, settings: RunSettings, networks: Networks, run_dir: pathlib.Path, workers: Workers = HERE
) -> bool:
    """Trains the stage on; `workers` feed it. Returns whether it is finished; False: it was stopped and saved.

    Raises:
        InputError: where the checkpoint does not fit the settings, the disk is full, or a loss or a weight is not
            finite; the last checkpoint stays, and nothing that is not finite is saved.
    """
    # On the CPU: it is read after each step, and on another device each reading would wait for the step to end.
    with tf.device("CPU:0"):
        step = tf.Variable(0, dtype=tf.int64, trainable=False)
    averages = {} if plan.model.averages is None else {"averages": plan.model.averages}
    checkpoint = tf.train.Checkpoint(networks=networks, step=step, **plan.optimizers, **averages)
    folder = checkpoints_folder(run_dir, plan.name)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    checkpoints = StageCheckpoints(checkpoint, folder)
    _restore(checkpoints, plan.optimizers)
    divergence = Divergence(plan, settings, networks, run_dir)

    def save() -> None:
        divergence.check_variables(int(step))
        checkpoints.save()

    if int(step) < plan.steps:
        with open_feed(settings, workers) as feed:
            _fit(plan, settings, feed, step, run_dir, divergence.check_losses, save)
    finished = int(step) >= plan.steps
    if finished:
        plan.model.finish()
        divergence.check_variables(int(step))
        save_weights(networks, weights_path(run_dir, plan.name))
    return finished


def _fit(
    plan: StagePlan,
    settings: RunSettings,
    feed: Feed,
    step: tf.Variable,
    run_dir: pathlib.Path,
    check_losses: Callable[[], None],
    save: Callable[[], None],
) -> None:
    training = settings.config.training
    unread: list[InputError] = []
    dataset = build_pipeline(feed, plan.streams, training.seed, int(step), unread.append)
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
        shown = next(iter(build_pipeline(feed, plan.streams, training.seed, plan.steps)))
        watchers.append(callbacks.Pictures(step, training.picture_every, plan.steps, run_dir, shown))
    try:
        plan.model.fit(
            dataset, steps_per_epoch=plan.steps - int(step), epochs=1, verbose=0, shuffle=False, callbacks=watchers
        )
    except tf.errors.OpError as error:
        if not unread:
            raise
        # The pipeline's error, which TensorFlow has made one of its own.
        save()
        raise InputError(f"{unread[0]}; the run stopped after step {int(step)} and is saved") from error
    finally:
        for watcher in watchers:
            watcher.close()


def _restore(checkpoints: StageCheckpoints, optimizers: Optimizers) -> None:
    """Restores all but the step sizes, which are the settings': a run may go on with others."""
    # Looking at them makes their variables, which would otherwise be restored later, in the first step.
    configured = {name: optimizer.learning_rate for name, optimizer in optimizers.items()}
    values = {name: float(rate) for name, rate in configured.items() if isinstance(rate, tf.Variable)}
    checkpoints.restore()
    for name, value in values.items():
        optimizers[name].learning_rate = value
