"""The frames that are translated or walked between: of a store, of one's own camera, or simulated."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf import rotation
from lsps_tf.augment import IMAGE_COLUMNS, view_stored_crops
from lsps_tf.commandline.options import FrameOptions
from lsps_tf.datasets.simulated import build_simulator
from lsps_tf.datasets.simulator import BATCH, DATASETS, VERSIONS, Simulation
from lsps_tf.datasets.store import Store, is_store, open_store
from lsps_tf.errors import InputError
from lsps_tf.hand_predictor import readings
from lsps_tf.predictor import predictor_of_run
from lsps_tf.run_folder import Run

# In this order, where no part is named: what the networks were not trained on comes first.
PARTS = ("test", "validation", "train")
_DEFAULT_SENSOR = "structured-light"


class Frames(NamedTuple):
    """Crops as the networks see them.

    Attributes:
        image: [N, S, S, 1] in [-1, 1].
        center_mm: [N, 3] camera space.
        cube_mm: [N].
        joints_mm: [N, J, 3] camera space, NaN where a frame has no label.
    """

    image: np.ndarray
    center_mm: np.ndarray
    cube_mm: np.ndarray
    joints_mm: np.ndarray


def frames_of(run: Run, domain: str, given: argparse.Namespace) -> Frames:
    """Frames of a domain from what the command line names.

    In this order: one's own frames, the store that is named, the run's own store where it is there, the simulator.
    """
    if given.frames:
        return own_frames(run, given)
    if given.store is not None:
        return stored_frames(run, given.store, domain, given.part, given.count)
    # A run that the simulator fed has a store of frames to test on alone.
    streamed = run.settings.stream and (domain == "synthetic" or given.part == "train")
    if is_store(run.store_path) and not streamed:
        return stored_frames(run, run.store_path, domain, given.part, given.count)
    return simulated_frames(run, domain, given.count)


def stored_frames(run: Run, path: pathlib.Path, domain: str, part: str | None, count: int) -> Frames:
    """Frames of a store, evenly spread over a split; InputError where it has no such frames."""
    with open_store(path) as store:
        split = domain_split(store, domain, part)
        total = store.count(split)
        rows = store.read(split, np.unique(np.linspace(0, total - 1, min(count, total)).astype(int)))
    return _of_rows(run, rows)


def domain_split(store: Store, domain: str, part: str | None) -> str:
    """The split of a store that has frames of a domain.

    Args:
        store: open.
        domain: "synthetic" or "real".
        part: "train", "validation" or "test"; None takes the first that is there, in the order of PARTS.

    Raises:
        InputError: where the store has no frames of this domain, or not of this part.
    """
    held = {split: frames for split, frames in store.splits().items() if frames}
    for wanted in PARTS if part is None else (part,):
        if f"{domain}/{wanted}" in held:
            return f"{domain}/{wanted}"
    missing = f"of the domain '{domain}'" if part is None else f"of '{domain}/{part}'"
    raise InputError(
        f"{store.path}: the store has no frames {missing}; it has {', '.join(held) or 'none'}; name one of these "
        "with --domain and --part, or give another --store"
    )


def own_frames(run: Run, given: argparse.Namespace) -> Frames:
    """The nearest hand in each of one's own frames; a left hand in a mirror, as the networks know right ones.

    Raises:
        InputError: where a frame cannot be read, or shows no hand.
    """
    asked, predictor = FrameOptions.of(given), predictor_of_run(run)
    images, centers = [], []
    for path in given.frames:
        depth_mm, camera = asked.read(path)
        depth_mm = rotation.rotate_depth(readings(depth_mm), asked.rotation_degrees)
        intrinsics = rotation.rotate_camera(camera, asked.rotation_degrees).intrinsics
        depth, intrinsics = (tf.constant(value[None], tf.float32) for value in (depth_mm, intrinsics))
        located = predictor.locate(depth, intrinsics, hand=tf.constant([asked.hand]))
        if not bool(located.presence[0]):
            raise InputError(
                f"{path}: no hand was found; it must be what is nearest to the camera, and --camera and --depth-unit "
                "must be right"
            )
        images.append(predictor.crops.look(located).image[0].numpy())
        centers.append(located.center_mm[0].numpy())
    count = len(images)
    cube_mm = np.full(count, run.config.data.cube_mm, np.float32)
    joints_mm = np.full((count, run.skeleton.num_joints, 3), np.nan, np.float32)
    return Frames(np.stack(images), np.stack(centers), cube_mm, joints_mm)


def simulated_frames(run: Run, domain: str, count: int) -> Frames:
    """Frames of subjects that no training has seen, "real", or of the average hand, "synthetic"."""
    simulator = build_simulator(simulation_of(run), "real/test" if domain == "real" else "synthetic/validation")
    with _eagerly():
        batches = [simulator.batch(number) for number in range(-(-count // BATCH))]
    rows = {name: np.concatenate([batch[name] for batch in batches])[:count] for name in batches[0]}
    return _of_rows(run, rows)


def simulation_of(run: Run) -> Simulation:
    """The simulation of a run's sensor and crops; of a run on other data, that of structured light."""
    settings = run.settings
    data, version = run.config.data, DATASETS.get(settings.dataset, VERSIONS[0])
    return Simulation(settings.sensor or _DEFAULT_SENSOR, settings.skeleton, data.image_size, data.cube_mm, version)


def image_of_rows(rows: dict[str, np.ndarray], size: int) -> np.ndarray:
    """The networks' images [B, size, size, 1] of a store's rows."""
    return view_stored_crops(*(rows[name] for name in IMAGE_COLUMNS), size).numpy()


def _of_rows(run: Run, rows: dict[str, np.ndarray]) -> Frames:
    image = image_of_rows(rows, run.config.data.image_size)
    return Frames(image, *(np.asarray(rows[name]) for name in ("center_mm", "cube_mm", "joints_mm")))


@contextlib.contextmanager
def _eagerly() -> Iterator[None]:
    """Without graphs, whose building takes longer than one or two batches."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
