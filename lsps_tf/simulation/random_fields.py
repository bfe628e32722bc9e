"""Random images with a correlation length, and Gaussian weights for blurring, in pixels of the sensor.

An image pixel spans `pixel_size` pixels of the sensor, so a length of l sensor pixels is l / pixel_size image pixels.
"""

from __future__ import annotations

import tensorflow as tf


def gaussian_weights(length: int | tf.Tensor, pixel_size: tf.Tensor, sigma_px: float) -> tf.Tensor:
    """Unnormalized Gaussian weights [B, length, length] between the pixels of a row.

    Args:
        length: pixels of the row.
        pixel_size: [B] sensor pixels per image pixel.
        sigma_px: standard deviation in sensor pixels; 0 gives the identity.
    """
    position = tf.range(length, dtype=tf.float32)
    squared = tf.square(position[:, None] - position[None, :])
    width = tf.maximum(tf.square(sigma_px / pixel_size), 1e-6)
    return tf.exp(-0.5 * squared / width[:, None, None])


def gaussian_blur(images: tf.Tensor, pixel_size: tf.Tensor, sigma_px: float) -> tf.Tensor:
    """Separable Gaussian blur of [B, H, W], zero outside of the image, weights that sum to one."""
    rows, columns = (_normalized(images, axis, pixel_size, sigma_px, 1) for axis in (1, 2))
    return rows @ images @ tf.linalg.matrix_transpose(columns)


def gaussian_field(shape: tf.Tensor, pixel_size: tf.Tensor, correlation_px: float, seed: tf.Tensor) -> tf.Tensor:
    """Standard normal values [B, H, W], correlated over neighbors.

    White noise filtered with Gaussian weights of unit L2 norm, so the variance is exactly 1 at every pixel; values r
    sensor pixels apart correlate by exp(-r^2 / (4 correlation_px^2)).

    Args:
        shape: (B, H, W).
        pixel_size: [B] sensor pixels per image pixel.
        correlation_px: standard deviation of the weights in sensor pixels, 0 = white noise.
        seed: (2,) int32.
    """
    white = tf.random.stateless_normal(shape, seed, alg="philox")
    if correlation_px == 0:
        return white
    rows, columns = (_normalized(white, axis, pixel_size, correlation_px, 2) for axis in (1, 2))
    return rows @ white @ tf.linalg.matrix_transpose(columns)


def _normalized(images: tf.Tensor, axis: int, pixel_size: tf.Tensor, sigma_px: float, order: int) -> tf.Tensor:
    """Gaussian weights along one axis whose rows have unit L1 (order 1) or L2 norm (order 2)."""
    weights = gaussian_weights(tf.shape(images)[axis], pixel_size, sigma_px)
    norm = tf.reduce_sum(weights**order, axis=-1, keepdims=True) ** (1.0 / order)
    return weights / norm
