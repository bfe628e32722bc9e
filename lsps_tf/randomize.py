"""Domain randomisation: clean synthetic crops with generic effects of depth cameras, chosen without looking at any.

The baseline that any adaptation must beat: what is known before a frame of the sensor is seen, and no more. Hands
differ in size and proportions, have forearms, and depth has noise, holes and ragged edges. Ranges at strength 1:

    shape    sizes differ by 8 %, and by further 5 % along each axis of the crop (standard deviations of logarithms)
    centre   10 mm off along each axis (standard deviation): where a crop is placed depends on what is in it
    forearm  in four of five images, a cylinder of 20 to 34 mm radius from the wrist on, 20 degrees off the hand's axis
    noise    of single pixels up to 6 mm, and of patches up to 4 mm (standard deviations, one of each per image)
    holes    patches of up to a sixth of the image without a reading, and up to half of the pixels at steps of depth

None of the numbers was tuned on a sensor of the simulator.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from lsps_tf import replicas
from lsps_tf.skeleton import Skeleton

SIZE_SIGMA, AXIS_SIGMA = 0.08, 0.05
CENTER_SIGMA_MM = 10.0
FOREARM_SHARE, FOREARM_RADIUS_MM, FOREARM_SPREAD = 0.8, (20.0, 34.0), 0.35
PIXEL_NOISE_MM, PATCH_NOISE_MM = 6.0, 4.0
# A standard normal field is above 1 in 16 % of the image, above 3 nearly nowhere.
HOLE_THRESHOLD = (1.0, 3.0)
EDGE_LOSS, EDGE_STEP_MM = 0.5, 15.0
PATCHES = 8
# From the middle of the palm to the wrist, for layouts without a wrist.
_PALM_TO_WRIST_MM = 40.0


def randomize(
    image: tf.Tensor, joints: tf.Tensor, cube_mm: tf.Tensor, skeleton: Skeleton, strength: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Randomised crops and their joints.

    Args:
        image: [B, S, S, 1] in [-1, 1], +1 = background.
        joints: [B, J, 3] in half cubes.
        cube_mm: [B] side of the cube, mm.
        skeleton: of the joints.
        strength: of all effects; 0 changes nothing.
        seed: int32 [2].

    Returns:
        The same shapes; the joints follow the hand's shape and the centre.
    """
    if strength == 0:
        return image, joints
    seeds = tf.unstack(tf.random.split(seed, 5))
    count, half_mm = image.shape[0], tf.reshape(0.5 * cube_mm, (-1, 1, 1))
    shift = strength * CENTER_SIGMA_MM / half_mm[..., 0] * replicas.normal([count, 3], seeds[4])
    depth, joints = stretch_crops(image[..., 0], joints, draw_scales(count, strength, seeds[0]), shift)
    depth = add_forearms(depth, joints, half_mm, skeleton, strength, seeds[1])
    depth = add_noise(depth, half_mm, strength, seeds[2])
    return drop_readings(depth, half_mm, strength, seeds[3])[..., None], joints


def draw_scales(count: int, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Factors [B, 3] of a hand's size along the crop's axes."""
    size_seed, axis_seed = tf.unstack(tf.random.split(seed, 2))
    size = SIZE_SIGMA * replicas.normal([count, 1], size_seed)
    return tf.exp(strength * (size + AXIS_SIGMA * replicas.normal([count, 3], axis_seed)))


def stretch_crops(
    depth: tf.Tensor, joints: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Depth [B, S, S] and joints [B, J, 3] in half cubes, times `scale` and moved by `shift`, both [B, 3]."""
    size = depth.shape[1]
    middle = 0.5 * (size - 1)
    place = tf.range(size, dtype=tf.float32) - middle
    sources = [(place[None] - 0.5 * size * shift[:, i, None]) / scale[:, i, None] + middle for i in (1, 0)]
    rows, columns = (tf.cast(tf.round(source), tf.int32) for source in sources)
    inside = [(index >= 0) & (index < size) for index in (rows, columns)]
    rows, columns = (tf.clip_by_value(index, 0, size - 1) for index in (rows, columns))
    moved = tf.gather(tf.gather(depth, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)
    shown = inside[0][:, :, None] & inside[1][:, None, :] & (moved < 1.0)
    stretched = tf.clip_by_value(moved * scale[:, 2, None, None] + shift[:, 2, None, None], -1.0, 1.0)
    return tf.where(shown, stretched, 1.0), joints * scale[:, None, :] + shift[:, None, :]


def add_forearms(
    depth: tf.Tensor, joints: tf.Tensor, half_mm: tf.Tensor, skeleton: Skeleton, strength: float, seed: tf.Tensor
) -> tf.Tensor:
    """Depth [B, S, S] with a forearm in most of the images; the hand hides it where it is nearer."""
    share_seed, radius_seed, turn_seed = tf.unstack(tf.random.split(seed, 3))
    count = depth.shape[0]
    wrist, axis = forearm_axis(joints, half_mm[:, :, 0], skeleton)
    axis = tf.linalg.normalize(axis + FOREARM_SPREAD * replicas.normal([count, 3], turn_seed), axis=1)[0]
    radius = replicas.uniform([count], radius_seed, *FOREARM_RADIUS_MM) / half_mm[:, 0, 0]
    arm = cylinder_depth(wrist, axis, radius, depth.shape[1])
    has_one = replicas.uniform([count, 1, 1], share_seed) < FOREARM_SHARE * min(1.0, strength)
    # What is nearer than the cube is not part of the crop.
    return tf.where(has_one & (arm >= -1.0), tf.minimum(depth, arm), depth)


def forearm_axis(joints: tf.Tensor, half_mm: tf.Tensor, skeleton: Skeleton) -> tuple[tf.Tensor, tf.Tensor]:
    """Where a forearm starts and its unit direction, both [B, 3], of joints [B, J, 3] in half cubes; half_mm [B, 1]."""
    names = skeleton.joint_names
    knuckles = [i for i, name in enumerate(names) if name.endswith(("_mcp", "_root")) and "thumb" not in name]
    wrists = [i for i, name in enumerate(names) if name.startswith("wrist_")]
    start = tf.reduce_mean(tf.gather(joints, wrists or [names.index("palm")], axis=1), axis=1)
    axis = tf.linalg.normalize(start - tf.reduce_mean(tf.gather(joints, knuckles, axis=1), axis=1), axis=1)[0]
    return (start if wrists else start + axis * _PALM_TO_WRIST_MM / half_mm), axis


def cylinder_depth(start: tf.Tensor, axis: tf.Tensor, radius: tf.Tensor, size: int) -> tf.Tensor:
    """The front of endless cylinders with a round start, seen along z without perspective, in half cubes.

    Args:
        start, axis: [B, 3], the axis of unit length.
        radius: [B].
        size: S.

    Returns:
        [B, S, S], +1 where there is none or it lies beyond the cube.
    """
    place = (tf.range(size, dtype=tf.float32) - 0.5 * (size - 1)) * (2.0 / size)
    x, y = place[None, None, :] - start[:, 0, None, None], place[None, :, None] - start[:, 1, None, None]
    ax, ay, az = (axis[:, i, None, None] for i in range(3))
    radius = radius[:, None, None]
    # |q - (q a) a| = radius for q = (x, y, z): leading z^2 + 2 half z + constant = 0.
    along = x * ax + y * ay
    leading = tf.maximum(1.0 - az**2, 1e-4)
    half = -along * az
    constant = x**2 + y**2 - along**2 - radius**2
    discriminant = half**2 - leading * constant
    side = (-half - tf.sqrt(tf.maximum(discriminant, 0.0))) / leading
    cap = radius**2 - x**2 - y**2
    far = 4.0
    side = tf.where((discriminant > 0.0) & (along + side * az > 0.0), side, far)
    front = tf.minimum(side, tf.where(cap > 0.0, -tf.sqrt(tf.maximum(cap, 0.0)), far))
    return tf.minimum(front + start[:, 2, None, None], 1.0)


def add_noise(depth: tf.Tensor, half_mm: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Depth [B, S, S] in half cubes with the noise of pixels and of patches; the background stays."""
    count, size = depth.shape[0], depth.shape[1]
    seeds = tf.unstack(tf.random.split(seed, 4))
    pixel_mm, patch_mm = (
        replicas.uniform([count, 1, 1], seeds[i], 0.0, strength * largest)
        for i, largest in enumerate((PIXEL_NOISE_MM, PATCH_NOISE_MM))
    )
    noise_mm = pixel_mm * replicas.normal(depth.shape, seeds[2])
    noise_mm += patch_mm * smooth_field(count, size, seeds[3])
    return tf.where(depth < 1.0, tf.clip_by_value(depth + noise_mm / half_mm, -1.0, 1.0), depth)


def drop_readings(depth: tf.Tensor, half_mm: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Depth [B, S, S] without the readings in patches and at steps of depth, which become background."""
    count, size = depth.shape[0], depth.shape[1]
    seeds = tf.unstack(tf.random.split(seed, 4))
    low, high = HOLE_THRESHOLD
    threshold = high - strength * replicas.uniform([count, 1, 1], seeds[0], 0.0, high - low)
    holes = smooth_field(count, size, seeds[1]) > threshold
    share = strength * replicas.uniform([count, 1, 1], seeds[2], 0.0, EDGE_LOSS)
    ragged = at_steps(depth, EDGE_STEP_MM / half_mm) & (replicas.uniform(depth.shape, seeds[3]) < share)
    return tf.where(holes | ragged, 1.0, depth)


def at_steps(depth: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Which pixels [B, S, S] differ by more than `step` from one of their four neighbours."""
    padded = tf.pad(depth, [[0, 0], [1, 1], [1, 1]], mode="SYMMETRIC")
    around = [padded[:, 1:-1, :-2], padded[:, 1:-1, 2:], padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]]
    return tf.reduce_any([tf.abs(depth - other) > step for other in around], axis=0)


def smooth_field(count: int, size: int, seed: tf.Tensor) -> tf.Tensor:
    """Standard normal fields [B, S, S] that change over an eighth of the image: a few plane waves of random phase."""
    seeds = tf.unstack(tf.random.split(seed, 2))
    waves = replicas.normal([count, _WAVES, 2], seeds[0]) * (2.0 * math.pi * 0.35 * PATCHES / size)
    phase = replicas.uniform([count, _WAVES], seeds[1], 0.0, 2.0 * math.pi)
    place = tf.range(size, dtype=tf.float32)
    # cos(a + b) from its parts, so that the sum over waves is two matrix products and not a volume.
    row, column = waves[..., 0, None] * place + phase[..., None], waves[..., 1, None] * place
    real = tf.einsum("bwi,bwj->bij", tf.cos(row), tf.cos(column)) - tf.einsum(
        "bwi,bwj->bij", tf.sin(row), tf.sin(column)
    )
    return real * np.float32(math.sqrt(2.0 / _WAVES))


_WAVES = 12
