"""Pose VAEs of simulated poses alone, for `pose_check.py`: draw poses, train equation 1 on them, reconstruct others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tensorflow import keras

from lsps_tf import crop
from lsps_tf.config import CODE, Config
from lsps_tf.hand_finding.center_of_mass import refine_center
from lsps_tf.networks import Networks, build_networks
from lsps_tf.pipeline import Preparation
from lsps_tf.simulation import kinematics, pose_prior, renderer, shape, surface, view_prior
from training.stages.pose import PoseStage

BATCH = 512
WINDOW_SIZE, WINDOW_MM = 64, 500.0


def simulated_poses(
    hands: shape.HandShape, joints: Sequence[int], count: int, seed: tuple[int, int], center: str
) -> tuple[np.ndarray, np.ndarray]:
    """Poses of hands drawn with equal chances.

    Args:
        hands: K hands.
        joints: which of NYU's 36 joints.
        count: N.
        seed: of the poses.
        center: "mean" of the joints, or "mass": found in the rendered depth, as the input pipeline does.

    Returns:
        joints_mm [N, J, 3] and center_mm [N, 3], camera space.
    """

    @tf.function
    def draw(key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        hand_seed, angle_seed, view_seed, place_seed = tf.unstack(tf.random.split(key, 4))
        chosen = tf.random.stateless_uniform([BATCH], hand_seed, 0, len(hands.base_mm), tf.int32)
        own = tf.nest.map_structure(lambda part: tf.gather(part, chosen), hands)
        angles = pose_prior.sample_angles(angle_seed, BATCH, own)
        rotation = view_prior.sample_rotation(view_seed, BATCH)
        state = kinematics.pose_hand(angles, rotation, view_prior.sample_translation(place_seed, BATCH), own)
        joints_mm = tf.gather(state.joints_mm, list(joints), axis=1)
        middle_mm = tf.reduce_mean(joints_mm, axis=1)
        return joints_mm, _mass_center(state, middle_mm) if center == "mass" else middle_mm

    keys = [tf.random.fold_in(tf.constant(seed), number) for number in range(-(-count // BATCH))]
    parts = [draw(key) for key in keys]
    return tuple(np.concatenate([part[i].numpy() for part in parts])[:count] for i in range(2))


def _mass_center(state: kinematics.HandState, middle_mm: tf.Tensor) -> tf.Tensor:
    cones, wedges = surface.primitives(forearm=False)
    window_mm = renderer.render_crop(state.centers_mm, state.radii_mm, cones, wedges, middle_mm, WINDOW_MM, WINDOW_SIZE)
    return refine_center(window_mm, crop.crop_intrinsics(middle_mm, WINDOW_MM, WINDOW_SIZE), middle_mm)


def train_pose_vae(joints_mm: np.ndarray, center_mm: np.ndarray, config: Config, steps: int, seed: int) -> Networks:
    """The pose stage on poses in memory, augmented as in training.

    Args:
        joints_mm: [N, J, 3] camera space, mm.
        center_mm: [N, 3] of their crops.
        config: the settings; num_joints is taken from the joints.
        steps: of the pose stage, over which its step size falls to zero by a cosine.
        seed: of weights, order, augmentation and noise.

    Returns:
        The networks, of which the pose encoder and decoder are trained.
    """
    # Poses may have any choice of joints, whose bones are not known.
    config = config.replace(num_joints=joints_mm.shape[1], mapping=CODE)
    networks = build_networks(config.network, config.data.image_size, seed)
    batch, prepare = config.training.pose_batch, Preparation(config.data)
    columns = {"joints_mm": tf.constant(joints_mm, tf.float32), "center_mm": tf.constant(center_mm, tf.float32)}

    def gathered(key: tf.Tensor) -> dict:
        rows = tf.random.stateless_uniform([batch], key, 0, len(joints_mm), tf.int32)
        drawn = {name: tf.gather(column, rows) for name, column in columns.items()}
        return prepare({"synthetic": {**drawn, "cube_mm": tf.fill([batch], config.data.cube_mm)}, "seed": key})

    stage = PoseStage(networks, config.weights, gathered)
    rate = keras.optimizers.schedules.CosineDecay(config.training.pose_learning_rate, steps)
    stage.compile(keras.optimizers.legacy.Adam(rate, beta_1=config.training.adam_beta_1))
    keys = tf.data.Dataset.range(steps).map(lambda step: tf.stack([tf.constant(seed), tf.cast(step, tf.int32)]))
    stage.fit(keys, epochs=1, verbose=0)
    return networks


def reconstruction_errors_mm(
    networks: Networks, joints_mm: np.ndarray, center_mm: np.ndarray, cube_mm: float
) -> np.ndarray:
    """Distances [N, J] in mm of joints [N, J, 3] from what the pose VAE makes of them, through the posterior's mean."""
    half_mm = 0.5 * cube_mm
    joints_norm = (joints_mm - center_mm[:, None]) / half_mm
    mean, _ = networks.encode_pose(tf.constant(joints_norm, tf.float32))
    return np.linalg.norm(networks.decode_pose(mean).numpy() - joints_norm, axis=-1) * half_mm
