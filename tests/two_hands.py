"""A frame of two simulated hands, a right one and behind it a left one, and finders that know where they are."""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.camera import Camera
from lsps_tf.device.search import FoundHand
from lsps_tf.hand_finding.search import FoundHands
from lsps_tf.simulation import kinematics, pose_prior, renderer, shape, surface, view_prior

SIZE, EXTENT_MM, DISTANCE_MM = 256, 560.0, 600.0
PLACES_MM = ((-120.0, 10.0, 600.0), (110.0, -15.0, 660.0))
LOGITS = (2.5, -3.0)
# Those of hands whose predictions of both sides explain the same.
RIGHT_LOGITS = (2.85, -3.42)


class TwoHands(NamedTuple):
    """depth_mm [H, W], the camera, and centers_mm [2, 3], which are the means of the hands' joints."""

    depth_mm: np.ndarray
    camera: Camera
    centers_mm: np.ndarray


@functools.lru_cache(maxsize=1)
def two_hands() -> TwoHands:
    """The right hand is the nearer one, the left one the same in a mirror; do not change the arrays."""
    seeds = tf.random.split([5, 4], 2)
    state = kinematics.pose_hand(
        pose_prior.sample_angles(seeds[0], 1),
        view_prior.sample_rotation(seeds[1], 1),
        tf.zeros([1, 3]),
        shape.canonical_shape(),
    )
    middle_mm = tf.reduce_mean(state.joints_mm, axis=1, keepdims=True)
    flip = tf.constant([[[1.0, 1.0, 1.0]], [[-1.0, 1.0, 1.0]]])
    centers_mm = (state.centers_mm - middle_mm) * flip + tf.constant(PLACES_MM)[:, None]
    view_mm = tf.constant([[0.0, 0.0, DISTANCE_MM]])
    cones, wedges = surface.primitives(forearm=False)
    seen = [
        renderer.render_crop(centers_mm[n : n + 1], state.radii_mm, cones, wedges, view_mm, EXTENT_MM, SIZE)
        for n in range(2)
    ]
    near, far = (depth.numpy()[0] for depth in seen)
    depth_mm = np.where((near > 0) & ((far == 0) | (near < far)), near, far).round()
    intrinsics = crop.crop_intrinsics(view_mm, EXTENT_MM, SIZE).numpy()[0]
    return TwoHands(depth_mm, Camera(*(float(value) for value in intrinsics), SIZE, SIZE), np.float32(PLACES_MM))


def find_hands(depth_mm, intrinsics, count):
    """In place of `lsps_tf.device.search.find_hands`: what the frame holds around the two places."""
    there = [_is_there(depth_mm, intrinsics, center_mm) for center_mm in two_hands().centers_mm]
    found = [FoundHand(c, logit) for c, logit, is_there in zip(two_hands().centers_mm, LOGITS, there) if is_there]
    return found[:count]


def find_hands_tf(depth_mm, intrinsics, count):
    """In place of `lsps_tf.hand_finding.search.find_hands`, with the same hands in the frames that have readings."""
    batch = tf.shape(depth_mm)[0]
    places = np.zeros((count, 3), np.float32) + np.float32([0.0, 0.0, 1000.0])
    logits, there = np.zeros(count, np.float32), np.zeros(count, bool)
    known = min(count, 2)
    places[:known], logits[:known], there[:known] = two_hands().centers_mm[:known], LOGITS[:known], True
    measured = tf.reduce_any(depth_mm > 0.0, axis=(1, 2))
    center_mm, presence, right = (tf.repeat(value[None], batch, axis=0) for value in (places, there, logits))
    return FoundHands(center_mm, presence & measured[:, None], right)


def judge_hand(depth_mm, intrinsics, place_mm):
    """In place of `lsps_tf.device.search.judge_hand`: the hand whose place is within 60 mm."""
    away_mm = np.linalg.norm(two_hands().centers_mm - place_mm, axis=1)
    nearest = int(away_mm.argmin())
    is_hand = 5.0 if away_mm[nearest] < 60.0 else -5.0
    return two_hands().centers_mm[nearest], np.float32(is_hand), np.float32(LOGITS[nearest])


def judge_hand_tf(depth_mm, intrinsics, place_mm):
    """In place of `lsps_tf.hand_finding.search.judge_hand`."""
    centers_mm = tf.constant(two_hands().centers_mm)
    away_mm = tf.norm(place_mm[:, None] - centers_mm, axis=-1)
    nearest = tf.argmin(away_mm, axis=1)
    is_hand = tf.where(tf.reduce_min(away_mm, axis=1) < 60.0, 5.0, -5.0)
    return tf.gather(centers_mm, nearest), is_hand, tf.gather(tf.constant(LOGITS), nearest)


def know(patch):
    """Has both finders know, by pytest's `patch`."""
    # Rendered now, outside of any graph that the finders are traced in.
    two_hands()
    for module, ending in (("lsps_tf.device.search", ""), ("lsps_tf.hand_finding.search", "_tf")):
        for name in ("find_hands", "judge_hand"):
            patch.setattr(f"{module}.{name}", globals()[name + ending])
    # What the finder says of a side decides, whatever an untrained model predicts.
    patch.setattr("lsps_tf.device.fit.explained", lambda *crop: 0.0)
    patch.setattr("lsps_tf.hand_finding.fit.explained", lambda image, *crop: tf.zeros(tf.shape(image)[0]))
    # What they know is where crops are made.
    patch.setattr("lsps_tf.device.search.crop_center", lambda depth_mm, intrinsics, center_mm, centering: center_mm)
    patch.setattr(
        "lsps_tf.hand_finding.center_of_mass.center_of_mass", lambda depth_mm, intrinsics, center_mm: center_mm
    )


def _is_there(depth_mm, intrinsics, center_mm):
    fx, fy, cx, cy = intrinsics
    x, y, z = center_mm
    u, v = round(float(fx * x / z + cx)), round(float(fy * y / z + cy))
    return bool((np.abs(depth_mm[max(0, v - 12) : v + 13, max(0, u - 12) : u + 13] - z) < 100.0).any())
