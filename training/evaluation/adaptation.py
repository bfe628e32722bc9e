"""Whether adaptation helped, told without labels from frames that no training has seen.

Both models predict the same frames, before and after. The hand is fitted to each frame from both predictions, and the
fit that explains the frame better stands for the truth. Three questions are asked of each model:

- how far its joints are from that hand,
- how much of the depth that this hand explains its own hand leaves unexplained,
- how unsteady its joints are from frame to frame, where the recording is a sequence.

Each answer is compared as a ratio of after to before. The verdict is the sign of the weighted sum of their logarithms.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from tqdm import tqdm

from lsps_tf.fitting.to_depth import DepthFitter

# What each of the three ratios counts for.
_WEIGHTS = {"from_fit_mm": 1.0, "unexplained_mm": 1.0, "unsteady_mm": 0.25}
# The part of the frames, the best explained, whose fits stand for the truth.
_BELIEVED = 0.7
# Joints of a sequence bend their way by less between frames; otherwise the frames do not follow one another.
_SEQUENCE_MM = 12.0
# Fewer times three frames in a row say nothing on how steady joints are.
_FEWEST_STEPS = 20


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is told of two models.

    Attributes:
        frames: how many were looked at.
        before, after: per model `from_fit_mm`, `unexplained_mm` and, or None, `unsteady_mm`.
        score: the sum of the ratios' logarithms; below 0 adaptation helped.
    """

    frames: int
    before: dict[str, float | None]
    after: dict[str, float | None]
    score: float

    @property
    def helped(self) -> bool:
        return self.score < 0.0

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**dataclasses.asdict(self), "helped": self.helped}


def compare(
    fitter: DepthFitter,
    batch: int,
    images: np.ndarray,
    center_mm: np.ndarray,
    cube_mm: np.ndarray,
    predicted_mm: tuple[np.ndarray, np.ndarray],
    order: np.ndarray,
) -> Verdict:
    """The verdict on two models' predictions of the same frames.

    Args:
        fitter: of batches of `batch` frames.
        batch: B.
        images: [N, SIZE, SIZE] in [-1, 1].
        center_mm: [N, 3] camera space, of the crops.
        cube_mm: [N].
        predicted_mm: joints [N, J, 3] in camera space, before and after.
        order: [N, 2] integers, each frame's sequence and its place in it.
    """
    parts = []
    with tqdm(total=len(images), desc="verdict   ", unit="frame", mininterval=1.0) as bar:
        for first in range(0, len(images), batch):
            rows = slice(first, first + batch)
            seen = images[rows], center_mm[rows], cube_mm[rows]
            parts.append(_measure(fitter, seen, [joints_mm[rows] for joints_mm in predicted_mm], first))
            bar.update(len(seen[0]))
    residual_mm, from_fit_mm, unexplained_mm = (np.concatenate(part, axis=-1) for part in zip(*parts))
    believed = residual_mm <= np.quantile(residual_mm, _BELIEVED)
    found = [
        {"from_fit_mm": float(far[believed].mean()), "unexplained_mm": float(left[believed].mean())}
        for far, left in zip(from_fit_mm, unexplained_mm)
    ]
    unsteady = [unsteady_mm(joints_mm, order) for joints_mm in predicted_mm]
    if None in unsteady or min(unsteady) > _SEQUENCE_MM:
        unsteady = [None, None]
    before, after = ({**values, "unsteady_mm": each} for values, each in zip(found, unsteady))
    ratios = {name: np.log(after[name] / before[name]) for name in _WEIGHTS if before[name]}
    return Verdict(len(images), before, after, float(sum(_WEIGHTS[name] * value for name, value in ratios.items())))


def unsteady_mm(joints_mm: np.ndarray, order: np.ndarray) -> float | None:
    """How far joints [N, J, 3] are in the median from halfway between the frames around; None without sequences."""
    rows = np.lexsort(order.T[::-1])
    sequence, place = order[rows].T
    steps = np.diff(place)
    steady = (sequence[2:] == sequence[:-2]) & (steps[1:] == 1) & (steps[:-1] == 1)
    if steady.sum() < _FEWEST_STEPS:
        return None
    joints_mm = joints_mm[rows]
    bent_mm = joints_mm[1:-1] - 0.5 * (joints_mm[2:] + joints_mm[:-2])
    return float(np.median(np.linalg.norm(bent_mm[steady], axis=-1)))


def _measure(fitter: DepthFitter, seen: tuple, predicted_mm: list[np.ndarray], seed: int):
    """Of a batch: residual [N] of the better fit, and per model distances from it and what is unexplained, [2, N]."""
    fits = [fitter.fit(*seen, joints_mm, seed=seed) for joints_mm in predicted_mm]
    residuals_mm = np.stack([fit.residual_mm for fit in fits])
    better = residuals_mm.argmin(axis=0)
    hand_mm = np.stack([fit.joints_mm for fit in fits])[better, np.arange(len(better))]
    far_mm = [np.linalg.norm(joints_mm - hand_mm, axis=-1).mean(axis=1) for joints_mm in predicted_mm]
    return residuals_mm.min(axis=0), np.stack(far_mm), fitter.unexplained_mm(*seen, hand_mm, predicted_mm, seed)
