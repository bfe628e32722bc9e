"""The usual way to an augmented batch: NumPy and OpenCV, frame by frame, as the peer of benchmarks/pipeline.py.

OpenCV is among what the tests need, not among the project's requirements.
"""

from __future__ import annotations

import cv2
import numpy as np


def view_crop(
    depth_mm: np.ndarray,
    center_mm: np.ndarray,
    extent_mm: float,
    cube_mm: float,
    size: int,
    angle: float,
    shift_mm: np.ndarray,
) -> np.ndarray:
    """A stored crop [R, R] under a changed view, [size, size, 1] in [-1, 1]; arguments as of `augment.view_crops`."""
    stored = depth_mm.shape[0]
    moved_mm = center_mm + shift_mm
    zoom = center_mm[2] / moved_mm[2]
    scale = stored / extent_mm
    pitch = cube_mm / size * zoom * scale
    turn = pitch * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = (moved_mm[:2] * zoom - center_mm[:2]) * scale + 0.5 * (stored - 1)
    offset = middle - turn @ np.full(2, 0.5 * (size - 1))
    matrix = np.column_stack([turn, offset])
    warped = cv2.warpAffine(depth_mm, matrix, (size, size), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    value = (warped - moved_mm[2]) / (0.5 * cube_mm)
    inside = (warped > 0) & (np.abs(value) <= 1.0)
    return np.where(inside, value, 1.0).astype(np.float32)[..., None]


def view_joints(
    joints_mm: np.ndarray, center_mm: np.ndarray, cube_mm: float, angle: float, shift_mm: np.ndarray
) -> np.ndarray:
    """A frame's joints [J, 3] in half cubes under the same changed view."""
    joints = (joints_mm - center_mm - shift_mm) / (0.5 * cube_mm)
    cos, sin = np.cos(angle), np.sin(angle)
    return (joints @ np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])).astype(np.float32)


def draw_view(random: np.random.Generator, rotation_degrees: float, translation_mm: float) -> tuple[float, np.ndarray]:
    """One of none, translation and rotation: an angle in radians and a shift [3] in mm."""
    kind = random.integers(3)
    angle = np.deg2rad(random.uniform(-rotation_degrees, rotation_degrees)) if kind == 2 else 0.0
    return angle, translation_mm * random.standard_normal(3) if kind == 1 else np.zeros(3)


def augmented(
    rows: dict[str, np.ndarray], size: int, rotation_degrees: float, translation_mm: float, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """A stream's rows of a batch as `image` [B, size, size, 1], where they have depth, and `joints` [B, J, 3]."""
    images, joints = [], []
    for row in range(len(rows["center_mm"])):
        angle, shift_mm = draw_view(random, rotation_degrees, translation_mm)
        center_mm, cube_mm = rows["center_mm"][row], rows["cube_mm"][row]
        if "depth_mm" in rows:
            given = rows["depth_mm"][row], center_mm, rows["extent_mm"][row], cube_mm
            images.append(view_crop(*given, size, angle, shift_mm))
        joints.append(view_joints(rows["joints_mm"][row], center_mm, cube_mm, angle, shift_mm))
    batch = {"joints": np.stack(joints)}
    return {**batch, "image": np.stack(images)} if images else batch
