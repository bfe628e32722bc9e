"""The figures of an experiment's cells: a line of JSON per cell in `cells.jsonl`. Tables are made from it alone.

cell, row, seed           what it is
validation, test          as of `measure.error_figures`, rounded; the curve at every mm from 0 on. Choices are made
                          on the first, reports on the second
seconds                   of measuring, and of training by run folder, the last one last; shared ones are in every cell
settings                  of the run that was measured

A line counts once its line feed is written. What a killed process left without one is not read, and the next cell
takes its place.
"""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
from typing import Any

from lsps_tf.errors import InputError
from lsps_tf.files import disk_errors

_NEEDED = ("cell", "row", "seed", "test", "seconds")
_BLOCK = 4096


def path_of(output: pathlib.Path) -> pathlib.Path:
    """Where the figures of an output folder's cells are."""
    return output / "cells.jsonl"


def append(output: pathlib.Path, values: dict[str, Any]) -> None:
    """Adds a cell's figures. Other processes may add theirs at the same time.

    Raises:
        InputError: where the disk is full or the file cannot be written; the file then holds what it held.
    """
    path, line = path_of(output), json.dumps(values).encode() + b"\n"
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            # Closing the file gives the lock back.
            fcntl.flock(file, fcntl.LOCK_EX)
            end = _end_of_lines(file.fileno())
            file.truncate(end)
            try:
                while line:
                    line = line[file.write(line) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise


def read(output: pathlib.Path) -> dict[str, dict[str, Any]]:
    """The figures of all cells by their names; of a cell that was added twice, the later ones.

    Raises:
        InputError: where a line is damaged; it names the line.
    """
    path = path_of(output)
    if not path.exists():
        return {}
    *lines, _ = path.read_bytes().split(b"\n")
    cells = [_read_line(f"{path}: line {number}", line) for number, line in enumerate(lines, start=1)]
    return {values["cell"]: values for values in cells}


def _read_line(where: str, line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line)
        missing = [name for name in _NEEDED if name not in values]
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{where}: these figures are damaged ({error}); delete the line and run its cell again"
        ) from error
    if missing:
        raise InputError(f"{where}: these figures lack '{missing[0]}'; delete the line and run its cell again")
    return values


def _end_of_lines(file: int) -> int:
    """The place after the last line feed of an open file."""
    end = os.fstat(file).st_size
    while end:
        start = max(0, end - _BLOCK)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def rounded(measured: dict[str, Any]) -> dict[str, Any]:
    """What `measure.error_figures` gives, in as many digits as mean something, the curve's percents alone."""
    return {
        "frames": measured["frames"],
        "mean_error_mm": round(measured["mean_error_mm"], 3),
        "within_40_mm_percent": round(measured["within_40_mm_percent"], 2),
        "auc": round(measured["auc"], 4),
        "per_joint_mm": {name: round(value, 2) for name, value in measured["per_joint_mm"].items()},
        "curve_percent": [round(percent, 2) for percent in measured["curve"]["percent"]],
    }
