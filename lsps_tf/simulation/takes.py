"""Takes of a recording: what stands around a hand stands still, and the hand moves, frame by frame."""

from __future__ import annotations

import tensorflow as tf

from lsps_tf.simulation import pose_prior, surroundings
from lsps_tf.simulation.rotations import rotation_from_vector
from lsps_tf.simulation.shape import HandShape
from lsps_tf.simulation.surroundings import Pose, Scene

# How far a hand goes in a take, standard deviations: along the table or the wall, and turned, per axis.
_WAY_MM, _TURN = 30.0, 0.25


def draw_take(subjects: HandShape, frames: int, near_mm: float, far_mm: float, seed: tf.Tensor) -> Scene:
    """A scene of `surroundings.draw_scene`, in which the hand goes from its pose to another one.

    It stays as high above the table as it is at first, and goes on holding what it holds.

    Args:
        subjects: shapes that the hand is drawn from.
        frames: B, one after another.
        near_mm: least distance of the hand along z, in the first frame.
        far_mm: greatest distance.
        seed: int32 [2].
    """
    where = subjects, 1, near_mm, far_mm, seed
    scene, first = surroundings.draw_scene(*where), surroundings.draw_pose(*where)
    still, pose = tf.nest.map_structure(lambda part: tf.repeat(part, frames, axis=0), (scene, first))
    normal = still.planes[0][:, :3]
    hand, held = surroundings.posed(_on_its_way(pose, normal, tf.random.fold_in(seed, 1)))
    # Sleeves and all.
    hand = hand._replace(radii_mm=still.hand.radii_mm)
    sunk_mm = surroundings.lowest_mm(still.hand, still.held, normal) - surroundings.lowest_mm(hand, held, normal)
    up_mm = sunk_mm[:, None] * normal
    hand = hand._replace(joints_mm=hand.joints_mm + up_mm[:, None], centers_mm=hand.centers_mm + up_mm[:, None])
    return still._replace(hand=hand, held=held._replace(center_mm=held.center_mm + up_mm))


def _on_its_way(pose: Pose, normal: tf.Tensor, seed: tf.Tensor) -> Pose:
    """Poses of B frames, the same for all, moved on from the first to the last: fingers, wrist, turn and place."""
    angles_seed, turn_seed, way_seed = tf.unstack(tf.random.split(seed, 3))
    frames = pose.place_mm.shape[0]
    share = tf.linspace(0.0, 1.0, frames)[:, None]
    one = tf.nest.map_structure(lambda part: part[:1], pose.shapes)
    last = pose_prior.sample_angles(angles_seed, 1, one)
    turn = _TURN * tf.random.stateless_normal([1, 3], turn_seed)
    along = _WAY_MM * tf.random.stateless_normal([1, 2], way_seed)
    along = tf.linalg.matvec(surroundings.frame_of(normal), share * tf.pad(along, [[0, 0], [0, 1]]))
    return pose._replace(
        open_angles=(1.0 - share) * pose.open_angles + share * last,
        rotation=rotation_from_vector(share * turn) @ pose.rotation,
        place_mm=pose.place_mm + along,
    )
