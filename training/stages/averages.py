"""Moving averages of weights over the steps of a stage."""

from __future__ import annotations

import tensorflow as tf

# Of variables that every replica gives the same value.
ALIKE = tf.VariableAggregation.ONLY_FIRST_REPLICA


class MovingAverages(tf.Module):
    """Exponential moving averages of variables; a checkpoint that holds it goes on where it was.

    After step t, counted from 0, an average keeps min(decay, (1 + t) / (10 + t)) of itself. So the initial weights are
    soon forgotten, as TensorFlow's `ExponentialMovingAverage` has it.

    Attributes:
        decay: per step, below 1.
        values: the averages, one for each variable.
    """

    def __init__(self, variables: list[tf.Variable], decay: float):
        super().__init__(name="averages")
        self.decay = decay
        # Behind a function, so that a checkpoint holds the averages and not the variables a second time.
        self._averaged = lambda: variables
        self.values = [tf.Variable(variable, trainable=False, aggregation=ALIKE) for variable in variables]

    def update(self, step: tf.Tensor) -> None:
        """Takes the variables' values after step `step`, a scalar of any type."""
        done = tf.cast(step, tf.float32)
        decay = tf.minimum(self.decay, (1.0 + done) / (10.0 + done))
        for average, variable in zip(self.values, self._averaged()):
            average.assign_add((1.0 - decay) * (variable - average))

    def assign(self) -> None:
        """Gives the averages to the variables."""
        for average, variable in zip(self.values, self._averaged()):
            variable.assign(average)
