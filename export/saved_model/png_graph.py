"""Encoded depth frames inside a graph: what `lsps_tf/depth_files.py` does with files, for TensorFlow Serving."""

from __future__ import annotations

import tensorflow as tf

# The bytes of a PNG that say bits per channel and kind of colour.
_KIND_PLACE, _KIND_LENGTH = 24, 2
# And those that say width and height.
_SIZE_PLACE, _SIZE_LENGTH = 16, 8
_GRAY_16, _RGB_8 = b"\x10\x00", b"\x08\x02"
SMALLEST_SIDE = 32
_NO_READING = 65535


def decode_counts(png_bytes: tf.Tensor) -> tf.Tensor:
    """Decodes a depth frame.

    Args:
        png_bytes: scalar string, a 16-bit grayscale PNG (counts) or an 8-bit RGB one in the encoding of the NYU hand
            pose dataset (mm = 256 * green + blue, Tompson et al., 2014).

    Returns:
        uint16 [H, W], counts, 0 where the largest count of 16 bits says that there is no reading.

    Raises:
        tf.errors.InvalidArgumentError: where it is no PNG, damaged, of another kind, or too small for a hand.
    """
    # Of 8-bit channels TensorFlow makes 16-bit ones by repeating the byte.
    pixels = tf.io.decode_png(png_bytes, channels=0, dtype=tf.uint16)
    kind = tf.strings.substr(png_bytes, _KIND_PLACE, _KIND_LENGTH)
    shape = tf.shape(pixels)
    checks = (
        tf.debugging.Assert(
            (kind == _GRAY_16) | (kind == _RGB_8),
            ["depth_png_bytes: this PNG is a picture; a 16-bit grayscale PNG or the NYU encoding is needed"],
        ),
        tf.debugging.Assert(
            tf.reduce_min(shape[:2]) >= SMALLEST_SIDE,
            ["depth_png_bytes: each side of the frame needs at least 32 pixels, not", shape],
        ),
    )
    with tf.control_dependencies(checks):
        # A frame of one channel is not copied for the lack of it.
        counts = tf.cond(kind == _RGB_8, lambda: _join_bytes(pixels), lambda: tf.reshape(pixels, shape[:2]))
    return tf.where(counts == _NO_READING, tf.zeros([], tf.uint16), counts)


def same_size(png_bytes: tf.Tensor) -> tf.Tensor:
    """Whether all frames [B] of PNGs say that they have the same width and height, as their headers do; bool."""
    # Longer by zeros: what is too short for a PNG is for the decoder to refuse.
    sizes = tf.strings.substr(tf.strings.join([png_bytes, b"\0" * _KIND_PLACE]), _SIZE_PLACE, _SIZE_LENGTH)
    return tf.reduce_all(sizes == sizes[:1])


def _join_bytes(pixels: tf.Tensor) -> tf.Tensor:
    """256 * green + blue of channels that TensorFlow widened; the graph must hold for one channel, too."""
    green, blue = (tf.cast(pixels[..., place], tf.int32) // 257 for place in (-2, -1))
    return tf.cast(256 * green + blue, tf.uint16)
