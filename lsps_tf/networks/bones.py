"""Maps of a skeleton's bones: where each lies in the image and how far away it is, differentiable in the joints."""

from __future__ import annotations

import tensorflow as tf

# How far a bone spreads in half cubes: about a finger's radius in a cube of 250 mm.
SIGMA = 0.08
# Bones shorter than this are drawn as points.
_SHORTEST = 1e-4
# Keeps what lies before the cube from passing the camera.
_NEAREST = 0.2


def draw_bones(
    joints: tf.Tensor, bones: tuple[tuple[int, int], ...], size: int, perspective: tf.Tensor | float
) -> tf.Tensor:
    """Two maps of each bone: exp(-d² / (2 SIGMA²)), and that times the bone's depth.

    d is the distance in the image, in half cubes, of a pixel from the bone's segment. The depth is that of the
    segment's nearest point, in half cubes.

    A crop is a view through a pinhole, `crop.crop_intrinsics`. A point of a crop that lies on the camera's axis shows
    at (x, y) / (1 + perspective z), where perspective is half a cube over the distance of the crop's centre. With 0 the
    view has no perspective.

    Args:
        joints: [B, J, 3] in half cubes from the crop's centre.
        bones: K pairs of joints.
        size: pixels of the maps' side, which shows two half cubes.
        perspective: scalar.

    Returns:
        [B, size, size, 2 K], the K spreads first.
    """
    joints.shape[1:].assert_is_compatible_with((None, 3))
    place = tf.maximum(1.0 + perspective * joints[..., 2:], _NEAREST)
    seen = tf.concat([joints[..., :2] / place, joints[..., 2:]], axis=-1)
    start, end = (tf.gather(seen, [bone[i] for bone in bones], axis=1) for i in (0, 1))
    # [B, 1, 1, K] each.
    x, y, z = (value[:, None, None, :] for value in tf.unstack(start, axis=-1))
    along_x, along_y, along_z = (value[:, None, None, :] for value in tf.unstack(end - start, axis=-1))
    pixel = (2.0 * tf.range(size, dtype=tf.float32) + 1.0) / size - 1.0
    from_x, from_y = pixel[None, None, :, None] - x, pixel[None, :, None, None] - y
    length = along_x**2 + along_y**2
    share = tf.clip_by_value((from_x * along_x + from_y * along_y) / tf.maximum(length, _SHORTEST**2), 0.0, 1.0)
    squared = (from_x - share * along_x) ** 2 + (from_y - share * along_y) ** 2
    spread = tf.exp(squared * (-0.5 / SIGMA**2))
    return tf.concat([spread, spread * (z + share * along_z)], axis=-1)
