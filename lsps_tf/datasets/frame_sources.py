"""What an import reads frames from: batches of a store's rows, whatever they come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from lsps_tf.datasets.workers import Pool


class FrameSource(Protocol):
    """What a split is imported from: numbered positions, each a frame."""

    batch: int

    def __len__(self) -> int: ...

    def digest(self) -> str: ...

    def name_of(self, position: int) -> str: ...

    def batches(self, ranges: Iterable[range], pool: Pool | None) -> Iterator[Batch]:
        """The frames of ranges of at most `batch` positions, a batch per range, in order."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Rows of a store (its columns), and (position, reason) of frames that gave none."""

    rows: dict[str, np.ndarray]
    unusable: list[tuple[int, str]]
