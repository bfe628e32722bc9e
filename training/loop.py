"""Trains one stage of a run with Keras' `fit`: from its last checkpoint to its end, or to a stop."""

from __future__ import annotations

import functools
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
from training.distribution.strategies import Alone
from training.plan import StagePlan
from training.survival.checkpoints import StageCheckpoints, checkpoints_folder
from training.survival.divergence import Divergence


def train_stage(
    plan: StagePlan,
    settings: RunSettings,
    networks: Networks,
    run_dir: pathlib.Path | None,
    distribution: Alone,
    workers: Workers = HERE,
) -> bool:
    """Trains the stage on; `workers` feed it. Returns whether it is finished; False: it was stopped and saved.

    All workers call it alike. The chief alone reads and writes the run's folder.

    Raises:
        InputError: where the checkpoint does not fit the settings, the disk is full, or a loss or a weight is not
            finite; the last checkpoint stays, and nothing that is not finite is saved.
    """
    # On the CPU: it is read after each step, and on another device each reading would wait for the step to end.
    with tf.device("CPU:0"):
        step = tf.Variable(0, dtype=tf.int64, trainable=False)
    folder = StageFolder(plan, settings, networks, step, run_dir) if distribution.is_chief else None

    def by_chief(action: Callable[[StageFolder], None]) -> None:
        with distribution.together():
            if folder is not None:
                action(folder)

    if distribution.workers > 1:
        _make_memories(plan, distribution)
    by_chief(StageFolder.restore)
    _spread(plan, networks, step, distribution)
    if int(step) < plan.steps:
        check_losses, save = (functools.partial(by_chief, f) for f in (StageFolder.check_losses, StageFolder.save))
        with open_feed(settings, workers) as feed:
            _fit(plan, settings, feed, step, run_dir, distribution, check_losses, save)
    finished = int(step) >= plan.steps
    if finished:
        with distribution.scope():
            plan.model.finish()
        by_chief(StageFolder.save_weights)
    return finished


class StageFolder:
    """What a run's folder holds of a stage in training: its checkpoints, its weights, and the batches of a failure."""

    def __init__(
        self, plan: StagePlan, settings: RunSettings, networks: Networks, step: tf.Variable, run_dir: pathlib.Path
    ):
        self._plan, self._networks, self._step, self._run_dir = plan, networks, step, run_dir
        averages = {} if plan.model.averages is None else {"averages": plan.model.averages}
        checkpoint = tf.train.Checkpoint(networks=networks, step=step, **plan.optimizers, **averages)
        self._checkpoints = StageCheckpoints(checkpoint, checkpoints_folder(run_dir, plan.name))
        self._divergence = Divergence(plan, settings, networks, run_dir)

    def restore(self) -> None:
        """Restores all but the step sizes, which are the settings': a run may go on with others."""
        folder = checkpoints_folder(self._run_dir, self._plan.name)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        optimizers = self._plan.optimizers
        # Looking at them makes their variables, which would otherwise be restored later, in the first step.
        configured = {name: optimizer.learning_rate for name, optimizer in optimizers.items()}
        values = {name: float(rate.numpy()) for name, rate in configured.items() if isinstance(rate, tf.Variable)}
        self._checkpoints.restore()
        for name, value in values.items():
            optimizers[name].learning_rate = value

    def check_losses(self) -> None:
        """Raises InputError where a step's terms were not all finite."""
        self._divergence.check_losses()

    def save(self) -> None:
        """Writes a checkpoint; InputError where a weight is not finite, or the disk is full."""
        self._divergence.check_variables(int(self._step))
        self._checkpoints.save()

    def save_weights(self) -> None:
        """Writes the weights that the stage ends with."""
        self._divergence.check_variables(int(self._step))
        save_weights(self._networks, weights_path(self._run_dir, self._plan.name))


def _fit(
    plan: StagePlan,
    settings: RunSettings,
    feed: Feed,
    step: tf.Variable,
    run_dir: pathlib.Path | None,
    distribution: Alone,
    check_losses: Callable[[], None],
    save: Callable[[], None],
) -> None:
    training = settings.config.training
    unread: list[InputError] = []
    start = int(step)
    dataset = distribution.dataset(
        lambda shares: build_pipeline(feed, plan.streams, training.seed, start, unread.append, shares)
    )
    looks = (callbacks.SHOWN_EVERY, training.log_every, training.checkpoint_every, training.picture_every)
    stop = callbacks.CleanStop(step, distribution.stop_every, distribution.agree)
    watchers = [
        callbacks.Position(step),
        callbacks.FiniteCheck(step, looks, plan.steps, check_losses),
        *(_shown(plan, settings, feed, step, run_dir) if distribution.is_chief else ()),
        callbacks.Checkpoints(step, training.checkpoint_every, save),
        stop,
    ]
    try:
        plan.model.fit(
            dataset, steps_per_epoch=plan.steps - int(step), epochs=1, verbose=0, shuffle=False, callbacks=watchers
        )
    except tf.errors.OpError as error:
        if stop.asked and distribution.lost(error):
            raise KeyboardInterrupt from error
        if not unread:
            raise
        # The pipeline's error, which TensorFlow has made one of its own.
        if distribution.workers > 1:
            # The others are within a step and cannot wait for a checkpoint.
            raise unread[0] from error
        save()
        raise InputError(f"{unread[0]}; the run stopped after step {int(step)} and is saved") from error
    finally:
        for watcher in watchers:
            watcher.close()


def _shown(
    plan: StagePlan, settings: RunSettings, feed: Feed, step: tf.Variable, run_dir: pathlib.Path
) -> list[callbacks.StageCallback]:
    """What shows how the stage goes, on the screen and in the run's folder."""
    training = settings.config.training
    watchers: list[callbacks.StageCallback] = [
        callbacks.Progress(step, plan.name, plan.steps, plan.shown),
        callbacks.MetricsLog(step, training.log_every, plan.name, plan.steps, run_dir),
    ]
    if plan.has_pictures:
        shown = next(iter(build_pipeline(feed, plan.streams, training.seed, plan.steps)))
        watchers.append(callbacks.Pictures(step, training.picture_every, plan.steps, run_dir, shown))
    return watchers


def _make_memories(plan: StagePlan, distribution: Alone) -> None:
    """Makes what the optimizers remember, on all workers: they meet where a variable is made.

    Keras makes a part when it is first read, which the chief alone does, and the rest in the first step.
    """
    with distribution.scope():
        for optimizer, variables in plan.model.players:
            optimizer._create_all_weights(variables)


def _spread(plan: StagePlan, networks: Networks, step: tf.Variable, distribution: Alone) -> None:
    """Gives all workers the chief's position, weights, and what its optimizers and averages remember."""
    if distribution.workers == 1:
        return
    averages = [] if plan.model.averages is None else plan.model.averages.values
    memories = [variable for optimizer in plan.optimizers.values() for variable in optimizer.variables()]
    distribution.spread([*networks.variables, *memories, *averages])
    step.assign(int(distribution.from_chief(b"%d" % int(step))))
