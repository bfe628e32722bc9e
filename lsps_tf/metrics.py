"""The field's error figures, in mm: mean joint error and frames within a distance (Oberweger et al., 2015, section 4).

Pure NumPy. A frame without a label (NaN) has no error: the caller leaves it out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

# Where the error curve starts and ends, one point per mm.
CURVE_MM = np.arange(81, dtype=np.float64)


def joint_errors_mm(predicted_mm: ArrayLike, true_mm: ArrayLike) -> np.ndarray:
    """Euclidean distance of every joint from its label.

    Args:
        predicted_mm: [N, J, 3] camera space, mm.
        true_mm: [N, J, 3], of the same frames and joints.

    Returns:
        [N, J] float64, mm.

    Raises:
        ValueError: where the shapes differ or are none of joints.
    """
    predicted_mm, true_mm = np.asarray(predicted_mm, np.float64), np.asarray(true_mm, np.float64)
    if predicted_mm.shape != true_mm.shape or predicted_mm.ndim != 3 or predicted_mm.shape[-1] != 3:
        raise ValueError(f"two [N, J, 3] of the same shape are needed, not {predicted_mm.shape} and {true_mm.shape}")
    return np.linalg.norm(predicted_mm - true_mm, axis=-1)


def mean_joint_error_mm(errors_mm: ArrayLike) -> float:
    """Mean of errors [N, J] over frames and joints, mm. ValueError where there are none or one is NaN."""
    return float(_checked(errors_mm).mean())


def per_joint_error_mm(errors_mm: ArrayLike) -> np.ndarray:
    """Mean of errors [N, J] over frames: [J], mm. ValueError where there are none or one is NaN."""
    return _checked(errors_mm).mean(axis=0)


def frames_within_percent(errors_mm: ArrayLike, thresholds_mm: ArrayLike = CURVE_MM) -> np.ndarray:
    """How many frames have every joint within a distance of its label.

    Args:
        errors_mm: [N, J], mm.
        thresholds_mm: [T] or scalar; an error that equals the threshold is within it.

    Returns:
        Percent of the frames, 0 to 100, of the thresholds' shape.

    Raises:
        ValueError: where there are no errors or one is NaN.
    """
    worst_mm = np.sort(_checked(errors_mm).max(axis=1))
    return 100.0 * np.searchsorted(worst_mm, np.asarray(thresholds_mm, np.float64), side="right") / len(worst_mm)


def area_under_curve(errors_mm: ArrayLike, thresholds_mm: ArrayLike = CURVE_MM) -> float:
    """Area under `frames_within_percent` by trapezoids, 0 to 1 where every frame is within the least threshold.

    Args:
        errors_mm: [N, J], mm.
        thresholds_mm: [T], rising, at least two.

    Raises:
        ValueError: where there are no errors, one is NaN, or the thresholds do not rise.
    """
    thresholds_mm = np.asarray(thresholds_mm, np.float64)
    if thresholds_mm.ndim != 1 or len(thresholds_mm) < 2 or not np.all(np.diff(thresholds_mm) > 0):
        raise ValueError(f"at least two rising thresholds are needed, not {thresholds_mm}")
    share = frames_within_percent(errors_mm, thresholds_mm) / 100.0
    # Written out because NumPy's own function changes its name from 1 to 2.
    area = np.sum(0.5 * (share[1:] + share[:-1]) * np.diff(thresholds_mm))
    return float(area / (thresholds_mm[-1] - thresholds_mm[0]))


def _checked(errors_mm: ArrayLike) -> np.ndarray:
    errors_mm = np.asarray(errors_mm, np.float64)
    if errors_mm.ndim != 2 or not errors_mm.size:
        raise ValueError(f"errors [N, J] of at least one frame and joint are needed, not {errors_mm.shape}")
    if np.isnan(errors_mm).any():
        raise ValueError("an error is NaN; frames without labels have to be left out")
    return errors_mm
