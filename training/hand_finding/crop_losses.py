"""Loss of the hand finder's network that looks at crops, and the figures beside it."""

from __future__ import annotations

import tensorflow as tf

from lsps_tf import appearance, crop
from lsps_tf.hand_finding.constants import CROP_SIZE, CUBE_MM, OFFSET_MM
from lsps_tf.hand_finding.crop_network import look_at_crop
from training.hand_finding.frame_losses import LEAST_SHARE, Losses, distance, mean
from training.hand_finding.places import CROP_MM, Places
from training.hand_finding.view_changes import mirror_views, turn_views

# Of the crops' centres at each step; of those that are proposed half of it.
_JITTER_MM = 12.0
# Within this distance of a hand's middle a crop shows the hand; nothing is asked of what is up to the second.
_HAND_MM, _NO_HAND_MM = 50.0, 90.0


def crop_losses(places: Places, seed: tf.Tensor, weights: dict) -> Losses:
    """Loss of the network that looks at crops: at the places' own ones, and at what is proposed."""
    images, center_mm, middle_mm, right, seen, own = _draw_crops(places, seed)
    output = look_at_crop(weights, images)
    distance_mm = tf.norm(middle_mm - center_mm[:, None], axis=-1)
    closest = tf.argmin(distance_mm, axis=1)
    distance_mm, middle_mm, right, seen = (
        tf.gather(part, closest, batch_dims=1) for part in (distance_mm, middle_mm, right, seen)
    )
    close = distance_mm < _HAND_MM
    asked = tf.cast((close & seen) | (distance_mm > _NO_HAND_MM), tf.float32)
    near = tf.cast((distance_mm < _NO_HAND_MM) & seen, tf.float32)
    # A crop beside the hand does not show enough of it to tell its side.
    whole = tf.cast(close & seen, tf.float32)
    presence = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(close, tf.float32), output[:, 0])
    side = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(right, tf.float32), output[:, 1])
    error_mm = distance(center_mm + OFFSET_MM * output[:, 2:], middle_mm, near > 0.0)
    correct = tf.cast((output[:, 0] > 0.0) == close, tf.float32)
    return {
        "loss": mean(presence, asked) + mean(error_mm, near) / OFFSET_MM + mean(side, whole),
        "hand": mean(correct, tf.where(own, asked, 0.0)),
        "proposed": mean(correct, tf.where(own, 0.0, asked)),
        "middle_mm": mean(error_mm, near),
        "side": mean(tf.cast((output[:, 1] > 0.0) == right, tf.float32), whole),
    }


def _draw_crops(places: Places, seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Images [N, S, S, 1] and their centres; both hands' middles, which are right and seen ones; and own crops [N]."""
    seeds = tf.unstack(tf.random.split(seed, 4))
    scenes, crops = places.crop_mm.shape[:2]
    own = tf.range(scenes * crops) % crops == 0
    depth_mm, center_mm = (tf.reshape(part, [-1, *part.shape[2:]]) for part in (places.crop_mm, places.crop_center_mm))
    middle_mm, right, share, in_view = (tf.repeat(part, crops, axis=0) for part in places[2:])
    mirrored = tf.random.stateless_uniform([scenes * crops], seeds[0]) < 0.5
    depth_mm, center_mm, middle_mm, right = mirror_views(depth_mm, center_mm, middle_mm, right, mirrored)
    quarters = tf.random.stateless_uniform([], seeds[1], 0, 4, tf.int32)
    depth_mm, center_mm, middle_mm = turn_views(depth_mm, center_mm, middle_mm, quarters)
    intrinsics = crop.crop_intrinsics(center_mm, tf.fill([scenes * crops], CROP_MM), depth_mm.shape[1])
    jitter_mm = tf.where(own, _JITTER_MM, 0.5 * _JITTER_MM)[:, None]
    center_mm += jitter_mm * tf.random.stateless_normal([scenes * crops, 3], seeds[2])
    cropped_mm = crop.crop_frame(depth_mm, intrinsics, center_mm, CUBE_MM, CROP_SIZE)
    images = crop.normalize_depth(cropped_mm, center_mm, CUBE_MM)[..., 0]
    images = appearance.change_readings(images, tf.constant(0.5 * CUBE_MM), 1.0, seeds[3])[..., None]
    seen = tf.where(own[:, None], _is_seen(share), (share > LEAST_SHARE) & in_view)
    return images, center_mm, middle_mm, right, seen, own


def _is_seen(share: tf.Tensor) -> tf.Tensor:
    """Whether hands may be asked for in a crop about them. The crop may show one that the view does not show at all."""
    return (share > LEAST_SHARE) | (share == 0.0)
