"""Finding hands in depth frames: one network looks at the whole frame, thinned, another at each place that it names.

Graph-compatible TensorFlow: it runs in the predictor, inside exported models and where one's own recordings are
cropped.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from lsps_tf import crop
from lsps_tf.hand_finding import networks
from lsps_tf.hand_finding.constants import (
    BESIDE_MM,
    CELL_PX,
    CROP_LOGIT,
    CROP_SIZE,
    CUBE_MM,
    FRAME_HEIGHT,
    FRAME_LOGIT,
    FRAME_SHARE,
    FRAME_WIDTH,
    LEAST_SCORE,
    LOOKS,
    MIRRORED,
    MORE_PLACES,
    NEAREST_MM,
    OFFSET_MM,
    SAME_HAND_MM,
    SCORE_MARGIN,
    WHOLE_MM,
)

_NOWHERE_MM = (0.0, 0.0, 1000.0)
# Farther than any hand.
_AFTER_ALL_MM = 1e5


class FoundHands(NamedTuple):
    """N hands in each of B frames; fewer where fewer are seen.

    The nearest comes first, but those that the frame's border cuts come last.

    Attributes:
        center_mm: [B, N, 3] camera space, the means of the hands' joints; finite, but without meaning, where there is
            no hand.
        presence: [B, N], bool, whether there is a hand.
        right: [B, N], a logit, above 0 where it looks like a right hand.
    """

    center_mm: tf.Tensor
    presence: tf.Tensor
    right: tf.Tensor


def find_hands(depth_mm: tf.Tensor, intrinsics: tf.Tensor, count: int) -> FoundHands:
    """Finds the `count` hands that are nearest to the camera, in each frame by itself; whole ones first.

    Args:
        depth_mm: [B, H, W] frames, 0 = no reading.
        intrinsics: [B, 4] fx, fy, cx, cy in pixels.
        count: how many hands at most.
    """
    return choose_hands(judge_places(depth_mm, intrinsics, count + MORE_PLACES), count)


class JudgedPlaces(NamedTuple):
    """K places in each of B frames that the first network names, and what the second says of them.

    Attributes:
        likely: [B, K], the first one's logit; -1000 where a frame has fewer places.
        center_mm: [B, K, 3] camera space.
        hand: [B, K], a logit, high where a hand is there.
        right: [B, K], a logit, above 0 where it looks like a right hand.
        whole: [B, K], bool, whether the frame shows what is within WHOLE_MM.
    """

    likely: tf.Tensor
    center_mm: tf.Tensor
    hand: tf.Tensor
    right: tf.Tensor
    whole: tf.Tensor


class Thresholds(NamedTuple):
    """When a place is a hand; the meaning and the values of `constants`."""

    frame_logit: float = FRAME_LOGIT
    frame_share: float = FRAME_SHARE
    least_score: float = LEAST_SCORE
    score_margin: float = SCORE_MARGIN


THRESHOLDS = Thresholds()


def judge_places(
    depth_mm: tf.Tensor, intrinsics: tf.Tensor, count: int, frame_logit: float = FRAME_LOGIT
) -> JudgedPlaces:
    """Looks at the `count` likeliest places of each frame, as far as their logits are above `frame_logit`."""
    places_mm, likely = _places(depth_mm, intrinsics, count)
    center_mm, hand, right = _judge_chosen(depth_mm, intrinsics, places_mm, likely > frame_logit)
    height, width = tf.shape(depth_mm)[1], tf.shape(depth_mm)[2]
    whole = _is_whole(center_mm, intrinsics, tf.cast(tf.stack([width, height]), tf.float32))
    return JudgedPlaces(likely, center_mm, hand, right, whole)


def choose_hands(places: JudgedPlaces, count: int, thresholds: Thresholds = THRESHOLDS) -> FoundHands:
    """The `count` nearest of the places that are hands. Those that are not whole are taken where no others are left."""
    score = places.hand + thresholds.frame_share * places.likely
    clear = (places.likely > thresholds.frame_logit) & (score > thresholds.least_score)
    if count == 1:
        # What looks far less like a hand than another is an arm, or what lies about. It may also be the second hand.
        best = tf.reduce_max(tf.where(clear, score, -1e3), axis=1, keepdims=True)
        clear &= score > best - thresholds.score_margin
        clear &= ~_better_beside(places.center_mm, tf.where(clear, score, -1e3))
    presence = _without_doubles(places.center_mm, clear)
    z = places.center_mm[..., 2] + tf.where(places.whole, 0.0, _AFTER_ALL_MM)
    order = tf.argsort(tf.where(presence, z, float("inf")), axis=1, stable=True)[:, :count]
    parts = places.center_mm, presence, places.right
    found = FoundHands(*(tf.gather(part, order, batch_dims=1) for part in parts))
    return found._replace(center_mm=tf.where(found.presence[..., None], found.center_mm, _NOWHERE_MM))


def find_hand(depth_mm: tf.Tensor, intrinsics: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Finds the hand that is nearest to the camera, in each frame by itself; arguments as of `find_hands`.

    Returns:
        center_mm [B, 3], camera space; presence [B], bool: whether there is a hand. Where it is False the centre has no
        meaning.
    """
    found = find_hands(depth_mm, intrinsics, 1)
    return found.center_mm[:, 0], found.presence[:, 0]


def track_hand(
    depth_mm: tf.Tensor, intrinsics: tf.Tensor, previous_mm: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Finds the hand of a sequence's next frame from where it was: cheaper than `find_hand`, and the same hand.

    Args:
        depth_mm: [B, H, W], a frame of each of B sequences.
        intrinsics: [B, 4].
        previous_mm: [B, 3] the hand's centre in the frame before; NaN where it is not known.

    Returns:
        center_mm [B, 3] and presence [B] as of `find_hand`, which all frames fall back on where one hand is lost; and
        tracked [B], bool: whether the centre came from the previous one.
    """
    known = tf.reduce_all(tf.math.is_finite(previous_mm), axis=1)
    start_mm = tf.where(known[:, None], previous_mm, _NOWHERE_MM)
    tracked_mm, hand, _ = judge_hand(depth_mm, intrinsics, start_mm)
    tracked = known & (hand > CROP_LOGIT)
    center_mm, present = tf.cond(
        tf.reduce_all(tracked),
        lambda: (tracked_mm, tracked),
        lambda: find_hand(depth_mm, intrinsics),
    )
    return tf.where(tracked[:, None], tracked_mm, center_mm), present | tracked, tracked


def judge_hand(
    depth_mm: tf.Tensor, intrinsics: tf.Tensor, place_mm: tf.Tensor, frame: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Looks at what is around a place, and once more from where its middle is seen.

    Each look is the mean of what is said of the crop and of its mirror image, in which a right hand is a left one: the
    network errs differently on the two.

    Args:
        depth_mm: [B, H, W] frames.
        intrinsics: [B, 4].
        place_mm: [N, 3] camera space, z > 0.
        frame: int32 [N], which of the frames each place is in; None for one place in each.

    Returns:
        center_mm [N, 3], the mean of the hand's joints, without meaning where there is none; hand [N], a logit, high
        where a hand is there; and right [N], a logit, above 0 where it looks like a right one.
    """
    for _ in range(LOOKS):
        cropped_mm = crop.crop_frame(depth_mm, intrinsics, place_mm, CUBE_MM, CROP_SIZE, frame)
        images = crop.normalize_depth(cropped_mm, place_mm, CUBE_MM)
        images = tf.concat([images, tf.reverse(images, [2])], axis=0)
        seen, mirrored = tf.split(networks.shipped().look_at_crop(images), 2)
        said = 0.5 * (seen + MIRRORED * mirrored)
        moved_mm = place_mm + OFFSET_MM * said[:, 2:]
        place_mm = tf.concat([moved_mm[:, :2], tf.maximum(moved_mm[:, 2:], NEAREST_MM)], axis=1)
    return place_mm, said[:, 0], said[:, 1]


def _judge_chosen(
    depth_mm: tf.Tensor, intrinsics: tf.Tensor, places_mm: tf.Tensor, chosen: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """`judge_hand` of those of the places [B, K, 3] that the mask [B, K] names, all at once; 0 of the others."""
    # One is always looked at: not every kernel takes a batch of none.
    first = tf.one_hot(0, tf.size(chosen), True, False)
    where = tf.cast(tf.where(chosen | tf.reshape(first, tf.shape(chosen))), tf.int32)
    judged = judge_hand(depth_mm, intrinsics, tf.gather_nd(places_mm, where), where[:, 0])
    center_mm, hand, right = (
        tf.scatter_nd(where, part, tf.concat([tf.shape(chosen), tf.shape(part)[1:]], axis=0)) for part in judged
    )
    return tf.ensure_shape(center_mm, places_mm.shape), *(tf.ensure_shape(part, chosen.shape) for part in (hand, right))


def _is_whole(center_mm: tf.Tensor, intrinsics: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Whether each place [B, K, 3] is WHOLE_MM or more from the border of frames of a size [2], width and height."""
    focal_px, middle = tf.split(intrinsics[:, None], 2, axis=-1)
    scale = focal_px / tf.maximum(center_mm[..., 2:], NEAREST_MM)
    pixel, reach_px = center_mm[..., :2] * scale + middle, WHOLE_MM * scale
    return tf.reduce_all((pixel >= reach_px) & (pixel <= size - 1.0 - reach_px), axis=-1)


def thinned(depth_mm: tf.Tensor, intrinsics: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Frames that are not higher than wide, as the network sees them: every n-th pixel, in the middle of nothing.

    Args:
        depth_mm: [B, H, W] frames.
        intrinsics: [B, 4].

    Returns:
        depth_mm [B, FRAME_HEIGHT, FRAME_WIDTH], 0 to the right of a frame and below it, and the intrinsics that go with
        it. n is no whole number for most sizes; frames that fit stay as they are.
    """
    height, width = tf.shape(depth_mm)[1], tf.shape(depth_mm)[2]
    # n = pixels / places, in whole numbers, so that it is the same everywhere.
    by_width = width * FRAME_HEIGHT >= height * FRAME_WIDTH
    pixels, places = tf.where(by_width, width, height), tf.where(by_width, FRAME_WIDTH, FRAME_HEIGHT)
    places = tf.minimum(places, pixels)
    rows, columns = (tf.range(side) * pixels // places for side in (FRAME_HEIGHT, FRAME_WIDTH))
    seen = (rows < height)[:, None] & (columns < width)
    taken = tf.gather(depth_mm, tf.minimum(rows, height - 1), axis=1)
    taken = tf.gather(taken, tf.minimum(columns, width - 1), axis=2)
    return tf.where(seen, taken, 0.0), intrinsics * (tf.cast(places, tf.float32) / tf.cast(pixels, tf.float32))


def places_in(said: tuple[tf.Tensor, tf.Tensor], intrinsics: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The `count` places [B, count, 3] in camera space that look most like hands in thinned frames, and their logits.

    `said` is what `networks.look_at_frame` says of them, and `intrinsics` [B, 4] are theirs. Places with the logit
    -1000 are none.
    """
    output, reference_mm = said
    logit = tf.where(reference_mm > 0.0, output[..., 0], -1e3)
    peak = logit >= tf.nn.max_pool2d(logit[..., None], 3, 1, "SAME")[..., 0]
    cells = (FRAME_HEIGHT // CELL_PX) * (FRAME_WIDTH // CELL_PX)
    best, index = tf.math.top_k(tf.reshape(tf.where(peak, logit, -1e3), [-1, cells]), count)
    points_mm = networks.anchors(reference_mm, intrinsics) + OFFSET_MM * output[..., 2:]
    return tf.gather(tf.reshape(points_mm, [-1, cells, 3]), index, batch_dims=1), best


def _places(depth_mm: tf.Tensor, intrinsics: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The `count` places [B, count, 3] in camera space that look most like hands, and their logits [B, count]."""
    upright = tf.shape(depth_mm)[1] > tf.shape(depth_mm)[2]
    lying_mm, lying = tf.cond(upright, lambda: _turned(depth_mm, intrinsics), lambda: (depth_mm, intrinsics))
    frame_mm, lying = thinned(lying_mm, lying)
    places_mm, logit = places_in(networks.shipped().look_at_frame(frame_mm, lying[:, 0]), lying, count)
    x, y, z = tf.unstack(places_mm, axis=-1)
    x, y = tf.cond(upright, lambda: (y, -x), lambda: (x, y))
    return tf.stack([x, y, tf.maximum(z, NEAREST_MM)], axis=-1), logit


def _turned(depth_mm: tf.Tensor, intrinsics: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Frames turned clockwise by a quarter, so that (x, y, z) are (-y, x, z), and their intrinsics."""
    fx, fy, cx, cy = tf.unstack(intrinsics, axis=-1)
    last = tf.cast(tf.shape(depth_mm)[1] - 1, tf.float32)
    return tf.reverse(tf.transpose(depth_mm, [0, 2, 1]), [2]), tf.stack([fy, fx, last - cy, cx], axis=-1)


def _better_beside(center_mm: tf.Tensor, score: tf.Tensor) -> tf.Tensor:
    """Which places [B, K, 3] have one of a higher score [B, K] within BESIDE_MM: wrists, arms, what is held."""
    away_mm = tf.norm(center_mm[:, :, None] - center_mm[:, None], axis=-1)
    return tf.reduce_any((away_mm < BESIDE_MM) & (score[:, None] > score[:, :, None]), axis=2)


def _without_doubles(center_mm: tf.Tensor, presence: tf.Tensor) -> tf.Tensor:
    """Presence [B, K] of hands at centres [B, K, 3], without those at which another, named before, is already."""
    kept = [presence[:, 0]]
    for number in range(1, center_mm.shape[1]):
        away_mm = tf.norm(center_mm[:, :number] - center_mm[:, number : number + 1], axis=-1)
        double = tf.reduce_any(tf.stack(kept, axis=1) & (away_mm < SAME_HAND_MM), axis=1)
        kept.append(presence[:, number] & ~double)
    return tf.stack(kept, axis=1)
