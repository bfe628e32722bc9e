"""The figures of a cell: a small JSON of its own, which the tables are made from, and nothing else.

cell, row, seed           what it is
validation, test          as of `evaluation.error_figures`, rounded; the curve at every mm from 0 on. Choices are made
                          on the first, reports on the second
seconds                   of measuring, and of training by run folder, the last one last; shared ones are in every cell
settings                  of the run that was measured
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path

_NEEDED = ("cell", "row", "seed", "test", "seconds")


def path_of(output: pathlib.Path, name: str) -> pathlib.Path:
    """Where the figures of the cell `name` are."""
    return output / "cells" / f"{name}.json"


def write(output: pathlib.Path, values: dict[str, Any]) -> None:
    """Writes a cell's figures, one line for each entry, so that they can be read and compared."""
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in values.items())
    with atomic_path(path_of(output, values["cell"])) as partial:
        partial.write_text("{\n" + lines + "\n}\n", encoding="utf-8")


def read(path: pathlib.Path) -> dict[str, Any]:
    """A cell's figures; InputError where the file is damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        missing = [name for name in _NEEDED if name not in values]
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path}: these figures are damaged ({error}); delete the file and run the cell again"
        ) from error
    if missing:
        raise InputError(f"{path}: these figures lack '{missing[0]}'; delete the file and run the cell again")
    return values


def rounded(measured: dict[str, Any]) -> dict[str, Any]:
    """What `evaluation.error_figures` gives, in as many digits as mean something, the curve's percents alone."""
    return {
        "frames": measured["frames"],
        "mean_error_mm": round(measured["mean_error_mm"], 3),
        "within_40_mm_percent": round(measured["within_40_mm_percent"], 2),
        "auc": round(measured["auc"], 4),
        "per_joint_mm": {name: round(value, 2) for name, value in measured["per_joint_mm"].items()},
        "curve_percent": [round(percent, 2) for percent in measured["curve"]["percent"]],
    }
