"""What an import reads frames from: jobs that each give a batch of a store's rows, whatever they come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np


class FrameSource(Protocol):
    """What a split is imported from: numbered positions, each a frame.

    Attributes:
        batch: positions of a job, at most. A job does not reach over a multiple of it.
    """

    batch: int

    def __len__(self) -> int: ...

    def digest(self) -> str: ...

    def name_of(self, position: int) -> str: ...

    def job(self, positions: range) -> Callable[[], Batch]:
        """What reads the frames of some positions, in any process: see `lsps_tf.jobs`."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Rows of a store (its columns), and (position, reason) of frames that gave none."""

    rows: dict[str, np.ndarray]
    unusable: list[tuple[int, str]]
