"""Random appearance of crops that a sensor took: what other sensors, places and persons would have made of them.

A simulated sensor is one guess of a real one. A network that sees each of its frames once more and more often learns
that guess by heart. So each step sees them otherwise. Ranges at strength 1, drawn anew for each image:

    shape     sizes differ by 8 %, and by further 5 % along each axis (`randomize`)
    noise     of single pixels up to 3 mm, and of patches up to 2 mm (standard deviations, `randomize`)
    melting   six times, a pixel becomes up to all of the mean of its neighbours within 20 to 80 mm, which are one to
              four pixels away
    grain     in half of the images, up to three pixels show the same reading, as of a hand that is far away
    holes     patches of up to a sixth of the image without a reading, and up to half of the pixels at steps of depth
    covers    in a third of the images, a bar of 15 to 60 mm without readings or nearer than all that is behind it
    borders   in a third of the images, nothing beyond a line that is 30 to 130 mm from the middle, as of a frame's end

Noise and melting were set by eye, beside crops of a real stereo camera. The melting reached half as far at first.
It was widened after grips over a table were wrong, and the errors on these frames were looked at before and after.
"""

from __future__ import annotations

import math

import tensorflow as tf

from lsps_tf import randomize, replicas

# The part of `randomize`'s noise: the crops have some of their own.
NOISE = 0.5
MELT_MM, MELT_PIXELS = (20.0, 80.0), (1, 1, 2, 2, 3, 4)
GRAIN = 3.0
COVER_SHARE, COVER_MM = 1.0 / 3.0, (15.0, 60.0)
BORDER_SHARE, BORDER_MM = 1.0 / 3.0, (30.0, 130.0)


def change_appearance(
    image: tf.Tensor, joints: tf.Tensor, cube_mm: tf.Tensor, strength: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Crops that look otherwise, and their joints.

    Args:
        image: [B, S, S, 1] in [-1, 1], +1 = background.
        joints: [B, J, 3] in half cubes.
        cube_mm: [B] side of the cube, mm.
        strength: of all effects; 0 changes nothing.
        seed: int32 [2].

    Returns:
        The same shapes; the joints follow the hand's shape.
    """
    if strength == 0:
        return image, joints
    seeds = tf.unstack(tf.random.split(seed, 2))
    count, half_mm = image.shape[0], tf.reshape(0.5 * cube_mm, (-1, 1, 1))
    scales = randomize.draw_scales(count, strength, seeds[0])
    depth, joints = randomize.stretch_crops(image[..., 0], joints, scales, tf.zeros([count, 3]))
    return change_readings(depth, half_mm, strength, seeds[1])[..., None], joints


def change_readings(depth: tf.Tensor, half_mm: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Depth [B, S, S] in half cubes of half_mm [B, 1, 1] with all of the effects but that on the shape."""
    seeds = tf.unstack(tf.random.split(seed, 6))
    depth = randomize.add_noise(depth, half_mm, NOISE * strength, seeds[0])
    depth = melt(depth, half_mm, strength, seeds[1])
    depth = coarsen(depth, strength, seeds[2])
    depth = randomize.drop_readings(depth, half_mm, strength, seeds[3])
    return add_border(cover(depth, half_mm, strength, seeds[4]), half_mm, strength, seeds[5])


def coarsen(depth: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Depth [B, S, S] of which blocks of up to `GRAIN` pixels show one reading; half of the images stay."""
    size = depth.shape[1]
    drawn = replicas.uniform([depth.shape[0], 1], seed, -1.0, 1.0)
    grain = 1.0 + strength * (GRAIN - 1.0) * tf.maximum(drawn, 0.0)
    place = tf.range(size, dtype=tf.float32)[None]
    middle = (tf.floor(place / grain) + 0.5) * grain
    source = tf.clip_by_value(tf.cast(middle, tf.int32), 0, size - 1)
    return tf.gather(tf.gather(depth, source, axis=1, batch_dims=1), source, axis=2, batch_dims=1)


def melt(depth: tf.Tensor, half_mm: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Depth [B, S, S] in half cubes, in which surfaces run into each other that are nearer than one of `MELT_MM`."""
    share, far = tf.unstack(replicas.uniform([depth.shape[0], 1, 1, 2], seed), axis=-1)
    nearest, farthest = MELT_MM
    reach = (nearest + (farthest - nearest) * far) / half_mm
    for pixels in MELT_PIXELS:
        depth = depth + strength * share * (_mean_around(depth, reach, pixels) - depth)
    return depth


def _mean_around(depth: tf.Tensor, reach: tf.Tensor, pixels: int) -> tf.Tensor:
    """The mean [B, S, S] of each pixel and eight around it, `pixels` away, no farther from its reading than `reach`.

    Background stays.
    """
    size, far = depth.shape[1], 2 * pixels
    padded = tf.pad(depth, [[0, 0], [pixels, pixels], [pixels, pixels]], constant_values=1.0)
    total, number = depth, tf.ones_like(depth)
    for row, column in ((r, c) for r in (0, pixels, far) for c in (0, pixels, far) if (r, c) != (pixels, pixels)):
        other = padded[:, row : row + size, column : column + size]
        counts = tf.cast((other < 1.0) & (tf.abs(other - depth) < reach), depth.dtype)
        total, number = total + counts * other, number + counts
    return tf.where(depth < 1.0, total / number, depth)


def cover(depth: tf.Tensor, half_mm: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Depth [B, S, S] in half cubes with a bar across some images: without readings, or nearer than all behind it."""
    count, size = depth.shape[0], depth.shape[1]
    seeds = tf.unstack(tf.random.split(seed, 5))
    across, along = _turned_places(size, replicas.uniform([count, 1, 1], seeds[0], 0.0, 2.0 * math.pi))
    wide, start, far = (replicas.uniform([count, 1, 1], one) for one in seeds[1:4])
    half_width = 0.5 * (COVER_MM[0] + (COVER_MM[1] - COVER_MM[0]) * wide) / half_mm
    inside = (tf.abs(across - (1.6 * far - 0.8)) < half_width) & (along > 1.6 * start - 0.8)
    chosen, level = tf.unstack(replicas.uniform([count, 1, 1, 2], seeds[4]), axis=-1)
    inside &= chosen < min(1.0, strength) * COVER_SHARE
    return tf.where(inside & (level < 0.5), 1.0, tf.where(inside, tf.minimum(depth, 2.0 * level - 1.8), depth))


def add_border(depth: tf.Tensor, half_mm: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Depth [B, S, S] in half cubes of which some images have nothing beyond a line, as where a frame ends."""
    angle, chosen, far = tf.unstack(replicas.uniform([depth.shape[0], 1, 1, 3], seed), axis=-1)
    across, _ = _turned_places(depth.shape[1], 2.0 * math.pi * angle)
    nearest, farthest = BORDER_MM
    beyond = across * half_mm > nearest + (farthest - nearest) * far
    return tf.where(beyond & (chosen < min(1.0, strength) * BORDER_SHARE), 1.0, depth)


def _turned_places(size: int, angle: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where pixels lie along two axes that are turned by angles [B, 1, 1]; each [B, S, S], half cubes."""
    place = (tf.range(size, dtype=tf.float32) - 0.5 * (size - 1)) * (2.0 / size)
    across = tf.cos(angle) * place[None, None, :] + tf.sin(angle) * place[None, :, None]
    along = tf.cos(angle) * place[None, :, None] - tf.sin(angle) * place[None, None, :]
    return across, along
