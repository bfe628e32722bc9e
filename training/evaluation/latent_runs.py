"""What `latent_space` measures: a run with a depth stage, regressors to read with, and held-out hands."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import tensorflow as tf

from lsps_tf import crop, run_folder
from lsps_tf.augment import IMAGE_COLUMNS, view_stored_crops
from lsps_tf.datasets.simulated import SimulatedSource
from lsps_tf.datasets.simulator import BATCH, Simulation
from lsps_tf.datasets.store import Store
from lsps_tf.errors import InputError
from lsps_tf.generate import untrained_networks
from lsps_tf.run_folder import Run, RunSettings, weights_path
from training.evaluation.measure import labelled_rows

HELD_OUT = "synthetic/validation"


@dataclasses.dataclass(frozen=True)
class Hands:
    """Labelled hands of one domain.

    Attributes:
        split: where they are from.
        image: float32 [N, S, S] in [-1, 1].
        joints: float32 [N, J, 3] in half cubes from the crops' centres.
        center_mm: float32 [N, 3] camera space.
        cube_mm: float32 [N].
    """

    split: str
    image: np.ndarray
    joints: np.ndarray
    center_mm: np.ndarray
    cube_mm: np.ndarray


def load_latent_run(directory: pathlib.Path, stage: str | None = None) -> tuple[Run, str]:
    """A run with the weights of its last finished stage, or of `stage`, and that stage's name.

    Raises:
        InputError: where the folder is no run, it has no depth stage of both domains, or no stage from that on is
            finished.
    """
    settings = run_folder.read_settings(directory)
    if stage == "pose":
        raise InputError(f"--stage {stage}: that comes before the depth stage, so E, G and M are not trained there")
    stage = stage or _last_finished(directory, settings)
    run = run_folder.load_run(directory, stage)
    # The mapping stage may come later, or not at all.
    if set(untrained_networks(run.networks)) - {"M"}:
        raise InputError(
            f"{directory}: its method, {settings.method}, with the stages {', '.join(settings.stages)}, has no depth "
            "stage of both domains, so there is no shared latent space to measure; give a run of --method lsps with a "
            "depth stage, such as one of --recipe paper"
        )
    return run, stage


def _last_finished(directory: pathlib.Path, settings: RunSettings) -> str:
    first = settings.stages.index("depth") if "depth" in settings.stages else 0
    for stage in reversed(settings.stages[first:]):
        if weights_path(directory, stage).is_file():
            return stage
    raise InputError(
        f"{directory}: no stage from the depth stage on is finished; go on with: python training/run.py --run-dir "
        f"{directory} --resume"
    )


def load_reader(option: str, directory: pathlib.Path, run: Run, domain: str | None) -> Run:
    """A regressor for the run's crops.

    Args:
        option: that names it, for messages.
        directory: of its run.
        run: whose images it is to read.
        domain: whose frames it must have learned to read; None for any.

    Raises:
        InputError: where it is of another size, skeleton or domain.
    """
    reader = run_folder.load_run(directory)
    for what, own, asked in (
        ("image_size", reader.config.data.image_size, run.config.data.image_size),
        ("cube_mm", reader.config.data.cube_mm, run.config.data.cube_mm),
        ("skeleton", reader.settings.skeleton, run.settings.skeleton),
    ):
        if own != asked:
            raise InputError(
                f"{option} {directory}: its {what} is {own}, that of {run.directory} is {asked}; give a reader that "
                "was trained on the same crops"
            )
    if domain is not None and reader.domain != domain:
        raise InputError(
            f"{option} {directory}: its method, {reader.settings.method}, reads {reader.domain} frames, and this "
            f"reader must read {domain} ones"
        )
    return reader


def held_out_hands(run: Run, store: Store, split: str, count: int) -> dict[str, Hands]:
    """Labelled hands of both domains that no training has seen, at most `count` each.

    Real ones are of "real/<split>", evenly spread. Synthetic ones are of "synthetic/validation". Where the store has
    none, the simulator that made the store makes them. A store of recorded frames without any gives those of
    "synthetic/train".

    Raises:
        InputError: where the store is of another skeleton, or no real frame has all its joints.
    """
    rows = labelled_rows(store, run.settings, split, range(run.skeleton.num_joints))
    if not len(rows):
        raise InputError(f"{store.path}: no frame of 'real/{split}' has labels for all joints; choose another split")
    real = _spread(rows, count)
    found = {"real": (f"real/{split}", store.read(f"real/{split}", real)), "synthetic": _synthetic(store, count)}
    return {domain: _hands(name, rows, run.config.data.image_size) for domain, (name, rows) in found.items()}


def hands_of_split(run: Run, store: Store, split: str, count: int) -> Hands:
    """Labelled hands of a split, evenly spread, at most `count`; InputError where it has none."""
    if not store.count(split):
        raise InputError(f"{store.path}: there are no frames of '{split}'; name a store that has some with --store")
    rows = store.read(split, _spread(np.arange(store.count(split)), count))
    return _hands(split, rows, run.config.data.image_size)


def _synthetic(store: Store, count: int) -> tuple[str, dict[str, np.ndarray]]:
    source = store.info.source
    if not store.count(HELD_OUT) and source.get("made_by") == "simulation":
        names = [field.name for field in dataclasses.fields(Simulation)]
        frames = SimulatedSource(Simulation(**{name: source[name] for name in names}), HELD_OUT, count)
        ranges = [range(first, min(first + BATCH, count)) for first in range(0, count, BATCH)]
        batches = [frames.job(positions)().rows for positions in ranges]
        return HELD_OUT, {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    split = HELD_OUT if store.count(HELD_OUT) else "synthetic/train"
    return split, store.read(split, _spread(np.arange(store.count(split)), count))


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))]


def _hands(split: str, rows: dict[str, np.ndarray], size: int) -> Hands:
    image = view_stored_crops(*(tf.constant(rows[name]) for name in IMAGE_COLUMNS), size)
    columns = [tf.constant(rows[name], tf.float32) for name in ("joints_mm", "center_mm", "cube_mm")]
    joints = crop.normalize_joints(*columns)
    return Hands(split, image.numpy()[..., 0], joints.numpy(), *(column.numpy() for column in columns[1:]))
