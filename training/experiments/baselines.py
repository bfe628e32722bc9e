"""How a cell predicts: the network of its run, or what needs none of its own, such as the mean pose."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from lsps_tf import crop, generate
from lsps_tf.datasets.store import open_store
from lsps_tf.run_folder import Run
from training.plan import labelled_frames

# Images [B, S, S, 1] in [-1, 1] of real frames to joints [B, J, 3] in half cubes.
Predict = Callable[[tf.Tensor], tf.Tensor]


def predict_by_run(run: Run, beside: Run | None = None) -> Predict:
    """The run's own network."""
    return lambda image: run.networks.predict_joints(image, run.domain)


def predict_mean_pose(run: Run, beside: Run | None = None) -> Predict:
    """The same joints for every frame: their mean over the labelled real training frames, relative to the crop.

    It uses all labels, but no image.
    """
    mean = tf.constant(mean_pose(run), tf.float32)
    return lambda image: tf.tile(mean[None], (tf.shape(image)[0], 1, 1))


def predict_translated(run: Run, beside: Run | None = None) -> Predict:
    """Real images through E_r and G_s of `beside`, then the regressor of `run`, which knows synthetic images alone."""

    def predict(image: tf.Tensor) -> tf.Tensor:
        translated = generate.translate(beside.networks, image, "real", "synthetic")
        return run.networks.predict_joints(translated, "synthetic")

    return predict


def mean_pose(run: Run) -> np.ndarray:
    """Mean joints [J, 3] in half cubes of the labelled frames of "real/train" that the run may use."""
    with open_store(run.store_path) as store:
        rows = list(labelled_frames(dataclasses.replace(run.settings, labels=1.0), store))
        columns = [store.column("real/train", name)[rows] for name in ("joints_mm", "center_mm", "cube_mm")]
    return np.mean(crop.normalize_joints(*columns).numpy(), axis=0)


PREDICTORS: dict[str, Callable[[Run, Run | None], Predict]] = {
    "run": predict_by_run,
    "mean-pose": predict_mean_pose,
    "translate": predict_translated,
}
