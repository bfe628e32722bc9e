"""A stage of two players that take one forward pass: generators with their encoders, and discriminators."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow import keras

from lsps_tf import losses
from training.stage import Stage, Tensors

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
