"""What the stages have in common: prepared batches, keyed noise, unique variables and logged terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf
from tensorflow import keras

from lsps_tf import losses
from lsps_tf.config import LossWeights
from lsps_tf.networks import Networks

Batch = dict[str, Any]
Tensors = dict[str, tf.Tensor]

# Where a domain's frames with poses are in a batch (equations 6 and 7; section 3.3 for the real ones).
PAIRS = {"synthetic": "synthetic", "real": "labelled"}
# Whose encoder and discriminator take the images of a batch.
DOMAIN_OF = {"synthetic": "synthetic", "real": "real", "labelled": "real"}

# Keeps a stage's noise apart from the augmentation's, which folds another number into the same seed.
_NOISE_SALT = 2


class Stage(keras.Model):
    """A stage of the training (section 4): a model with its own `train_step`, which `fit` trains.

    A step is a pure function of the weights, the optimizers' state and the batch: all noise derives from
    `batch["seed"]`, int32 [2]. Only the variables that a stage lists as a player's are watched and moved, so the
    networks' `trainable` flags are left alone.

    Attributes:
        networks: the networks, built; each stage trains some of them.
        lambdas: the weights of the loss terms.
        prepare: from the pipeline's batch to the stage's; it runs first in each step, on the step's device.
    """

    def __init__(
        self,
        networks: Networks,
        lambdas: LossWeights,
        term_names: Iterable[str],
        prepare: Callable[[Any], Batch] | None = None,
    ):
        super().__init__()
        self.networks = networks
        self.lambdas = lambdas
        self.prepare = prepare or (lambda batch: batch)
        self._trackers = {name: keras.metrics.Mean(name) for name in term_names}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self._trackers.values())

    def log(self, terms: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Adds a step's scalars to their running means and returns the means."""
        for name, value in terms.items():
            self._trackers[name].update_state(value)
        return {name: self._trackers[name].result() for name in terms}


def noise_seeds(seed: tf.Tensor, names: Iterable[str]) -> dict[str, tf.Tensor]:
    """An independent seed, int32 [2], per name, derived from a batch's seed; it depends on the order of the names."""
    names = list(names)
    return dict(zip(names, tf.unstack(tf.random.split(tf.random.fold_in(seed, _NOISE_SALT), len(names)))))


def unique_variables(*modules: tf.Module) -> list[tf.Variable]:
    """The modules' trainable variables in order, shared ones once."""
    return list({variable.ref(): variable for module in modules for variable in module.trainable_variables}.values())


def sample_pose(networks: Networks, joints: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """z_y ~ q(z_y|y) of the frozen pose encoder: joints [B, J, 3] in half cubes to [B, Z], without gradient."""
    return tf.stop_gradient(losses.pose_posterior(*networks.encode_pose(joints)).sample(seed=seed))


GENERATORS, DISCRIMINATORS = "eq2_generators", "eq2_discriminators"


GENERATORS, DISCRIMINATORS = "eq2_generators", "eq2_discriminators"


class TwoPlayerStage(Stage):
    """Trains `generator_variables` and `discriminator_variables`, each with its own total of equation 2.

    A subclass has `forward`, `discriminate`, `generator_losses` and `discriminator_losses`. The inner tape starts at
    the discriminators, so that their gradient ends at the images.
    """

    generator_variables: list[tf.Variable]
    discriminator_variables: list[tf.Variable]

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

    def train_step(self, raw: Any) -> Tensors:
        batch = self.prepare(raw)
        with tf.GradientTape(watch_accessed_variables=False) as generator_tape:
            generator_tape.watch(self.generator_variables)
            outputs = self.forward(batch)
            with tf.GradientTape(watch_accessed_variables=False) as discriminator_tape:
                discriminator_tape.watch(self.discriminator_variables)
                verdicts = self.discriminate(outputs)
                discriminator_terms = self.discriminator_losses(outputs, verdicts)
                generator_terms = self.generator_losses(outputs, verdicts)
                totals = losses.shared_latent_space_loss(generator_terms, discriminator_terms, self.lambdas)
        gradients = generator_tape.gradient(totals[0], self.generator_variables)
        self.generator_optimizer.apply_gradients(zip(gradients, self.generator_variables))
        gradients = discriminator_tape.gradient(totals[1], self.discriminator_variables)
        self.discriminator_optimizer.apply_gradients(zip(gradients, self.discriminator_variables))
        return self.log({**generator_terms, **discriminator_terms, GENERATORS: totals[0], DISCRIMINATORS: totals[1]})
