"""Figure 5, left: the error over the fraction of the real labels that the training may use."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from training.experiments.cells import (
    Experiment,
    Row,
    Training,
    amount,
    crossing_nets,
    fitted,
    lsps,
    of_training,
    real,
)

FRACTIONS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
# Labelled frames, where that says more than a fraction: what a user labels by hand.
NUMBERS = (10.0, 100.0)
# What the paper's claim is about comes first, then the ends.
_ORDER = (0.05, 0.0, 1.0, 0.01, 0.1, 0.25, 0.5)


@dataclasses.dataclass(frozen=True)
class _Curve:
    """One curve of the plot: the first part of its rows' keys, its title, and the training of a fraction.

    `in_table1` is the fraction whose row table 1 has, too, by the same key, None where it has no such row.
    `without_labels` says whether it has anything to learn from without labels.
    """

    key: str
    title: str
    build: Callable[..., Training]
    in_table1: float | None
    without_labels: bool

    def row(self, labels: float) -> Row:
        key = self.key if labels == self.in_table1 else f"{self.key}-{amount(labels)}"
        cell = of_training(key, functools.partial(self.build, labels=labels))
        if labels > 1:
            # The plot is over fractions.
            return Row(key, f"{self.title}, {labels:g} labelled frames", cell)
        return Row(key, f"{self.title}, {amount(labels)} % of the labels", cell, labels, self.title)


_CURVES = (
    _Curve("lsps", "LSPS, the paper's recipe", lsps, in_table1=0.0, without_labels=True),
    _Curve("fitted", "recipe fitting, labels in its rounds", fitted, in_table1=0.0, without_labels=True),
    _Curve("real", "real labels alone", real, in_table1=1.0, without_labels=False),
    _Curve("crossing-nets", "crossing nets, no simulation", crossing_nets, in_table1=None, without_labels=False),
)
_ROWS = {
    (curve.key, labels): curve.row(labels)
    for curve in _CURVES
    for labels in (*FRACTIONS, *NUMBERS)
    if labels or curve.without_labels
}

LABELS = Experiment(
    "labels",
    "Real labels (figure 5, left)",
    tuple(_ROWS.values()),
    first=tuple(_ROWS[curve.key, f].key for f in _ORDER for curve in _CURVES if (curve.key, f) in _ROWS),
    plot="labels",
)
