"""Examples for the finder's network of crops: those about hands and elsewhere, and what the networks take for hands.

A view is as coarse as a thinned frame. The program cuts its crops out of whole frames, which show fingers. So each
scene is rendered once more at each of the places that are proposed in its view. What lies beyond the frame's border is
not seen there.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from lsps_tf import crop
from lsps_tf.hand_finding import networks, search
from lsps_tf.hand_finding.constants import CROP_SIZE as SMALL_SIZE
from lsps_tf.hand_finding.constants import CUBE_MM, FRAME_HEIGHT, NEAREST_MM, OFFSET_MM
from lsps_tf.simulation import scene_renderer, sensor
from lsps_tf.simulation.shape import HandShape
from lsps_tf.simulation.surroundings import Scene
from lsps_tf.simulation.things import NOWHERE_MM
from training.hand_finding import views
from training.hand_finding.views import VIEW_SIZE

CROP_SIZE, CROP_MM = 80, 1.25 * CUBE_MM
# A crop elsewhere is so far from any hand's middle.
_ELSEWHERE, _ELSEWHERE_MM = 0.4, 120.0
_JITTER_MM = 12.0
# Places that are proposed in each view. The share of them that stay where the first network has put them.
PROPOSALS = 4
_AS_NAMED = 0.35
_PROPOSED_JITTER_MM = 8.0


class Places(NamedTuple):
    """B scenes of two hands at most and P crops of each: about a hand or elsewhere, then what is proposed.

    Attributes:
        crop_mm: [B, P, C, C], depth of crops of CROP_MM, 0 = no reading.
        crop_center_mm: [B, P, 3] camera space.
        middle_mm: [B, 2, 3], the means of the hands' joints; far away where there is no hand.
        right: [B, 2], bool, right hands.
        share: [B, 2], how much of a hand the view shows, of what it would were nothing before it.
        in_view: [B, 2], bool, hands whose middles are in the frame.
    """

    crop_mm: tf.Tensor
    crop_center_mm: tf.Tensor
    middle_mm: tf.Tensor
    right: tf.Tensor
    share: tf.Tensor
    in_view: tf.Tensor


def make_places(sensor_name: str, subjects: HandShape, count: int, seed: tf.Tensor) -> Places:
    """Random scenes, and what the shipped networks propose in them; the arguments are those of `views.make_views`."""
    settings = sensor.get_sensor(sensor_name)
    seeds = tf.unstack(tf.random.split(seed, 9))
    scene, center_mm, extent_mm = views.draw_view(settings, subjects, count, *seeds[:3])
    clean_mm, _, share = views.render_view(scene, center_mm, extent_mm, VIEW_SIZE)
    intrinsics = crop.crop_intrinsics(center_mm, extent_mm, VIEW_SIZE)
    middle_mm = views.middles(scene)
    noisy = tf.random.stateless_uniform([count], tf.random.fold_in(seeds[4], 2)) >= views.NO_SENSOR
    depth_mm = sensor.apply_sensor(settings, clean_mm, settings.camera.fx / intrinsics[:, 0], seeds[4])
    depth_mm = tf.where(noisy[:, None, None], depth_mm, clean_mm)
    first = tf.random.stateless_uniform([], seeds[6], 0, VIEW_SIZE - FRAME_HEIGHT + 1, tf.int32)
    own_mm = _own_centers(clean_mm, intrinsics, middle_mm, seeds[3])
    frame_mm = tf.ensure_shape(depth_mm[:, first : first + FRAME_HEIGHT], [count, FRAME_HEIGHT, VIEW_SIZE])
    intrinsics -= tf.stack([0.0, 0.0, 0.0, tf.cast(first, tf.float32)])
    centers_mm = [own_mm, *tf.unstack(_propose(frame_mm, intrinsics, seeds[7], seeds[8]), axis=1)]
    crops_mm = []
    for number, at_mm in enumerate(centers_mm):
        crop_mm = _sense_crop(settings, scene, at_mm, noisy, tf.random.fold_in(seeds[5], number))
        crops_mm.append(crop_mm if number == 0 else _within_frame(crop_mm, at_mm, intrinsics))
    return Places(
        tf.stack(crops_mm, axis=1),
        tf.stack(centers_mm, axis=1),
        middle_mm,
        tf.stack([tf.ones_like(scene.other_right), scene.other_right], axis=1),
        share,
        _in_frame(middle_mm, intrinsics),
    )


def _own_centers(depth_mm: tf.Tensor, intrinsics: tf.Tensor, middle_mm: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Centres [B, 3] about a hand's middle, or elsewhere on a surface that the view shows."""
    count = middle_mm.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 4))
    points_mm = tf.reshape(crop.depth_to_points(depth_mm[:, ::4, ::4], intrinsics / 4.0), [count, -1, 3])
    distance_mm = tf.norm(points_mm[:, :, None] - middle_mm[:, None], axis=-1)
    chance = tf.random.stateless_uniform(tf.shape(points_mm)[:2], seeds[0])
    # Half of them as near to a hand as they may be: on its arm, on what it holds, on what is behind it.
    near = tf.random.stateless_uniform([count, 1], seeds[1]) < 0.5
    chance -= tf.where(near & (tf.reduce_min(distance_mm, axis=2) > 2.0 * _ELSEWHERE_MM), 1.0, 0.0)
    allowed = (points_mm[..., 2] > 50.0) & tf.reduce_all(distance_mm > _ELSEWHERE_MM, axis=2)
    elsewhere_mm = tf.gather(points_mm, tf.argmax(tf.where(allowed, chance, -3.0), axis=1), batch_dims=1)
    one, kind = tf.unstack(tf.random.stateless_uniform([2, count], seeds[2]))
    there = middle_mm[..., 2] < 0.5 * NOWHERE_MM
    second = there[:, 1] & (~there[:, 0] | (one < 0.5))
    hand_mm = tf.where(second[:, None], middle_mm[:, 1], middle_mm[:, 0])
    at_hand = tf.reduce_any(there, axis=1) & (kind >= _ELSEWHERE)
    center_mm = tf.where((at_hand | ~tf.reduce_any(allowed, axis=1))[:, None], hand_mm, elsewhere_mm)
    center_mm = tf.where(center_mm[:, 2:] < 0.5 * NOWHERE_MM, center_mm, tf.constant([0.0, 0.0, 700.0]))
    return center_mm + _JITTER_MM * tf.random.stateless_normal([count, 3], seeds[3])


def _sense_crop(
    settings: sensor.Sensor, scene: Scene, center_mm: tf.Tensor, noisy: tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
    """Crops [B, C, C] of CROP_MM as finely as the sensor sees them, depth in mm; clean ones where not `noisy` [B]."""
    crop_mm, _ = scene_renderer.render_scene(scene, center_mm, CROP_MM, CROP_SIZE)
    pixel_size = sensor.pixel_size_of_crop(settings, center_mm, CROP_MM, CROP_SIZE)
    return tf.where(noisy[:, None, None], sensor.apply_sensor(settings, crop_mm, pixel_size, seed), crop_mm)


def _propose(frame_mm: tf.Tensor, intrinsics: tf.Tensor, kind_seed: tf.Tensor, jitter_seed: tf.Tensor) -> tf.Tensor:
    """Places [B, PROPOSALS, 3] that look most like hands in frames, most of them moved as the network of crops says."""
    count = frame_mm.shape[0]
    said = networks.shipped().look_at_frame(frame_mm, intrinsics[:, 0])
    named_mm = _before_camera(tf.reshape(search.places_in(said, intrinsics, PROPOSALS)[0], [-1, 3]))
    frame = tf.repeat(tf.range(count), PROPOSALS)
    cropped_mm = crop.crop_frame(frame_mm, intrinsics, named_mm, CUBE_MM, SMALL_SIZE, frame)
    output = networks.shipped().look_at_crop(crop.normalize_depth(cropped_mm, named_mm, CUBE_MM))
    moved_mm = named_mm + OFFSET_MM * output[:, 2:]
    stays = tf.random.stateless_uniform([count * PROPOSALS, 1], kind_seed) < _AS_NAMED
    place_mm = tf.where(stays, named_mm, moved_mm)
    place_mm += _PROPOSED_JITTER_MM * tf.random.stateless_normal([count * PROPOSALS, 3], jitter_seed)
    return tf.reshape(_before_camera(place_mm), [count, PROPOSALS, 3])


def _before_camera(place_mm: tf.Tensor) -> tf.Tensor:
    return tf.concat([place_mm[:, :2], tf.maximum(place_mm[:, 2:], NEAREST_MM)], axis=1)


def _within_frame(crop_mm: tf.Tensor, center_mm: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    """Crops [B, C, C] without what lies beyond the border of frames of intrinsics [B, 4]."""
    ours = crop.crop_intrinsics(center_mm, tf.fill([crop_mm.shape[0]], CROP_MM), CROP_SIZE)
    place = tf.range(CROP_SIZE, dtype=tf.float32)
    seen = []
    for axis, size in enumerate((VIEW_SIZE, FRAME_HEIGHT)):
        (focal, first), (frame_focal, frame_first) = (
            (each[:, axis, None], each[:, axis + 2, None]) for each in (ours, intrinsics)
        )
        pixel = (place - first) / focal * frame_focal + frame_first
        seen.append((pixel > -0.5) & (pixel < size - 0.5))
    return tf.where(seen[0][:, None, :] & seen[1][:, :, None], crop_mm, 0.0)


def _in_frame(point_mm: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    """Which of the points [B, 2, 3] lie in frames of intrinsics [B, 4]."""
    focal, first = tf.split(intrinsics[:, None], 2, axis=-1)
    pixel = point_mm[..., :2] / point_mm[..., 2:] * focal + first
    size = tf.constant([VIEW_SIZE, FRAME_HEIGHT], tf.float32)
    return tf.reduce_all((pixel > 0.0) & (pixel < size - 1.0), axis=-1)
