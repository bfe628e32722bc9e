"""What stands around hands where people use them: a table or a wall, things held and lying about, arms, another hand.

Scenes, batched, in camera space and mm; `scene_renderer` draws images of them. A hand is seen from where its scene
is: over a table the camera looks down on it from any side, at every tilt to grazing. Elsewhere it is the view prior, or
any direction. `scenes` has the whole frames of a room that finding a hand is measured on.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf.simulation import (
    cloth,
    grasps,
    kinematics,
    pose_prior,
    scenes,
    surface,
    things,
    view_prior,
)
from lsps_tf.simulation.cloth import Folds
from lsps_tf.simulation.kinematics import HandState
from lsps_tf.simulation.rotations import axis_rotation, rotation_from_6d, rotation_from_vector
from lsps_tf.simulation.shape import HandShape
from lsps_tf.simulation.things import NOWHERE_MM, Things

# Shares of the scenes.
DESK, VIEW_PRIOR = 0.60, 0.25  # the rest is seen from anywhere
GRIPS, OTHER_HAND, BODY, WALL, FAR_WALL = 0.35, 0.16, 0.35, 0.6, 0.25
THING_BESIDE, MOST_BESIDE = 0.25, 3
TOUCHES = 0.45
SIDEWAYS, PALM_UP = 0.25, 0.12
# Degrees from the table's normal at which a camera still looks at it.
GRAZING_DEGREES = 78.0
_NO_PLANE = (0.0, 0.0, -1.0, -NOWHERE_MM)
_ARM = np.array([sphere.name.startswith(("forearm", "elbow")) for sphere in surface.SPHERES])
_ELBOW = np.array([sphere.name.startswith("elbow") for sphere in surface.SPHERES])


class Scene(NamedTuple):
    """B hands and what is around them; what an image does not have is NOWHERE_MM away.

    Attributes:
        hand: a right one with its forearm, which may have a sleeve.
        other: another hand with its forearm.
        other_right: [B], bool, whether that one is a right hand.
        body: centers_mm [B, P, 3] and radii_mm [B, P] of a body's; all within the elbow where there is none.
        held: what the hand holds.
        beside: what lies or floats beside it.
        folds: of the sleeves of both hands.
        planes: per plane [B, 4]: its unit normal, towards the camera, and the normal's product with its points, mm.
    """

    hand: HandState
    other: HandState
    other_right: tf.Tensor
    body: tuple[tf.Tensor, tf.Tensor]
    held: Things
    beside: tuple[Things, ...]
    folds: tuple[Folds, Folds]
    planes: tuple[tf.Tensor, ...]


class Pose(NamedTuple):
    """How the hands of B scenes are posed.

    Attributes:
        shapes: of B hands.
        open_angles: [B, A] radians, before a hand closes on what it holds.
        rotation: [B, 3, 3] from the palm frame to camera space.
        place_mm: [B, 3] camera space, of the palm's centre.
        held: what a hand may hold, in the palm frame.
        how: each hand closes on it.
        grips: [B], bool, whether it does.
    """

    shapes: HandShape
    open_angles: tf.Tensor
    rotation: tf.Tensor
    place_mm: tf.Tensor
    held: Things
    how: grasps.Grips
    grips: tf.Tensor


def draw_pose(subjects: HandShape, count: int, near_mm: float, far_mm: float, seed: tf.Tensor) -> Pose:
    """The poses of the hands of `draw_scene`; the same arguments."""
    seeds = tf.unstack(tf.random.split(seed, 11))
    number = draw_subjects(subjects, count, seed)
    shapes = tf.nest.map_structure(lambda part: tf.gather(part, number), subjects)
    kind, grip, _ = _kinds(count, seeds[1])
    how = grasps.draw_grips(tf.random.fold_in(seeds[2], 1), count)
    return Pose(
        shapes,
        pose_prior.sample_angles(seeds[3], count, shapes),
        _rotations(_table_normals(seeds[4], count), kind, seeds[5]),
        view_prior.sample_translation(seeds[6], count, near_mm, far_mm),
        grasps.draw_held(seeds[2], count, how),
        how,
        grip < GRIPS,
    )


def posed(pose: Pose) -> tuple[HandState, Things]:
    """Hands in their poses, closed on what they hold; and these things in camera space, nowhere where there is none."""
    closed = grasps.close_on(pose.open_angles, pose.shapes, pose.held, pose.how)
    angles = tf.where(pose.grips[:, None], closed, pose.open_angles)
    hand = kinematics.pose_hand(angles, pose.rotation, pose.place_mm, pose.shapes)
    return hand, things.only(things.moved(pose.held, pose.rotation, pose.place_mm), pose.grips)


def draw_scene(subjects: HandShape, count: int, near_mm: float, far_mm: float, seed: tf.Tensor) -> Scene:
    """Random scenes.

    Args:
        subjects: shapes that the hands are drawn from.
        count: B.
        near_mm: least distance of a hand along z.
        far_mm: greatest distance.
        seed: int32 [2].
    """
    seeds = tf.unstack(tf.random.split(seed, 11))
    kind, _, body = _kinds(count, seeds[1])
    on_desk, table = kind < DESK, _table_normals(seeds[4], count)
    hand, held = posed(draw_pose(subjects, count, near_mm, far_mm, seed))
    hand = _with_sleeves(hand, seeds[7])
    body_mm, body_radii_mm = scenes.body_of(hand, seeds[8])
    has_body = ~on_desk & (body < BODY)
    beside_seeds = tf.unstack(tf.random.split(seeds[9], MOST_BESIDE + 2))
    return Scene(
        hand,
        *_other_hand(hand, beside_seeds[0]),
        _only_bodies(hand, body_mm, body_radii_mm, has_body),
        held,
        tuple(_thing_beside(hand, table, each) for each in beside_seeds[2:]),
        tuple(cloth.draw_folds(each, count) for each in tf.unstack(tf.random.split(beside_seeds[1], 2))),
        _planes(hand, held, table, on_desk, seeds[10]),
    )


def _kinds(count: int, seed: tf.Tensor) -> list[tf.Tensor]:
    """Uniform numbers [B] that decide where each hand is, whether it grips, and whether there is a body."""
    return tf.unstack(tf.random.stateless_uniform([3, count], seed))


def draw_subjects(subjects: HandShape, count: int, seed: tf.Tensor) -> tf.Tensor:
    """Which of the shapes each hand of `draw_scene` has, int32 [B]; the same arguments."""
    return tf.random.stateless_uniform(
        [count], tf.random.split(seed, 11)[0], 0, tf.shape(subjects.radii_mm)[0], tf.int32
    )


def _table_normals(seed: tf.Tensor, count: int) -> tf.Tensor:
    """Normals [B, 3] towards a camera that looks from anywhere above a table, as often as it sees that part of it."""
    uniform = tf.random.stateless_uniform([2, count], seed)
    cosine = 1.0 - uniform[0] * (1.0 - math.cos(math.radians(GRAZING_DEGREES)))
    sine, azimuth = tf.sqrt(1.0 - cosine**2), 2.0 * math.pi * uniform[1]
    return tf.stack([sine * tf.cos(azimuth), sine * tf.sin(azimuth), -cosine], axis=-1)


def _rotations(table: tf.Tensor, kind: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Rotations [B, 3, 3] of the hands: back up on the table give or take, by the view prior, or any."""
    count = kind.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 5))
    turn, side, way, up = tf.unstack(tf.random.stateless_uniform([4, count], seeds[0]))
    lean = tf.random.stateless_normal([count, 3], seeds[1]) * tf.constant([0.45, 0.45, 0.0])
    edge = tf.sign(way - 0.5) * 0.5 * math.pi + 0.3 * tf.random.stateless_normal([count], seeds[2])
    roll = tf.where(side < SIDEWAYS, edge, 0.0) + tf.where(up < PALM_UP, math.pi, 0.0)
    z_axis = (0.0, 0.0, 1.0)
    desk = frame_of(table) @ axis_rotation(z_axis, 2.0 * math.pi * turn)
    desk @= rotation_from_vector(lean) @ axis_rotation((0.0, 1.0, 0.0), roll)
    prior = view_prior.sample_rotation(seeds[3], count, spread=1.2)
    anywhere = rotation_from_6d(tf.random.stateless_normal([count, 6], seeds[4]))
    kind = kind[:, None, None]
    return tf.where(kind < DESK, desk, tf.where(kind < DESK + VIEW_PRIOR, prior, anywhere))


def frame_of(normal: tf.Tensor) -> tf.Tensor:
    """Rotations [B, 3, 3] whose third column is the unit normal [B, 3]."""
    helper = tf.where(tf.abs(normal[:, :1]) < 0.8, tf.constant([[1.0, 0.0, 0.0]]), tf.constant([[0.0, 1.0, 0.0]]))
    first = tf.math.l2_normalize(tf.linalg.cross(helper, normal), axis=-1)
    return tf.stack([first, tf.linalg.cross(normal, first), normal], axis=-1)


def _with_sleeves(hand: HandState, seed: tf.Tensor) -> HandState:
    """Forearms as they are, or in every second image up to 1.7 times as thick."""
    has_sleeve, width = tf.unstack(tf.random.stateless_uniform([2, hand.radii_mm.shape[0]], seed))
    scale = tf.where(has_sleeve < 0.5, 1.0 + 0.7 * width, 0.92 + 0.16 * width)
    return hand._replace(radii_mm=tf.where(_ARM, scale[:, None] * hand.radii_mm, hand.radii_mm))


def _planes(
    hand: HandState, held: Things, table: tf.Tensor, on_desk: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The table under hand and thing, or a wall behind them, and at times a second wall farther away."""
    count = hand.radii_mm.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 3))
    touches, gap, wall, far = tf.unstack(tf.random.stateless_uniform([4, count], seeds[0]))
    normal = tf.where(on_desk[:, None], table, _facing(seeds[1], count))
    # From 6 mm sunk into the surface to 150 mm above it; a wall up to 0.8 m behind.
    desk_gap_mm = tf.where(touches < TOUCHES, 12.0 * gap - 6.0, 150.0 * gap**2)
    gap_mm = tf.where(on_desk, desk_gap_mm, 15.0 * tf.exp(4.0 * gap))
    first = tf.concat([normal, (lowest_mm(hand, held, normal) - gap_mm)[:, None]], axis=-1)
    behind = _facing(seeds[2], count)
    behind_mm = lowest_mm(hand, held, behind) - 60.0 * tf.exp(3.0 * far / FAR_WALL)
    second = tf.concat([behind, behind_mm[:, None]], axis=-1)
    has_first, has_second = on_desk | (wall < WALL), far < FAR_WALL
    return tuple(tf.where(has[:, None], plane, _NO_PLANE) for has, plane in ((has_first, first), (has_second, second)))


def lowest_mm(hand: HandState, held: Things, normal: tf.Tensor) -> tf.Tensor:
    """The least product [B] of a normal with a point of the hand, without its elbow, or of what it holds."""
    height_mm = tf.einsum("bsi,bi->bs", hand.centers_mm, normal) - hand.radii_mm
    hand_mm = tf.reduce_min(tf.where(_ELBOW, NOWHERE_MM, height_mm), axis=1)
    across_mm = tf.abs(tf.einsum("bij,bi->bj", held.rotation, normal)) * held.half_mm
    held_mm = tf.reduce_sum(held.center_mm * normal, axis=-1) - tf.reduce_sum(across_mm, axis=-1) - held.round_mm
    return tf.where(things.is_there(held), tf.minimum(hand_mm, held_mm), hand_mm)


def _facing(seed: tf.Tensor, count: int) -> tf.Tensor:
    """Normals [B, 3] of walls that are about square to the view."""
    noise = 0.35 * tf.random.stateless_normal([count, 3], seed)
    return tf.math.l2_normalize(tf.constant([0.0, 0.0, -1.0]) + noise, axis=-1)


def _only_bodies(
    hand: HandState, body_mm: tf.Tensor, radii_mm: tf.Tensor, has_body: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Bodies of some images. The others' are hidden in the elbow, from where an upper arm would reach to them."""
    elbow = surface.SPHERE_INDEX["elbow_ulnar"]
    elbow_mm, hidden_mm = hand.centers_mm[:, elbow, None], 0.5 * hand.radii_mm[:, elbow, None]
    has_body = has_body[:, None]
    return tf.where(has_body[..., None], body_mm, elbow_mm), tf.where(has_body, radii_mm, hidden_mm)


def _other_hand(hand: HandState, seed: tf.Tensor) -> tuple[HandState, tf.Tensor]:
    """Beside some hands the next image's hand, as a left one four times in five; and which are right hands, [B]."""
    count = hand.radii_mm.shape[0]
    shown, angle, away, depth, left = tf.unstack(tf.random.stateless_uniform([5, count], seed))
    angle, away_mm = 2.0 * math.pi * angle, 90.0 + 80.0 * away
    offset_mm = tf.stack([away_mm * tf.cos(angle), away_mm * tf.sin(angle), 160.0 * (depth - 0.5)], axis=-1)
    centers_mm, joints_mm = (tf.roll(part, 1, axis=0) for part in (hand.centers_mm, hand.joints_mm))
    is_left, is_shown = left < 0.8, (shown < OTHER_HAND)[:, None, None]
    mirror = tf.where(is_left[:, None, None], tf.constant([-1.0, 1.0, 1.0]), tf.ones([3]))
    middle_mm = tf.reduce_mean(joints_mm, axis=1, keepdims=True)
    place_mm = (tf.reduce_mean(hand.joints_mm, axis=1) + offset_mm)[:, None]
    joints_mm, centers_mm = (
        tf.where(is_shown, (part - middle_mm) * mirror + place_mm, NOWHERE_MM) for part in (joints_mm, centers_mm)
    )
    return HandState(joints_mm, centers_mm, tf.roll(hand.radii_mm, 1, axis=0)), ~is_left


def _thing_beside(hand: HandState, table: tf.Tensor, seed: tf.Tensor) -> Things:
    """In some images a box, a bar or a ball within a crop of the hand: along the table's plane, or loose."""
    count = hand.radii_mm.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 3))
    a, b, c, turn, loose, angle, away, lift, shown = tf.unstack(tf.random.stateless_uniform([9, count], seeds[0]))
    kind = tf.random.stateless_uniform([count], seeds[1], 0, 3, tf.int32)
    zero = tf.zeros_like(a)
    box = tf.stack([10.0 + 50.0 * a, 10.0 + 50.0 * b, 5.0 + 35.0 * c], axis=-1)
    bar = tf.stack([20.0 + 100.0 * a, zero, zero], axis=-1)
    half_mm = tf.stack([box, bar, tf.zeros_like(box)], axis=1)
    round_mm = tf.stack([zero + 2.0, 5.0 + 30.0 * b, 12.0 + 35.0 * b], axis=1)
    half_mm, round_mm = (tf.gather(part, kind, batch_dims=1) for part in (half_mm, round_mm))
    plane = frame_of(table)
    lying = plane @ axis_rotation((0.0, 0.0, 1.0), 2.0 * math.pi * turn)
    anyhow = rotation_from_6d(tf.random.stateless_normal([count, 6], seeds[2]))
    rotation = tf.where(loose[:, None, None] < 0.75, lying, anyhow)
    angle, away_mm = 2.0 * math.pi * angle, 75.0 + 110.0 * away
    along_mm = tf.stack([away_mm * tf.cos(angle), away_mm * tf.sin(angle), 60.0 * (lift - 0.7)], axis=-1)
    center_mm = tf.reduce_mean(hand.joints_mm, axis=1) + tf.linalg.matvec(plane, along_mm)
    return things.only(Things(center_mm, rotation, half_mm, round_mm), shown < THING_BESIDE)
