"""How sure a prediction is, per joint: from the spread of the posterior and of the pose VAE, calibrated on errors.

P gives the pose latent of an image without a spread of its own. So the pose VAE has to tell good from bad predictions,
by how it takes the pose y = G_y(P(x)). Three numbers do:

- how far q(z_y|y) spreads each joint once G_y has decoded it,
- how far y moves when it is encoded and decoded again,
- how far P(x) lies from the prior.

A weighted sum of their logarithms foretells the logarithm of a joint's error. A falling curve turns the sum into the
probability that the joint is right.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf
from scipy.optimize import isotonic_regression

from lsps_tf.networks import Networks
from lsps_tf.networks.layers import LEAKY_SLOPE

# A joint this near to its place is right.
WITHIN_MM = 20.0
SIGNS = ("spread", "return", "distance")
_KNOTS = 33
# In half cubes, so that no logarithm is of 0.
_LEAST = 1e-5


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What turns a joint's signs into its confidence.

    Attributes:
        weights: [F] of the signs' logarithms.
        offsets: [J], each joint's own.
        scores: [K] rising, where the curve is known.
        probabilities: [K] falling, 0 to 1.
        split: of which frames, such as "real/validation".
        frames: how many.
    """

    weights: np.ndarray
    offsets: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray
    split: str
    frames: int


class Confidence(tf.Module):
    """The confidence of a run's joints.

    Attributes:
        calibration: on that run's errors.
    """

    def __init__(self, networks: Networks, calibration: Calibration):
        super().__init__(name="confidence")
        self._networks = networks
        self.calibration = calibration

    def __call__(self, pose_latent: tf.Tensor) -> tf.Tensor:
        """Probability [B, J] that each joint of G_y(z) lies within WITHIN_MM of its place; z [B, Z] is P(x)."""
        return self.of_signs(error_signs(self._networks, pose_latent))

    def of_signs(self, signs: tf.Tensor) -> tf.Tensor:
        """The same of `error_signs` [B, J, F]."""
        fit = self.calibration
        weights, offsets = (tf.constant(values, tf.float32) for values in (fit.weights, fit.offsets))
        score = tf.tensordot(tf.math.log(signs), weights, 1) + offsets
        return _interpolate(score, fit.scores.astype(np.float32), fit.probabilities.astype(np.float32))

    def describe(self) -> str:
        """One sentence for people."""
        fit = self.calibration
        return (
            f"Probability that a joint lies within {WITHIN_MM:g} mm of its place, calibrated on {fit.frames} frames of "
            f"{fit.split}."
        )


def error_signs(networks: Networks, pose_latent: tf.Tensor) -> tf.Tensor:
    """What tells a joint's error beforehand.

    Args:
        networks: of the run.
        pose_latent: z [B, Z], P(x) of the images.

    Returns:
        [B, J, F], above 0, in the order of SIGNS: the standard deviation of each joint under q(z_y|y), y = G_y(z), to
        first order; its distance from where it is after another encoding and decoding; and |z| / sqrt(Z). The first two
        in half cubes.
    """
    joints = networks.decode_pose(pose_latent)
    mean, deviation = networks.encode_pose(joints)
    jacobian = _decoder_jacobian(networks, pose_latent)
    variance = tf.reduce_sum(tf.square(jacobian * deviation[:, :, None]), axis=1)
    spread = tf.sqrt(tf.reduce_sum(tf.reshape(variance, tf.shape(joints)), axis=-1))
    moved = tf.norm(networks.decode_pose(mean) - joints, axis=-1)
    distance = tf.sqrt(tf.reduce_mean(tf.square(pose_latent), axis=-1, keepdims=True))
    return tf.maximum(tf.stack([spread, moved, tf.ones_like(spread) * distance], axis=-1), _LEAST)


def fit_calibration(signs: np.ndarray, errors_mm: np.ndarray, split: str) -> Calibration:
    """Calibrates signs on frames with labels.

    Args:
        signs: [N, J, F] of `error_signs`.
        errors_mm: [N, J], NaN where a joint has no label.
        split: which frames these are.
    """
    logarithms, target = np.log(np.asarray(signs, np.float64)), np.log1p(np.asarray(errors_mm, np.float64))
    known = np.isfinite(target)
    target = np.where(known, target, np.nan)
    # The joints' own levels are taken out before the weights, which all joints share, are found.
    counts = known.sum(axis=0)
    weighed = np.where(known[..., None], logarithms, 0.0).sum(axis=0) / np.maximum(counts, 1)[:, None]
    level = np.where(known, target, 0.0).sum(axis=0) / np.maximum(counts, 1)
    # A joint that never has a label takes the level of the others.
    level = np.where(counts > 0, level, level[counts > 0].mean())
    weighed = np.where(counts[:, None] > 0, weighed, logarithms.mean(axis=0))
    weights = np.linalg.lstsq((logarithms - weighed)[known], (target - level)[known], rcond=None)[0]
    offsets = level - weighed @ weights
    score = (logarithms @ weights + offsets)[known]
    scores, probabilities = _falling_curve(score, np.asarray(errors_mm)[known] <= WITHIN_MM)
    return Calibration(weights, offsets, scores, probabilities, split, len(signs))


def _falling_curve(score: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Isotonic regression of how often joints are right, at quantiles of their scores."""
    order = np.argsort(score)
    share = isotonic_regression(right[order].astype(np.float64), increasing=False).x
    edges = np.unique(np.quantile(score, np.linspace(0.0, 1.0, _KNOTS + 1)))
    if len(edges) == 1:
        return edges, np.array([share.mean()])
    middles = 0.5 * (edges[1:] + edges[:-1])
    # The mean over each part of the curve, whose steps follow the noise of single frames.
    part = np.clip(np.searchsorted(edges, score[order], side="right") - 1, 0, len(middles) - 1)
    return middles, np.bincount(part, share, len(middles)) / np.bincount(part, minlength=len(middles))


def _decoder_jacobian(networks: Networks, pose_latent: tf.Tensor) -> tf.Tensor:
    """Derivatives [B, Z, 3J] of G_y's output by its input: two dense layers with a LeakyReLU in between."""
    hidden, output = networks.pose_decoder.hidden, networks.pose_decoder.output_layer
    before = tf.matmul(pose_latent, hidden.kernel) + hidden.bias
    slope = tf.where(before > 0.0, 1.0, LEAKY_SLOPE)
    return tf.matmul(hidden.kernel[None] * slope[:, None, :], output.kernel[None])


def _interpolate(score: tf.Tensor, scores: np.ndarray, values: np.ndarray) -> tf.Tensor:
    """np.interp of any tensor, within a graph, of operations that TFLite has built in."""
    if len(scores) == 1:
        return tf.zeros_like(score) + tf.constant(values[0])
    # How much of each piece of the curve lies to the left of the score.
    parts = tf.clip_by_value((score[..., None] - scores[:-1]) / np.diff(scores), 0.0, 1.0)
    return values[0] + tf.reduce_sum(parts * np.diff(values), axis=-1)
