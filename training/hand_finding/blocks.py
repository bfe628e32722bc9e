"""Examples in files of a few hundred each: made once, by sensor in turn, and drawn from at every training step."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from lsps_tf.array_files import read_arrays
from lsps_tf.datasets.simulator import SUBJECTS
from lsps_tf.files import atomic_path
from lsps_tf.simulation import sensor, shape
from training.hand_finding.places import Places, make_places
from training.hand_finding.views import Views, make_views

BLOCK = 512
_AT_ONCE = 64
_RANDOM_SHAPES = 100
_DEPTH_UNIT_MM = 0.1
_DEPTHS = ("depth_mm", "crop_mm")

Columns = dict[str, np.ndarray]


class Kind(NamedTuple):
    """What a folder holds: the tuple that an example is, what makes some, and where their seeds begin."""

    example: type
    make: Callable
    first_seed: int


VIEWS, PLACES = Kind(Views, make_views, 5000), Kind(Places, make_places, 6000)


def ensure_blocks(folder: pathlib.Path, count: int, seed: int, kind: Kind = VIEWS) -> list[pathlib.Path]:
    """Makes the blocks that a folder lacks, so that it holds `count` examples or a little more; their paths.

    The training subjects and random shapes; every block is of one sensor. A stop costs the block in progress.
    """
    subjects = np.array(SUBJECTS["real/train"])
    shapes = (shape.subject_shape(subjects), shape.sample_shape(tf.constant([seed, 77]), _RANDOM_SHAPES))
    shapes = tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *shapes)
    names = list(sensor.SENSORS)
    makers = {name: tf.function(lambda key, name=name: kind.make(name, shapes, _AT_ONCE, key)) for name in names}
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in tqdm(range(-(-count // BLOCK)), desc=kind.example.__name__.lower(), mininterval=5.0):
        name = names[number % len(names)]
        paths.append(folder / f"{number:05d}-{name}.npz")
        if paths[-1].exists():
            continue
        seeds = [[seed + kind.first_seed, number * BLOCK + first] for first in range(0, BLOCK, _AT_ONCE)]
        parts = [makers[name](tf.constant(each)) for each in seeds]
        columns = {key: np.concatenate([getattr(part, key).numpy() for part in parts]) for key in kind.example._fields}
        for key in _depths(columns):
            columns[key] = np.rint(columns[key] / _DEPTH_UNIT_MM).clip(0, 65535).astype(np.uint16)
        with atomic_path(paths[-1]) as partial, partial.open("wb") as file:
            np.savez(file, **columns)
    return paths


def read_block(path: pathlib.Path, kind: Kind = VIEWS) -> Columns:
    """The columns of a block, depth in units of 0.1 mm."""
    return read_arrays(path, kind.example._fields)


def as_examples(columns: Columns, rows: np.ndarray, kind: Kind = VIEWS) -> Views | Places:
    """Some of a block's examples."""
    chosen = {key: column[rows] for key, column in columns.items()}
    for key in _depths(chosen):
        chosen[key] = chosen[key] * np.float32(_DEPTH_UNIT_MM)
    return kind.example(**{key: tf.constant(value) for key, value in chosen.items()})


def _depths(columns: Columns) -> list[str]:
    return [key for key in _DEPTHS if key in columns]
