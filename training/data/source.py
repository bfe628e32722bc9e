"""What a dataset is to `training/run.py`; `datasets` has the table of them."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from lsps_tf.config import Config
from lsps_tf.errors import InputError
from lsps_tf.jobs import Workers
from lsps_tf.run_folder import RunSettings

Given = dict[str, Any]
# What a bar says while it stands where it started: the first batch waits for TensorFlow.
BUILDING = "building the graph first"


@dataclasses.dataclass(frozen=True)
class Source:
    """What a dataset means for a run.

    Attributes:
        config: the run's settings, with what the dataset fixes of them.
        store: path of the HDF5 store that the run reads.
        skeleton: name of the joints' layout.
        sensor: the simulator's sensor model, "" for recorded data.
        frames: how many frames of each split the run is to have, where the options say so.
        labels: fraction of the real labels that LSPS uses where the options do not say.
        centering: of the store's crops, as of `RunSettings`.
    """

    config: Config
    store: pathlib.Path
    skeleton: str
    sensor: str = ""
    frames: dict[str, int] = dataclasses.field(default_factory=dict)
    labels: float = 0.0
    centering: str = "mass"


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One choice of `--dataset`.

    Attributes:
        resolve: from the options that were given and the settings so far; InputError where they do not fit.
        make: makes the run's store or adds what it lacks, with progress, given the options, the run's settings and its
            folder (for pictures and reports, which it may not hold yet). A stop keeps what is made, for the next call.
    """

    resolve: Callable[[Given, Config], Source]
    make: Callable[[Given, RunSettings, pathlib.Path], None]


def workers_of(given: Given) -> Workers:
    """Who works for a run, by its options; InputError where their values have no meaning."""
    count = given.get("workers")
    if count is not None and count < 0:
        raise InputError(f"--workers {count}: it must be at least 0")
    if count is not None and "cluster" in given:
        raise InputError("--workers and --cluster: the cluster's cores are the workers; give one of the two")
    return Workers(count, given.get("cluster"))


def shard_frames_of(given: Given) -> int | None:
    """Frames of a shard of the store, None for a store in one file; InputError where it has none."""
    count = given.get("shard_frames")
    if count is not None and count < 1:
        raise InputError(f"--shard-frames {count}: a shard holds at least one frame")
    return count


def show_progress(bar: tqdm, note: str = BUILDING) -> Callable[[int, int], None]:
    """A callback for `bar` that takes the frames done and the frames to do.

    What the first call says is done was done before, and does not count in the estimate of the time left. From then on
    the note stands at the bar until it moves.
    """

    def show(done: int, total: int) -> None:
        if bar.total is None:
            bar.reset(total)
            bar.initial = bar.n = bar.last_print_n = done
            if done < total:
                bar.set_postfix_str(note)
        elif done > bar.n and bar.postfix == note:
            bar.set_postfix_str("", refresh=False)
        bar.update(done - bar.n)

    return show
