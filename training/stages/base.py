"""What the stages have in common: the players' steps, keyed noise, logged terms, and the first that is no number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf
from tensorflow import keras

from lsps_tf import losses, replicas
from lsps_tf.config import LossWeights
from lsps_tf.losses import Terms
from lsps_tf.networks import Networks
from training.stages.averages import ALIKE, MovingAverages

Batch = dict[str, Any]
Tensors = dict[Any, tf.Tensor]
Players = list[tuple[keras.optimizers.Optimizer, list[tf.Variable]]]

# Where a domain's frames with poses are in a batch (equations 6 and 7; section 3.3 for the real ones).
PAIRS = {"synthetic": "synthetic", "real": "labelled"}
# Whose encoder and discriminator take the images of a batch.
DOMAIN_OF = {"synthetic": "synthetic", "real": "real", "labelled": "real"}

GENERATORS, DISCRIMINATORS = "eq2_generators", "eq2_discriminators"

# Keeps a stage's noise apart from the augmentation's, which folds another number into the same seed.
_NOISE_SALT = 2


class Stage(keras.Model):
    """A stage of the training (section 4): a model with its own `train_step`, which `fit` trains.

    A step is a pure function of the weights, the optimizers' state and the batch: all noise derives from
    `batch["seed"]`, int32 [2], the run's seed and the step. Only the variables of a stage's players are watched and
    moved, so the networks' `trainable` flags are left alone, and frozen networks cost no gradient.

    Where several replicas share a batch (`tf.distribute`), each has its rows of the step's noise, and gradients and
    scalars are means over the replicas before anything is done with them.

    Attributes:
        networks: the networks, built; each stage trains some of them.
        lambdas: the weights of the loss terms.
        prepare: from the pipeline's batch to the stage's; it runs first in each step, on the step's device.
        totals: the logged names of the players' weighted sums.
        averages: of the weights that the stage ends with; None where it ends with the last ones.
    """

    totals: tuple[str, ...]
    averages: MovingAverages | None = None

    def __init__(self, networks: Networks, lambdas: LossWeights, prepare: Callable[[Any], Batch] | None = None):
        super().__init__()
        self.networks = networks
        self.lambdas = lambdas
        self.prepare = prepare or (lambda batch: batch)
        # All replicas return the same.
        self.distribute_reduction_method = "first"
        self._means: Means | None = None
        self._finite: FiniteWatch | None = None

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means of what a step logs; empty before the first one."""
        return [] if self._means is None else [self._means]

    def log(self, batch: Batch, terms: Terms, totals: Iterable[tf.Tensor]) -> Tensors:
        """Adds a step's raw terms and weighted sums to their running means, by name, and returns the means."""
        scalars = {**{name: term.value for name, term in terms.items()}, **dict(zip(self.totals, totals))}
        scalars = dict(zip(scalars, replicas.mean_of_scalars(list(scalars.values()))))
        # Made while the first step is traced, from the terms that it has, and lifted out of the graph. All batches of a
        # stage have the same terms; only eager steps may have others, since later traces may make no variables.
        if self._means is None or self._means.names != tuple(scalars):
            self._means, self._finite = Means(scalars), FiniteWatch(scalars)
        values = tf.stack(list(scalars.values()))
        self._finite.update(batch["seed"][1], values)
        self._means.update_state(values)
        return self._means.result()

    @property
    def players(self) -> Players:
        """The optimizers of the compiled stage, each with the variables that it moves."""
        raise NotImplementedError

    def finish(self) -> None:
        """Gives the networks the weights that the stage ends with."""
        if self.averages is not None:
            self.averages.assign()

    def first_nonfinite(self) -> tuple[int, dict[str, float]] | None:
        """The first step, counted from 0, with a scalar that was not finite, and those scalars by name.

        None where all were finite. Reading it waits for the device.
        """
        return None if self._finite is None else self._finite.read()


class Means(keras.metrics.Metric):
    """Running means of scalars, all in one variable: in the step of a small stage each operation counts.

    All replicas have them alike. Keras' own means would be summed over the replicas, by messages at each reset.

    Attributes:
        names: of the scalars, in their order.
    """

    def __init__(self, names: Iterable[str]):
        super().__init__("means", dtype=tf.float32)
        self.names = tuple(names)
        alike = {"aggregation": ALIKE, "synchronization": tf.VariableSynchronization.ON_WRITE}
        self._sums = self.add_weight("sums", (len(self.names),), initializer="zeros", **alike)
        self._steps = self.add_weight("steps", (), initializer="zeros", **alike)

    def update_state(self, values: tf.Tensor) -> None:
        """Adds a step's scalars [N]."""
        self._sums.assign_add(values)
        self._steps.assign_add(1.0)

    def reset_state(self) -> None:
        """Begins anew."""
        self._sums.assign(tf.zeros_like(self._sums))
        self._steps.assign(0.0)

    def result(self) -> Tensors:
        """The means since the last reset, by name."""
        return dict(zip(self.names, tf.unstack(tf.math.divide_no_nan(self._sums, self._steps))))


class FiniteWatch:
    """Keeps on the device the first step whose scalars were not all finite: reading each would wait for each step.

    Attributes:
        names: of the scalars, in their order.
    """

    def __init__(self, names: Iterable[str]):
        self.names = tuple(names)
        with tf.init_scope():
            self._step = tf.Variable(-1, dtype=tf.int64, trainable=False, aggregation=ALIKE)
            self._values = tf.Variable(tf.zeros(len(self.names)), trainable=False, aggregation=ALIKE)

    def update(self, step: tf.Tensor, values: tf.Tensor) -> None:
        """Takes a step's number and its scalars [N] in the order of the names."""
        first = (self._step < 0) & ~tf.reduce_all(tf.math.is_finite(values))
        self._values.assign(tf.where(first, values, self._values))
        self._step.assign(tf.where(first, tf.cast(step, tf.int64), self._step))

    def read(self) -> tuple[int, dict[str, float]] | None:
        """The step and its scalars that are not finite, or None."""
        step = int(self._step.numpy())
        if step < 0:
            return None
        values = self._values.numpy()
        return step, {name: float(value) for name, value in zip(self.names, values) if not abs(value) < float("inf")}


class OnePlayerStage(Stage):
    """Trains one player's variables with the weighted sum of the stage's terms.

    A subclass has `forward`, what the networks make of a batch, and `loss_terms`, the raw terms of that.

    Attributes:
        player_variables: what is trained. With `average_decay` above 0 the stage ends with their average.
    """

    def __init__(
        self,
        networks: Networks,
        lambdas: LossWeights,
        player_variables: list[tf.Variable],
        total: str,
        prepare: Callable[[Any], Batch] | None = None,
        average_decay: float = 0.0,
    ):
        super().__init__(networks, lambdas, prepare)
        self.player_variables = player_variables
        self.totals = (total,)
        if average_decay:
            self.averages = MovingAverages(player_variables, average_decay)

    def compile(self, optimizer: keras.optimizers.Optimizer, **options: Any) -> None:
        """One player, one optimizer."""
        super().compile(**options)
        self.player_optimizer = optimizer

    @property
    def players(self) -> Players:
        return [(self.player_optimizer, self.player_variables)]

    def train_step(self, raw: Any) -> Tensors:
        batch = self.prepare(raw)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.player_variables)
            terms = self.loss_terms(self.forward(batch))
            total = losses.weighted_sum(terms, self.lambdas)
        _apply(self.player_optimizer, tape.gradient(total, self.player_variables), self.player_variables)
        if self.averages is not None:
            self.averages.update(batch["seed"][1])
        return self.log(batch, terms, (total,))


class TwoPlayerStage(Stage):
    """Trains `generator_variables` and `discriminator_variables`, each with its own total of equation 2.

    A subclass has `forward`, `discriminate`, `generator_terms` and `discriminator_terms`. The inner tape starts at the
    discriminators, so that their gradient ends at the images.

    Attributes:
        generator_variables, discriminator_variables: what each player trains. With `average_decay` above 0 the stage
            ends with the average of the first.
    """

    totals = (GENERATORS, DISCRIMINATORS)

    def __init__(
        self,
        networks: Networks,
        lambdas: LossWeights,
        generator_variables: list[tf.Variable],
        discriminator_variables: list[tf.Variable],
        prepare: Callable[[Any], Batch] | None = None,
        average_decay: float = 0.0,
    ):
        super().__init__(networks, lambdas, prepare)
        self.generator_variables = generator_variables
        self.discriminator_variables = discriminator_variables
        if average_decay:
            self.averages = MovingAverages(generator_variables, average_decay)

    def compile(
        self,
        generator_optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
        **options: Any,
    ) -> None:
        """One optimizer per player."""
        super().compile(**options)
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer

    @property
    def players(self) -> Players:
        return [
            (self.generator_optimizer, self.generator_variables),
            (self.discriminator_optimizer, self.discriminator_variables),
        ]

    def train_step(self, raw: Any) -> Tensors:
        batch = self.prepare(raw)
        with tf.GradientTape(watch_accessed_variables=False) as generator_tape:
            generator_tape.watch(self.generator_variables)
            outputs = self.forward(batch)
            with tf.GradientTape(watch_accessed_variables=False) as discriminator_tape:
                discriminator_tape.watch(self.discriminator_variables)
                verdicts = self.discriminate(outputs)
                discriminator_terms = self.discriminator_terms(outputs, verdicts)
                generator_terms = self.generator_terms(outputs, verdicts)
                totals = losses.shared_latent_space_loss(generator_terms, discriminator_terms, self.lambdas)
        gradients = generator_tape.gradient(totals[0], self.generator_variables)
        _apply(self.generator_optimizer, gradients, self.generator_variables)
        if self.averages is not None:
            self.averages.update(batch["seed"][1])
        gradients = discriminator_tape.gradient(totals[1], self.discriminator_variables)
        _apply(self.discriminator_optimizer, gradients, self.discriminator_variables)
        return self.log(batch, {**generator_terms, **discriminator_terms}, totals)


def _apply(
    optimizer: keras.optimizers.Optimizer, gradients: list[tf.Tensor | None], variables: list[tf.Variable]
) -> None:
    """Moves variables by the mean of all replicas' gradients, of which the optimizer takes the norm where it clips."""
    optimizer.apply_gradients(zip(replicas.mean(gradients), variables), experimental_aggregate_gradients=False)


def noise_seeds(seed: tf.Tensor, names: Iterable[str]) -> dict[str, tf.Tensor]:
    """An independent seed, int32 [2], per name, derived from a batch's seed; it depends on the order of the names."""
    names = list(names)
    return dict(zip(names, tf.unstack(tf.random.split(tf.random.fold_in(seed, _NOISE_SALT), len(names)))))


def sample_pose(networks: Networks, joints: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """z_y ~ q(z_y|y) of the frozen pose encoder: joints [B, J, 3] in half cubes to [B, Z], without gradient."""
    return tf.stop_gradient(replicas.sample(losses.pose_posterior(*networks.encode_pose(joints)), seed))


def prefixed(prefix: str, terms: Terms) -> Terms:
    """The terms under their logged names, which begin with the equation: "kl" to "eq3_vae_real_kl"."""
    return {f"{prefix}_{name}": term for name, term in terms.items()}


def by_pair(made: dict[str, dict[str, tf.Tensor]]) -> Tensors:
    """Images `made[source][domain]` by (source, domain), to be judged together."""
    return {(source, domain): image for source, images in made.items() for domain, image in images.items()}
