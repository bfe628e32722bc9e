"""Loss of the hand finder's network that looks at whole frames, and the figures beside it."""

from __future__ import annotations

import tensorflow as tf

from lsps_tf.hand_finding import networks
from lsps_tf.hand_finding.constants import CELL_PX, FRAME_HEIGHT, FRAME_WIDTH, OFFSET_MM
from training.hand_finding.view_changes import augmented
from training.hand_finding.views import Views

# A hand is asked for where so many pixels and such a share of it are seen, and its middle lies in the view. Of others
# nothing is asked.
FEWEST_PIXELS, LEAST_SHARE = 12.0, 0.3
# The hill of the target around a middle: its standard deviation on the hand, and its least one in cells.
_HILL_MM, _HILL_CELLS = 18.0, 0.7
# Offsets and sides are asked for where the hill is at least so high.
_NEAR = 0.3
_FOCUS, _SLOPE = 2.0, 4.0

Losses = dict[str, tf.Tensor]


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
    error_mm = distance(anchors_mm + OFFSET_MM * output[..., 2:], middle_mm, weight > 0.0)
    side = tf.nn.sigmoid_cross_entropy_with_logits(right, output[..., 1])
    middle_loss = mean(tf.minimum(error_mm, 300.0), weight) / OFFSET_MM
    return {
        "loss": heat + middle_loss + 0.3 * mean(side, weight),
        "heat": heat,
        "middle_mm": mean(error_mm, weight),
        "side": mean(tf.cast((output[..., 1] > 0.0) == (right > 0.5), tf.float32), weight),
    }


def _hills(frames: Views, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
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


def distance(found_mm: tf.Tensor, true_mm: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """Distances; near 0 where they are not chosen, as the truth may be far away there."""
    difference = tf.where(chosen[..., None], found_mm - tf.where(chosen[..., None], true_mm, 0.0), 0.0)
    return tf.sqrt(tf.reduce_sum(difference**2, axis=-1) + 1e-6)


def mean(value: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(value * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)
