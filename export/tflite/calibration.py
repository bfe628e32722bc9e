"""Frames of the sensor that a run was made for: what 8-bit models and the confidence are calibrated on."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsps_tf import augment
from lsps_tf.confidence import Confidence, error_signs, fit_calibration
from lsps_tf.datasets.simulated import build_simulator
from lsps_tf.datasets.simulator import BATCH, VERSIONS, Simulation
from lsps_tf.datasets.simulator import DATASETS as SIMULATIONS
from lsps_tf.datasets.store import is_store, open_store
from lsps_tf.errors import InputError
from lsps_tf.run_folder import Run

UNLABELLED = "real/train"
# Where the confidence is calibrated, in this order: on the sensor's frames if they have labels.
LABELLED = ("real/validation", "synthetic/validation", "synthetic/train")
COUNT, LABELLED_COUNT, PART = 512, 2048, 128
# Where the store is gone and frames are simulated again, fewer have to do.
SIMULATED_COUNT = 512


class LabelledCrops(NamedTuple):
    """Frames as the network sees them, and their labels.

    Attributes:
        images: float32 [N, S, S, 1] in [-1, 1].
        joints_norm: float32 [N, J, 3] in half cubes; NaN where a joint has no label.
        half_mm: float32 [N], the half cubes.
        split: which frames these are.
    """

    images: np.ndarray
    joints_norm: np.ndarray
    half_mm: np.ndarray
    split: str


def calibration_images(run: Run, store: str | pathlib.Path | None = None, count: int = COUNT) -> np.ndarray:
    """Crops of the real domain, which need no labels, as the network sees them.

    From `store`, or from the run's own store; where that one is gone and its data was simulated, it is simulated again.

    Args:
        run: a loaded run.
        store: another HDF5 store of the same sensor, None for the run's.
        count: at most so many, evenly spread over the frames to train on.

    Returns:
        float32 [N, S, S, 1] in [-1, 1].

    Raises:
        InputError: where there are no frames of the sensor.
    """
    path = _store_path(run, store)
    if path is None and not run.settings.sensor:
        raise InputError(
            f"{run.directory}: int8 is calibrated on frames of the sensor, but the store {run.store_path} is gone; "
            "give one with --calibrate STORE.h5, or leave int8 out with --variants float32,float16,dynamic"
        )
    if path is None:
        return _view(run, _simulate(run, UNLABELLED, count))
    with open_store(path) as opened:
        total = opened.count(UNLABELLED)
        if not total and store is None and run.settings.stream:
            return _view(run, _simulate(run, UNLABELLED, count))
        if not total:
            raise InputError(f"{path}: there are no frames '{UNLABELLED}' in this store to calibrate int8 on")
        return _view(run, opened.read(UNLABELLED, _spread(total, count)))


def labelled_crops(
    run: Run,
    splits: tuple[str, ...] = LABELLED,
    store: str | pathlib.Path | None = None,
    count: int = LABELLED_COUNT,
) -> LabelledCrops | None:
    """Crops with labels of the first split that has any; stores as of `calibration_images`.

    Args:
        run: a loaded run.
        splits: in the order in which they are tried.
        store: another HDF5 store of the same sensor, None for the run's.
        count: at most so many, evenly spread over the split's.

    Returns:
        The crops, or None where no frame has a label, or the store is gone and was not simulated.

    Raises:
        InputError: where `store` is missing, or of another skeleton.
    """
    path = _store_path(run, store)
    if path is None:
        if not run.settings.sensor:
            return None
        return _with_labels(run, _simulate(run, splits[0], min(count, SIMULATED_COUNT)), splits[0])
    with open_store(path) as opened:
        if opened.info.skeleton.name != run.skeleton.name:
            raise InputError(f"{path}: its skeleton is {opened.info.skeleton.name}, the run's is {run.skeleton.name}")
        for split in splits:
            if opened.count(split):
                labelled = np.isfinite(opened.column(split, "joints_mm")).any(axis=(1, 2))
                rows = np.flatnonzero(labelled)
                if len(rows):
                    return _with_labels(run, opened.read(split, rows[_spread(len(rows), count)]), split)
    return None


def fit_confidence(run: Run, store: str | pathlib.Path | None = None) -> Confidence | None:
    """The confidence of a run's joints, calibrated on frames that it was not trained on; None without any labels.

    Raises:
        InputError: where `store` is missing, or of another skeleton.
    """
    crops = labelled_crops(run, LABELLED, store)
    if crops is None:
        return None
    signs, errors_mm = signs_and_errors(run, crops)
    return Confidence(run.networks, fit_calibration(signs, errors_mm, crops.split))


def signs_and_errors(run: Run, crops: LabelledCrops) -> tuple[np.ndarray, np.ndarray]:
    """`lsps_tf.confidence.error_signs` [N, J, F] of crops, and the joints' errors [N, J] in mm."""

    @tf.function(input_signature=[tf.TensorSpec([None, *crops.images.shape[1:]], tf.float32)])
    def predict(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pose_latent = run.networks.predict_latent(images, run.domain)
        return error_signs(run.networks, pose_latent), run.networks.decode_pose(pose_latent)

    parts = [predict(crops.images[first : first + PART]) for first in range(0, len(crops.images), PART)]
    signs, joints_norm = (np.concatenate([part[k].numpy() for part in parts]) for k in range(2))
    errors_norm = np.linalg.norm(joints_norm - crops.joints_norm, axis=-1)
    return signs, errors_norm * crops.half_mm[:, None]


def _store_path(run: Run, store: str | pathlib.Path | None) -> pathlib.Path | None:
    """The store to read; None where the run's own is gone."""
    if store is not None:
        return pathlib.Path(store)
    return run.store_path if is_store(run.store_path) else None


def _spread(total: int, count: int) -> np.ndarray:
    return np.unique(np.linspace(0, total - 1, min(count, total)).astype(np.int64))


def _simulate(run: Run, split: str, count: int) -> dict[str, np.ndarray]:
    data = run.config.data
    version = SIMULATIONS.get(run.settings.dataset, VERSIONS[0])
    simulation = Simulation(run.settings.sensor, run.skeleton.name, data.image_size, data.cube_mm, version)
    simulator = build_simulator(simulation, split)
    batches = [simulator.batch(number) for number in range(-(-count // BATCH))]
    return {name: np.concatenate([batch[name] for batch in batches])[:count] for name in batches[0]}


def _with_labels(run: Run, rows: dict[str, np.ndarray], split: str) -> LabelledCrops:
    half_mm = (0.5 * rows["cube_mm"]).astype(np.float32)
    joints_norm = (rows["joints_mm"] - rows["center_mm"][:, None]) / half_mm[:, None, None]
    return LabelledCrops(_view(run, rows), joints_norm.astype(np.float32), half_mm, split)


def _view(run: Run, rows: dict[str, np.ndarray]) -> np.ndarray:
    """The network's images of stored crops."""
    stored = [rows[name] for name in augment.IMAGE_COLUMNS]
    return augment.view_stored_crops(*stored, run.config.data.image_size).numpy()
