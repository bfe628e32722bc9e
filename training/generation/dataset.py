"""`generate.py dataset`: labelled frames as the sensor would see them, in a store that trains (section 5)."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from lsps_tf import crop, generate
from lsps_tf.datasets.generated import stored_rows
from lsps_tf.datasets.simulated import build_simulator
from lsps_tf.datasets.simulator import BATCH
from lsps_tf.datasets.store import Store, create_store, open_store, stored_size
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path
from lsps_tf.run_folder import Run
from lsps_tf.simulation import sensor
from training.generation.frames import domain_split, image_of_rows, simulation_of
from training.generation.writing import say_written

Rows = dict[str, np.ndarray]
SOURCE = "synthetic/train"
MADE = "real/train"


def dataset(run: Run, given: argparse.Namespace) -> None:
    """Writes a store: "synthetic/train" are simulated frames, "real/train" the same hands as the sensor's domain.

    With `--beside` the real frames of another store come first, and its other real splits come along.
    """
    if given.store is not None:
        _check_source(run, given)
    path = given.output / "generated.h5"
    with contextlib.ExitStack() as stack:
        beside = None if given.beside is None else stack.enter_context(open_store(given.beside))
        if beside is not None:
            _check_beside(beside, run)
        partial = stack.enter_context(atomic_path(path))
        store = stack.enter_context(_create(partial, run, given))
        if beside is not None:
            for split in beside.splits():
                if split.startswith("real/"):
                    store.append_stored(split, beside)
        _fill(store, run, given)
        counts = {split: count for split, count in store.splits().items() if count}
    say_written([path])
    print("It holds " + ", ".join(f"{count} frames of {split}" for split, count in sorted(counts.items())) + ".")
    print(f"Train on it: python training/run.py --dataset {path} --method real --preset {run.config.preset}")


def _create(path: pathlib.Path, run: Run, given: argparse.Namespace) -> Store:
    source = {
        "made_by": "generate.py",
        "run": run.directory.name,
        "by": given.by,
        "seed": given.seed,
        "centering": run.settings.centering,
    }
    camera = sensor.SENSORS[simulation_of(run).sensors[0]].camera
    return create_store(path, run.settings.skeleton, camera, stored_size(run.config.data.image_size), source)


def _fill(store: Store, run: Run, given: argparse.Namespace) -> None:
    with tqdm(total=given.count, desc="generate", unit="frame", mininterval=1.0) as bar:
        for rows in _source_rows(run, given):
            store.append(SOURCE, rows)
            store.append(MADE, made_rows(run, rows, given.by))
            bar.update(len(rows["frame"]))


def made_rows(run: Run, rows: Rows, by: str) -> Rows:
    """Simulated rows of a store as the real domain has them.

    Args:
        run: whose networks.
        rows: labelled rows of simulated frames.
        by: "translation", G_r(E_s(x)), or "pose", G_r(M(E_y(y))).

    Returns:
        Rows of a store; the joints are those of the simulated frames.
    """
    if by == "translation":
        image = image_of_rows(rows, run.config.data.image_size)
        return stored_rows(generate.translate(run.networks, image, "synthetic", "real").numpy()[..., 0], rows)
    joints_norm = crop.normalize_joints(rows["joints_mm"], rows["center_mm"], rows["cube_mm"])
    codes = generate.codes_of_joints(run.networks, joints_norm)
    return stored_rows(generate.hands_of_codes(run.networks, codes).real, rows)


def _source_rows(run: Run, given: argparse.Namespace) -> Iterator[Rows]:
    """Batches of labelled simulated rows, `given.count` in all: of a store, or simulated."""
    if given.store is None:
        simulator = build_simulator(simulation_of(run), SOURCE)
        # Every seed has simulated frames of its own.
        first = given.seed * 10_000
        for number in range(-(-given.count // BATCH)):
            rows = simulator.batch(first + number)
            yield {name: values[: given.count - number * BATCH] for name, values in rows.items()}
        return
    with open_store(given.store) as store:
        split = domain_split(store, "synthetic", given.part)
        chosen = np.sort(np.random.default_rng([given.seed, 29]).permutation(store.count(split))[: given.count])
        for part in np.split(chosen, range(BATCH, len(chosen), BATCH)):
            yield store.read(split, part)


def _check_source(run: Run, given: argparse.Namespace) -> None:
    """InputError where the store that frames are taken from is another run's, or has too few."""
    with open_store(given.store) as store:
        _check_fits(store, run)
        split = domain_split(store, "synthetic", given.part)
        if store.count(split) < given.count:
            raise InputError(
                f"{given.store}: '{split}' has {store.count(split)} frames, and --count asks for {given.count}; "
                "give fewer, or leave --store out to simulate them"
            )


def _check_fits(store: Store, run: Run) -> None:
    """InputError where a store's frames are of other joints than the run's, or stored in another size."""
    size = stored_size(run.config.data.image_size)
    if store.info.skeleton != run.skeleton:
        raise InputError(
            f"{store.path}: its joints are {store.info.skeleton.name}'s, the run's {run.skeleton.name}'s; give another"
        )
    if store.info.size != size:
        raise InputError(
            f"{store.path}: its crops have {store.info.size} pixels, this run's stores {size}; give a store of "
            f"{run.config.data.image_size} pixel images"
        )


def _check_beside(store: Store, run: Run) -> None:
    _check_fits(store, run)
    if not any(split.startswith("real/") and count for split, count in store.splits().items()):
        raise InputError(f"{store.path}: the store has no real frames to keep beside the generated ones")
