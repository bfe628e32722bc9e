"""Real poses beside simulated ones, for `pose_check.py`: nearest poses, angles, views, and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from lsps_tf import draw
from lsps_tf.files import atomic_path
from lsps_tf.fitting import to_joints
from lsps_tf.simulation import anatomy, kinematics, pose_prior, shape, view_prior
from lsps_tf.skeleton import NYU

POSES = 20000
BATCH = 2000
PERCENTILES = (1, 10, 50, 90, 99)
TILE, MM_PER_PIXEL = 384, 0.6
SHOWN = 2  # real poses of each subject in the picture


def statistics(fits: dict[str, to_joints.HandFit], seed: int) -> dict[str, dict[str, Any]]:
    """Per subject and of the simulator: percentiles of angles and views, correlations, distances of nearest poses."""
    angles = simulated_angles(POSES, (seed, 3))
    rotation = view_prior.sample_rotation(tf.constant([seed, 5]), POSES).numpy()
    return {
        "nearest_pose": {name: nearest_figures(fit, seed) for name, fit in fits.items()},
        "angles_degrees": {
            **{name: angle_figures(fit.angles) for name, fit in fits.items()},
            "simulated": angle_figures(angles),
        },
        "views_degrees": {
            **{name: view_figures(fit.rotation) for name, fit in fits.items()},
            "simulated": view_figures(rotation),
        },
    }


def simulated_angles(count: int, seed: tuple[int, int], parameters: np.ndarray | None = None) -> np.ndarray:
    """Angles [N, A] of the pose prior for the average hand or one of the given shape, radians."""
    hand = shape.canonical_shape() if parameters is None else shape.shape_from_parameters(tf.constant(parameters))
    sample = tf.function(lambda key: pose_prior.sample_angles(key, BATCH, hand))
    keys = [tf.random.fold_in(tf.constant(seed), number) for number in range(-(-count // BATCH))]
    return np.concatenate([sample(key).numpy() for key in keys])[:count]


def palm_poses(angles: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """NYU's joints [N, 36, 3] of a hand in its palm frame, mm."""
    count = len(angles)
    hand = shape.shape_from_parameters(tf.constant(parameters))
    still = tf.eye(3, batch_shape=[count]), tf.zeros([count, 3])
    return kinematics.pose_hand(tf.constant(angles), *still, hand).joints_mm.numpy()


def nearest_figures(fit: to_joints.HandFit, seed: int) -> dict[str, float]:
    """Mean joint distance of a subject's poses from the nearest simulated ones, all in one shape and in the palm frame.

    Beside it the same of other simulated poses: what the simulator's own density gives.
    """
    parameters = fit.shape_parameters
    simulated_mm = palm_poses(simulated_angles(POSES, (seed, 3), parameters), parameters)
    others_mm = palm_poses(simulated_angles(len(fit.angles), (seed, 4), parameters), parameters)
    _, real = to_joints.nearest_poses(palm_poses(fit.angles, parameters), simulated_mm)
    _, other = to_joints.nearest_poses(others_mm, simulated_mm)
    return {"real_mm": round(float(real.mean()), 3), "simulated_mm": round(float(other.mean()), 3)}


def angle_figures(angles: np.ndarray) -> dict[str, Any]:
    """Percentiles of every angle, and how the fingers' angles go together."""
    degrees = np.degrees(angles)
    mcp, deviation, pip, dip = (degrees[:, anatomy.FINGER_ANGLES[:, column]] for column in range(4))
    neighbors = {"mcp": mcp, "deviation": deviation, "pip": pip}
    return {
        "percentiles": list(PERCENTILES),
        "angles": {name: _percentiles(degrees[:, i]) for i, name in enumerate(anatomy.ANGLE_NAMES)},
        "mean_correlation_of_neighbors": {
            name: round(float(np.diag(np.corrcoef(values.T), 1).mean()), 2) for name, values in neighbors.items()
        },
        "deviation_std": round(float(deviation.std(axis=0).mean()), 1),
        "dip_std_beside_pip": round(float(np.mean([_residual_std(pip[:, k], dip[:, k]) for k in range(4)])), 1),
    }


def _residual_std(x: np.ndarray, y: np.ndarray) -> float:
    """What is left of y after the best straight line in x."""
    return float(np.std(y - np.polyval(np.polyfit(x, y, 1), x)))


def _percentiles(values: np.ndarray) -> list[float]:
    return [round(float(value), 1) for value in np.percentile(values, PERCENTILES)]


def view_figures(rotation: np.ndarray) -> dict[str, Any]:
    """How hands are turned to the camera: roll in the image (0 = fingers up), the fingers' tilt (below 0 = towards the
    camera), and how many show the palm."""
    fingers, palm = -rotation[:, :, 1], -rotation[:, :, 2]
    return {
        "roll": _percentiles(np.degrees(np.arctan2(fingers[:, 0], -fingers[:, 1]))),
        "tilt": _percentiles(np.degrees(np.arcsin(np.clip(fingers[:, 2], -1.0, 1.0)))),
        "palm_fraction": round(float(np.mean(palm[:, 2] < 0.0)), 3),
    }


def draw_nearest(
    labels_mm: dict[str, np.ndarray], fits: dict[str, to_joints.HandFit], seed: int, path: str | Path
) -> None:
    """Writes a PNG: a few real poses of each subject and the simulated poses nearest to them, from two sides.

    Args:
        labels_mm: by subject the labels [N, 36, 3] that its fit was made of.
        fits: by subject.
        seed: of the simulated poses.
        path: of the PNG.
    """
    tiles, titles = [], []
    for subject, fit in fits.items():
        parameters = fit.shape_parameters
        simulated_mm = palm_poses(simulated_angles(POSES, (seed, 3), parameters), parameters)
        frames = (np.arange(SHOWN) * 2 + 1) * len(fit.angles) // (2 * SHOWN)
        indices, _ = to_joints.nearest_poses(palm_poses(fit.angles[frames], parameters), simulated_mm)
        for frame, index in zip(frames, indices):
            real_mm = labels_mm[subject][frame]
            found_mm = simulated_mm[index] @ fit.rotation[frame].T + fit.translation_mm[frame]
            apart_mm = np.linalg.norm(found_mm - real_mm, axis=-1).mean()
            middle_mm = 0.5 * (real_mm.min(axis=0) + real_mm.max(axis=0))
            tiles += [_tile(pose - middle_mm, side) for side in (False, True) for pose in (real_mm, found_mm)]
            titles += [f"real, {subject}", f"nearest, {apart_mm:.1f} mm", "real, from the side", "nearest"]
    sheet = draw.contact_sheet(tiles, titles, columns=4)
    with atomic_path(path) as partial:
        sheet.quantize(64).save(partial, format="PNG", optimize=True)


def _tile(joints_mm: np.ndarray, from_the_side: bool) -> Image.Image:
    """A skeleton on an empty background, as the camera sees it or with the depth across."""
    across = joints_mm[:, 2] if from_the_side else joints_mm[:, 0]
    places = np.stack([across, joints_mm[:, 1]], axis=-1) / MM_PER_PIXEL + 0.5 * TILE
    return draw.overlay(np.zeros((TILE, TILE), np.float32), places, NYU)
