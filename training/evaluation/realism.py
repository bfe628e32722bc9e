"""Whether generated images look like the sensor's: a distance of features, and a classifier trained to tell them apart.

Both need no pairs of images. The pose is not asked for here.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow import keras

from lsps_tf.networks import Networks

_BATCH = 64
_WIDTHS = (16, 32, 64)
_LEARNING_RATE = 1e-3


def features(networks: Networks, image: np.ndarray, domain: str) -> np.ndarray:
    """What P's last layer reads of images [N, S, S]: the trunk's features, averaged over the image, [N, C]."""
    parts = [
        tf.reduce_mean(networks.discriminators[domain].features(part[..., None]), axis=(1, 2)).numpy()
        for part in np.split(image, range(_BATCH, len(image), _BATCH))
    ]
    return np.concatenate(parts).astype(np.float64)


def kernel_distance(one: np.ndarray, other: np.ndarray) -> float:
    """The squared maximum mean discrepancy of features [N, C] and [M, C] with the kernel (x y / C + 1)^3.

    Unbiased: 0 in the mean where both are of one distribution, so it may be a little negative (the kernel inception
    distance, Binkowski et al., 2018, equation 4).
    """
    size = one.shape[1]

    def kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return (left @ right.T / size + 1.0) ** 3

    def mean_of_pairs(values: np.ndarray) -> float:
        same, count = kernel(values, values), len(values)
        return float((same.sum() - np.trace(same)) / (count * (count - 1)))

    return mean_of_pairs(one) + mean_of_pairs(other) - 2.0 * float(kernel(one, other).mean())


def standardized(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Features [N, C] in standard deviations of the reference's around its mean; a feature that stands still is 0."""
    stddev = reference.std(axis=0)
    return np.where(stddev > 1e-6, (values - reference.mean(axis=0)) / np.maximum(stddev, 1e-6), 0.0)


def told_apart_percent(
    seen: tuple[np.ndarray, np.ndarray], unseen: tuple[np.ndarray, np.ndarray], steps: int, seed: int
) -> float:
    """How often a classifier trained for it tells two kinds of images apart, %; 50 is guessing.

    Args:
        seen: real and made images, [N, S, S] each, that it is trained on.
        unseen: the same of hands that it has not seen, on which it is measured; each kind counts half.
        steps: of training.
        seed: of weights and batches.
    """
    model = _build_classifier(seed)
    optimizer = keras.optimizers.legacy.Adam(_LEARNING_RATE)
    random = np.random.default_rng([seed, 31])
    label = tf.constant([[1.0]] * (_BATCH // 2) + [[0.0]] * (_BATCH // 2))

    @tf.function
    def step(image: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logit = model(image, training=True)
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(label, logit))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    for _ in range(steps):
        halves = [images[random.integers(len(images), size=_BATCH // 2)] for images in seen]
        step(tf.constant(np.concatenate(halves)[..., None], tf.float32))
    real, made = (_logits(model, images) for images in unseen)
    return 50.0 * float((real > 0).mean() + (made <= 0).mean())


def _build_classifier(seed: int) -> keras.Model:
    """Strided convolutions, the mean over the image, and a logit that is above 0 for real images."""
    layers: list[keras.layers.Layer] = [
        keras.layers.Conv2D(
            width,
            3,
            strides=2,
            padding="same",
            activation="relu",
            kernel_initializer=keras.initializers.HeNormal(seed + number),
        )
        for number, width in enumerate(_WIDTHS)
    ]
    layers.append(keras.layers.GlobalAveragePooling2D())
    layers.append(keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed)))
    return keras.Sequential(layers)


def _logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    parts = [model(part[..., None]).numpy() for part in np.split(images, range(_BATCH, len(images), _BATCH))]
    return np.concatenate(parts)[:, 0]
