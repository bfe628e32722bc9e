"""Fitting many images: a batch of them is a job (`lsps_tf.jobs`)."""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from lsps_tf.fitting.to_depth import DepthFitter, FitSettings

# Images that are fitted together. The seed of a fit is the number of its first image, so batches are always these.
BATCH = 64


class FrameFits(NamedTuple):
    """What a round of training by fitting knows of N frames, NumPy.

    Attributes:
        joints_mm, shape_parameters, residual_mm: as of `DepthFit`.
        disagreement_mm: float32 [N], how far predictions of turned and shifted views are from their median, on average.
    """

    joints_mm: np.ndarray
    shape_parameters: np.ndarray
    residual_mm: np.ndarray
    disagreement_mm: np.ndarray


@dataclasses.dataclass(frozen=True)
class FitImages:
    """The job of up to BATCH images.

    Attributes:
        joints: which of NYU's 36 joints the predictions and results are.
        settings: of the fits.
        images, center_mm, cube_mm, predicted_mm, expected_shape, seed: as of `DepthFitter.fit`.
        disagreement_mm: [N], which the result passes on.
    """

    joints: tuple[int, ...]
    settings: FitSettings
    images: np.ndarray
    center_mm: np.ndarray
    cube_mm: np.ndarray
    predicted_mm: np.ndarray
    expected_shape: np.ndarray
    seed: int
    disagreement_mm: np.ndarray

    def __call__(self) -> FrameFits:
        fitter = _fitter(BATCH, self.joints, self.settings)
        given = self.images, self.center_mm, self.cube_mm, self.predicted_mm, self.expected_shape
        return FrameFits(*fitter.fit(*given, seed=self.seed), self.disagreement_mm)


@functools.lru_cache(maxsize=2)
def _fitter(batch: int, joints: tuple[int, ...], settings: FitSettings) -> DepthFitter:
    """The graphs of this process."""
    return DepthFitter(batch, joints, settings)
