"""The pose VAE's networks E_y and G_y (table 2)."""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras

from lsps_tf.networks.layers import dense

# Keeps exp() finite and the KL of equation 1 bounded, far outside what training visits.
MIN_LOG_VARIANCE, MAX_LOG_VARIANCE = -20.0, 10.0


class PoseEncoder(keras.Model):
    """E_y of table 2: joints to the mean and standard deviation of q(z_y|y).

    The table's sigma² layer gives the logarithm of the variance, which needs no constraint.

    Attributes:
        hidden_width: units of the hidden layer.
        latent_size: Z, size of the pose latent.
        seed: the run's seed of initial weights.
    """

    def __init__(self, hidden_width: int, latent_size: int, seed: int):
        super().__init__(name="pose_encoder")
        self.hidden_width = hidden_width
        self.latent_size = latent_size
        self.seed = seed
        self.hidden = dense("pose_encoder/hidden", hidden_width, seed, activate=True)
        self.mean = dense("pose_encoder/mean", latent_size, seed)
        self.log_variance = dense("pose_encoder/log_variance", latent_size, seed)

    def call(self, joints: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Flattened joints in half cubes [B, 3J] to mean [B, Z] and standard deviation [B, Z]."""
        hidden = self.hidden(joints)
        log_variance = tf.clip_by_value(self.log_variance(hidden), MIN_LOG_VARIANCE, MAX_LOG_VARIANCE)
        return self.mean(hidden), tf.exp(0.5 * log_variance)

    def get_config(self) -> dict:
        return {"hidden_width": self.hidden_width, "latent_size": self.latent_size, "seed": self.seed}


class PoseDecoder(keras.Model):
    """G_y of table 2: the pose latent to joints.

    Attributes:
        hidden_width: units of the hidden layer.
        num_joints: J.
        seed: the run's seed of initial weights.
    """

    def __init__(self, hidden_width: int, num_joints: int, seed: int):
        super().__init__(name="pose_decoder")
        self.hidden_width = hidden_width
        self.num_joints = num_joints
        self.seed = seed
        self.hidden = dense("pose_decoder/hidden", hidden_width, seed, activate=True)
        self.output_layer = dense("pose_decoder/output", 3 * num_joints, seed)

    def call(self, pose_latent: tf.Tensor) -> tf.Tensor:
        """Pose latent [B, Z] to flattened joints in half cubes [B, 3J]."""
        return self.output_layer(self.hidden(pose_latent))

    def get_config(self) -> dict:
        return {"hidden_width": self.hidden_width, "num_joints": self.num_joints, "seed": self.seed}


class DirectEncoder(keras.Model):
    """In place of E_y where there is no pose VAE: the joints are their own latent, without noise."""

    def __init__(self):
        super().__init__(name="direct_encoder")

    def call(self, joints: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Flattened joints in half cubes [B, 3J] to themselves and a standard deviation of zero."""
        return tf.identity(joints), tf.zeros_like(joints)


class DirectDecoder(keras.Model):
    """In place of G_y where there is no pose VAE."""

    def __init__(self):
        super().__init__(name="direct_decoder")

    def call(self, pose_latent: tf.Tensor) -> tf.Tensor:
        """Flattened joints in half cubes [B, 3J] to themselves."""
        return tf.identity(pose_latent)
