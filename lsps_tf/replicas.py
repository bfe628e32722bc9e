"""What a training step must know where several replicas (devices, of one machine or of many) share its batch.

Of N replicas, replica r has the rows r, r + N, r + 2N and so on of every stream of the batch. So what a stage makes by
joining streams, or by taking the first rows of one, is the same share of what it would make of the whole batch. Noise
is drawn for the whole batch, and a replica takes its rows of that. A step therefore computes the same, up to the order
of sums, however many replicas share it.

Outside of `tf.distribute`, and with one replica, every function here does what its name says without any of this.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp


@dataclasses.dataclass(frozen=True)
class Shares:
    """Which shares of each batch one process reads, those of its own replicas.

    Attributes:
        total: replicas that share a batch.
        first: the first of the process's own.
        own: how many are its own.
    """

    total: int = 1
    first: int = 0
    own: int = 1


# Of a process that has all of each batch.
WHOLE = Shares()


def count() -> int:
    """How many replicas share the batch at hand."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def normal(shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """`tf.random.stateless_normal` of a shape [B, ...], of which B are the rows of this replica."""
    return _draw(lambda rows: tf.random.stateless_normal([rows, *shape[1:]], seed), shape[0])


def uniform(shape: Sequence[int], seed: tf.Tensor, *options: Any) -> tf.Tensor:
    """`tf.random.stateless_uniform` of a shape [B, ...], of which B are the rows of this replica."""
    return _draw(lambda rows: tf.random.stateless_uniform([rows, *shape[1:]], seed, *options), shape[0])


def sample(posterior: tfp.distributions.Distribution, seed: tf.Tensor) -> tf.Tensor:
    """A sample [B, ...] of one of the posteriors of `losses`, which are normal, for the rows of this replica."""
    if count() == 1:
        return posterior.sample(seed=seed)
    mean, stddev = posterior.mean(), posterior.stddev()

    def standard(rows: int) -> tf.Tensor:
        shape = [rows, *mean.shape[1:]]
        return type(posterior)(tf.zeros(shape), tf.ones(shape)).sample(seed=seed)

    return mean + stddev * _draw(standard, mean.shape[0])


def whole_batch(rows: tf.Tensor) -> tf.Tensor:
    """The rows [B, ...] of all replicas in the batch's order, [N B, ...]."""
    number = count()
    if number == 1:
        return rows
    gathered = tf.distribute.get_replica_context().all_gather(tf.identity(rows), axis=0)
    by_replica = tf.reshape(gathered, (number, *rows.shape))
    in_order = tf.transpose(by_replica, (1, 0, *range(2, by_replica.shape.rank)))
    return tf.reshape(in_order, (number * rows.shape[0], *rows.shape[1:]))


def own_rows(whole: tf.Tensor) -> tf.Tensor:
    """This replica's rows [B, ...] of those of the whole batch [N B, ...]."""
    number = count()
    if number == 1:
        return whole
    by_row = tf.reshape(whole, (whole.shape[0] // number, number, *whole.shape[1:]))
    return by_row[:, tf.distribute.get_replica_context().replica_id_in_sync_group]


def mean(values: list[tf.Tensor | None]) -> list[tf.Tensor | None]:
    """The mean of each value over the replicas, whose shares of a batch are of one size; None stays None."""
    if count() == 1:
        return values
    there = [value for value in values if value is not None]
    means = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, there))
    return [None if value is None else next(means) for value in values]


def mean_of_scalars(values: list[tf.Tensor]) -> list[tf.Tensor]:
    """The same for scalars, in one message."""
    return values if count() == 1 else tf.unstack(mean([tf.stack(values)])[0])


def _draw(draw: Callable[[int], tf.Tensor], rows: int) -> tf.Tensor:
    return own_rows(draw(rows * count()))
