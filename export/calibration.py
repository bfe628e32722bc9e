"""Crops of the sensor that a run was made for: what 8-bit models are calibrated on."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf

from lsps_tf import crop
from lsps_tf.datasets.simulated import BATCH, Simulation, Simulator
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.run_folder import Run

SPLIT = "real/train"
COUNT = 256


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
    path = run.store_path if store is None else pathlib.Path(store)
    if store is None and not path.exists():
        if not run.settings.sensor:
            raise InputError(
                f"{run.directory}: int8 is calibrated on frames of the sensor, but the run's store {path} is gone; "
                "give one with --calibrate STORE.h5, or leave int8 out with --variants float32,float16,dynamic"
            )
        return _view(run, _simulate(run, count))
    with open_store(path) as opened:
        total = opened.count(SPLIT)
        if not total:
            raise InputError(f"{path}: there are no frames '{SPLIT}' in this store to calibrate int8 on")
        rows = np.unique(np.linspace(0, total - 1, min(count, total)).astype(np.int64))
        return _view(run, opened.read(SPLIT, rows))


def _simulate(run: Run, count: int) -> dict[str, np.ndarray]:
    data = run.config.data
    simulator = Simulator(Simulation(run.settings.sensor, run.skeleton.name, data.image_size, data.cube_mm), SPLIT)
    batches = [simulator.batch(number) for number in range(-(-count // BATCH))]
    return {name: np.concatenate([batch[name] for batch in batches])[:count] for name in batches[0]}


def _view(run: Run, rows: dict[str, np.ndarray]) -> np.ndarray:
    """The network's images of stored crops, which are frames of a camera of their own."""
    depth_mm, center_mm, cube_mm = (
        tf.constant(rows[name], tf.float32) for name in ("depth_mm", "center_mm", "cube_mm")
    )
    intrinsics = crop.crop_intrinsics(center_mm, tf.constant(rows["extent_mm"], tf.float32), depth_mm.shape[1])
    cropped_mm = crop.crop_frame(depth_mm, intrinsics, center_mm, cube_mm, run.config.data.image_size)
    return crop.normalize_depth(cropped_mm, center_mm, cube_mm).numpy()
