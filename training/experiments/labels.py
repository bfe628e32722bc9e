"""Figure 5, left: the error over the fraction of the real labels that the training may use."""

from __future__ import annotations

import functools
from collections.abc import Callable

from training.experiments.cells import (
    Experiment,
    Row,
    Training,
    crossing_nets,
    fitted,
    lsps,
    of_training,
    percent,
    real,
)

FRACTIONS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
# What the paper's claim is about comes first, then the ends.
_ORDER = (0.05, 0.0, 1.0, 0.01, 0.1, 0.25, 0.5)
_METHODS: dict[str, tuple[str, Callable[..., Training]]] = {
    "lsps": ("LSPS, the paper's recipe", lsps),
    "lsps-fitted": ("LSPS, recipe fitting, labels in its last round", fitted),
    "real": ("real labels alone", real),
    "crossing-nets": ("crossing nets, no simulation", crossing_nets),
}


def _key(method: str, labels: float) -> str:
    """Of a row; where table 1 has the same one, by the same name."""
    return method if labels == {"real": 1.0}.get(method, 0.0) else f"{method}-{percent(labels)}"


def _row(method: str, labels: float) -> Row:
    key, (title, build) = _key(method, labels), _METHODS[method]
    cell = of_training(key, functools.partial(build, labels=labels))
    return Row(key, f"{title}, {percent(labels)} % of the labels", cell, labels, title)


# The others have nothing to learn from without labels.
_WITHOUT = ("lsps", "lsps-fitted")
_ROWS = {
    (method, labels): _row(method, labels)
    for method in _METHODS
    for labels in FRACTIONS
    if labels or method in _WITHOUT
}

LABELS = Experiment(
    "labels",
    "Real labels (figure 5, left)",
    tuple(_ROWS.values()),
    first=tuple(_ROWS[m, f].key for f in _ORDER for m in _METHODS if (m, f) in _ROWS),
    plot="labels",
)
