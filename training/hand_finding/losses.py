"""Losses of the hand finder's networks on views, and the figures beside them."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from lsps_tf import appearance, crop
from lsps_tf.hand_finding import networks, search
from lsps_tf.hand_finding.constants import CELL_PX, CROP_SIZE, CUBE_MM, FRAME_HEIGHT, FRAME_WIDTH, NEAREST_MM, OFFSET_MM
from training.hand_finding.views import CROP_MM, Views

# A hand is asked for where so many pixels and such a share of it are seen, and its middle lies in the view. Of others
# nothing is asked.
FEWEST_PIXELS, LEAST_SHARE = 12.0, 0.3
# The hill of the target around a middle: its standard deviation on the hand, and its least one in cells.
_HILL_MM, _HILL_CELLS = 18.0, 0.7
# Offsets and sides are asked for where the hill is at least so high.
_NEAR = 0.3
_JITTER_MM = 16.0
# Within this distance of a hand's middle a crop shows the hand; nothing is asked of what is up to the second.
_HAND_MM, _NO_HAND_MM = 50.0, 90.0
_FOCUS, _SLOPE = 2.0, 4.0
# Views of a batch in which the frame's network looks for hands, and the places that it names in each.
PROPOSED_VIEWS, PLACES = 48, 4

Losses = dict[str, tf.Tensor]


class Frames(NamedTuple):
    """B thinned frames: depth_mm [B, H, W], intrinsics [B, 4], and middle_mm, right, pixels, share as of `Views`."""

    depth_mm: tf.Tensor
    intrinsics: tf.Tensor
    middle_mm: tf.Tensor
    right: tf.Tensor
    pixels: tf.Tensor
    share: tf.Tensor


def frame_losses(views: Views, seed: tf.Tensor, weights: dict) -> Losses:
    """Loss of the network that looks at frames."""
    frames = augmented(views, seed)
    output, reference_mm = networks.look_at_frame(weights, frames.depth_mm, frames.intrinsics[:, 0])
    anchors_mm = networks.anchors(reference_mm, frames.intrinsics)
    asked, unclear, hills = _hills(frames, output.shape[1], output.shape[2])
    measured = reference_mm > 0.0
    target = tf.reduce_max(tf.where(asked[:, None, None], hills, 0.0), axis=-1)
    heat = _heat_loss(
        output[..., 0], target, measured & ~tf.reduce_any(unclear[:, None, None] & (hills > 0.05), axis=-1)
    )
    nearest = tf.argmax(tf.where(asked[:, None, None], hills, -1.0), axis=-1)
    middle_mm = tf.gather(frames.middle_mm, tf.reshape(nearest, [tf.shape(nearest)[0], -1]), batch_dims=1)
    middle_mm = tf.reshape(middle_mm, tf.shape(anchors_mm))
    right = tf.gather(frames.right, tf.reshape(nearest, [tf.shape(nearest)[0], -1]), batch_dims=1)
    right = tf.cast(tf.reshape(right, tf.shape(nearest)), tf.float32)
    weight = tf.where(measured & (target > _NEAR), target, 0.0)
    error_mm = _distance(anchors_mm + OFFSET_MM * output[..., 2:], middle_mm, weight > 0.0)
    side = tf.nn.sigmoid_cross_entropy_with_logits(right, output[..., 1])
    middle_loss = _mean(tf.minimum(error_mm, 300.0), weight) / OFFSET_MM
    return {
        "loss": heat + middle_loss + 0.3 * _mean(side, weight),
        "heat": heat,
        "middle_mm": _mean(error_mm, weight),
        "side": _mean(tf.cast((output[..., 1] > 0.0) == (right > 0.5), tf.float32), weight),
    }


def crop_losses(views: Views, seed: tf.Tensor, weights: dict, frame_weights: dict) -> Losses:
    """Loss of the network that looks at crops: at the views' own, and at what the other network takes for hands."""
    seeds = tf.unstack(tf.random.split(seed, 3))
    parts = _own_crops(views, seeds[0]), _proposed_crops(views, seeds[1], frame_weights)
    images, center_mm, middle_mm, right, seen = (tf.concat(values, axis=0) for values in zip(*parts))
    images = appearance.change_readings(images[..., 0], tf.constant(0.5 * CUBE_MM), 1.0, seeds[2])[..., None]
    output = networks.look_at_crop(weights, images)
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
    error_mm = _distance(center_mm + OFFSET_MM * output[:, 2:], middle_mm, near > 0.0)
    own = tf.range(tf.shape(close)[0]) < tf.shape(parts[0][0])[0]
    correct = tf.cast((output[:, 0] > 0.0) == close, tf.float32)
    return {
        "loss": _mean(presence, asked) + _mean(error_mm, near) / OFFSET_MM + _mean(side, whole),
        "hand": _mean(correct, tf.where(own, asked, 0.0)),
        "proposed": _mean(correct, tf.where(own, 0.0, asked)),
        "middle_mm": _mean(error_mm, near),
        "side": _mean(tf.cast((output[:, 1] > 0.0) == right, tf.float32), whole),
    }


def _own_crops(views: Views, seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Images, centres, and of both hands of each scene the middles, which are right ones and which are seen."""
    count = views.crop_mm.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 3))
    mirrored = tf.random.stateless_uniform([count], seeds[0]) < 0.5
    crops = views.crop_mm, views.crop_center_mm, views.middle_mm, views.right
    depth_mm, center_mm, middle_mm, right = mirror_views(*crops, mirrored)
    quarters = tf.random.stateless_uniform([], seeds[1], 0, 4, tf.int32)
    depth_mm, center_mm, middle_mm = turn_views(depth_mm, center_mm, middle_mm, quarters)
    intrinsics = crop.crop_intrinsics(center_mm, CROP_MM, depth_mm.shape[1])
    center_mm += _JITTER_MM * tf.random.stateless_normal([count, 3], seeds[2])
    # A hand that the view does not show at all may still be in the crop.
    seen = (views.share > LEAST_SHARE) | (views.share == 0.0)
    return _images(depth_mm, intrinsics, center_mm), center_mm, middle_mm, right, seen


def _proposed_crops(views: Views, seed: tf.Tensor, frame_weights: dict) -> tuple[tf.Tensor, ...]:
    """The same of the views' places that look most like hands to the other network: mostly what is none."""
    count = min(views.depth_mm.shape[0], PROPOSED_VIEWS)
    seeds = tf.unstack(tf.random.split(seed, 2))
    frames = augmented(Views(*(part[:count] for part in views)), seeds[0])
    said = networks.look_at_frame(frame_weights, frames.depth_mm, frames.intrinsics[:, 0])
    places_mm, _ = search.places_in(said, frames.intrinsics, PLACES)
    depth_mm, intrinsics, *labels = (
        tf.repeat(part, PLACES, axis=0)
        for part in (frames.depth_mm, frames.intrinsics, frames.middle_mm, frames.right, frames.share)
    )
    center_mm = tf.reshape(places_mm, [-1, 3])
    center_mm += 0.5 * _JITTER_MM * tf.random.stateless_normal(tf.shape(center_mm), seeds[1])
    center_mm = tf.concat([center_mm[:, :2], tf.maximum(center_mm[:, 2:], NEAREST_MM)], axis=1)
    middle_mm, right, share = labels
    return _images(depth_mm, intrinsics, center_mm), center_mm, middle_mm, right, share > LEAST_SHARE


def _images(depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor) -> tf.Tensor:
    cropped_mm = crop.crop_frame(depth_mm, intrinsics, center_mm, CUBE_MM, CROP_SIZE)
    return crop.normalize_depth(cropped_mm, center_mm, CUBE_MM)


def augmented(views: Views, seed: tf.Tensor) -> Frames:
    """Views as thinned frames: half of them mirrored, all turned by quarters, cut to its height, some with holes."""
    count, size = views.depth_mm.shape[0], views.depth_mm.shape[1]
    seeds = tf.unstack(tf.random.split(seed, 5))
    mirrored = tf.random.stateless_uniform([count], seeds[0]) < 0.5
    # In pixels about the view's middle the intrinsics mirror and turn as points do.
    half = 0.5 * (size - 1)
    offset = tf.concat([views.intrinsics[:, 2:] - half, tf.zeros([count, 1])], axis=1)
    depth_mm, offset, middle_mm, right = mirror_views(views.depth_mm, offset, views.middle_mm, views.right, mirrored)
    quarters = tf.random.stateless_uniform([], seeds[1], 0, 4, tf.int32)
    depth_mm, offset, middle_mm = turn_views(depth_mm, offset, middle_mm, quarters)
    first = tf.random.stateless_uniform([], seeds[2], 0, size - FRAME_HEIGHT + 1, tf.int32)
    depth_mm = _with_holes(depth_mm[:, first : first + FRAME_HEIGHT], seeds[3])
    depth_mm = _with_borders(tf.ensure_shape(depth_mm, [count, FRAME_HEIGHT, FRAME_WIDTH]), seeds[4])
    middle = offset[:, :2] + half - tf.stack([0.0, tf.cast(first, tf.float32)])
    intrinsics = tf.concat([views.intrinsics[:, :2], middle], axis=1)
    return Frames(depth_mm, intrinsics, middle_mm, right, views.pixels, views.share)


def mirror_views(depth_mm, center_mm, middle_mm, right, chosen: tf.Tensor) -> tuple:
    """Those of the views that the mask [B] chooses seen in a mirror: x to -x, right to left."""
    sign = tf.where(chosen[:, None], tf.constant([-1.0, 1.0, 1.0]), tf.ones([3]))
    depth_mm = tf.where(chosen[:, None, None], depth_mm[:, :, ::-1], depth_mm)
    return depth_mm, center_mm * sign, middle_mm * sign[:, None], right ^ chosen[:, None]


def turn_views(depth_mm, center_mm, middle_mm, quarters: tf.Tensor) -> tuple:
    """Views as a camera sees them that is turned about its axis, by so many quarters, from x towards y."""

    def turned(point: tf.Tensor) -> tf.Tensor:
        x, y, z = tf.unstack(point, axis=-1)
        places = [(x, y), (-y, x), (-x, -y), (y, -x)]
        x, y = (tf.gather(tf.stack(values), quarters) for values in zip(*places))
        return tf.stack([x, y, z], axis=-1)

    # rot90 turns counterclockwise, from y towards x.
    return tf.image.rot90(depth_mm[..., None], 4 - quarters)[..., 0], turned(center_mm), turned(middle_mm)


def _with_holes(depth_mm: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """One view in four with blobs of no reading, as on dark or shining surfaces."""
    count, height, width = depth_mm.shape[0], FRAME_HEIGHT, FRAME_WIDTH
    seeds = tf.unstack(tf.random.split(seed, 2))
    field = tf.random.stateless_normal([count, height // 8, width // 8, 1], seeds[0])
    field = tf.image.resize(field, [height, width], "bicubic")[..., 0]
    holes, most = tf.unstack(tf.random.stateless_uniform([2, count], seeds[1]))
    level = tf.where(holes < 0.25, 2.6 - 1.6 * most, 10.0)
    return tf.where(field > level[:, None, None], 0.0, depth_mm)


def _with_borders(depth_mm: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Half of the views end before the frame does, to the right and below, as frames of other shapes do."""
    count = depth_mm.shape[0]
    ends, width, height = tf.unstack(tf.random.stateless_uniform([3, count], seed))
    last = tf.where(ends < 0.5, 1.0, 0.0)
    columns = FRAME_WIDTH * (1.0 - tf.where(ends < 0.15, 0.3 * width, 0.0))
    rows = FRAME_HEIGHT * (1.0 - last * 0.3 * height**2)
    seen = tf.range(FRAME_WIDTH, dtype=tf.float32) < columns[:, None, None]
    return tf.where(seen & (tf.range(FRAME_HEIGHT, dtype=tf.float32)[:, None] < rows[:, None, None]), depth_mm, 0.0)


def _hills(frames: Frames, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Hands that are asked for and those of which nothing is, [B, 2]; and their hills [B, height, width, 2]."""
    fx, fy, cx, cy = (value[:, None] for value in tf.unstack(frames.intrinsics, axis=-1))
    x, y, z = tf.unstack(frames.middle_mm, axis=-1)
    u, v = fx * x / z + cx, fy * y / z + cy
    depth_mm = frames.depth_mm
    column, row = (
        tf.cast(tf.clip_by_value(p, 0.0, e - 1.0), tf.int32) for p, e in ((u, FRAME_WIDTH), (v, FRAME_HEIGHT))
    )
    # What is beyond the frame's ends has no readings, up to its border.
    seen_columns, seen_rows = (tf.reduce_any(depth_mm > 0.0, axis=axis) for axis in (1, 2))
    in_view = (u > 0.0) & (u < FRAME_WIDTH - 1.0) & (v > 0.0) & (v < FRAME_HEIGHT - 1.0)
    in_view &= tf.gather(seen_columns, column, batch_dims=1) & tf.gather(seen_rows, row, batch_dims=1)
    clear = (frames.pixels >= FEWEST_PIXELS) & (frames.share >= LEAST_SHARE)
    asked = clear & in_view
    unclear = (frames.pixels > 0.0) & ~asked
    cell = ((u - 0.5 * (CELL_PX - 1)) / CELL_PX)[:, None, None], ((v - 0.5 * (CELL_PX - 1)) / CELL_PX)[:, None, None]
    columns, rows = tf.range(width, dtype=tf.float32)[:, None], tf.range(height, dtype=tf.float32)[:, None, None]
    # The cell nearest to the middle is at the top.
    square = (columns - tf.round(cell[0])) ** 2 + (rows - tf.round(cell[1])) ** 2
    deviation = tf.maximum(_HILL_MM * fx / z / CELL_PX, _HILL_CELLS)[:, None, None]
    # Where nothing is asked the hill is a hand wide.
    deviation *= tf.where(unclear, 3.0, 1.0)[:, None, None]
    return asked, unclear, tf.exp(-0.5 * square / deviation**2)


def _heat_loss(logit: tf.Tensor, target: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    """CenterNet's focal loss per hand: cells on the slopes of a hill count less the higher they are."""
    top = target > 0.999
    yes, no = tf.nn.softplus(-logit), tf.nn.softplus(logit)
    probability = tf.sigmoid(logit)
    loss = tf.where(top, (1.0 - probability) ** _FOCUS * yes, (1.0 - target) ** _SLOPE * probability**_FOCUS * no)
    hands = tf.reduce_sum(tf.cast(top & counted, tf.float32))
    return tf.reduce_sum(tf.where(counted, loss, 0.0)) / tf.maximum(hands, 4.0)


def _mean(value: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(value * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)


def _distance(found_mm: tf.Tensor, true_mm: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """Distances; near 0 where they are not chosen, as the truth may be far away there."""
    difference = tf.where(chosen[..., None], found_mm - tf.where(chosen[..., None], true_mm, 0.0), 0.0)
    return tf.sqrt(tf.reduce_sum(difference**2, axis=-1) + 1e-6)
