"""Makes and reads the project's files with the Python that runs it; tests/test_stacks.py starts it.

`make` writes a store, a run with weights, a SavedModel and TFLite files; `read` writes what they give into numbers.npz.
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import lsps_tf  # noqa: F401  It chooses Keras 2, so it comes before TensorFlow.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import conftest
import numpy as np
import tensorflow as tf

from export.exporting import export_command
from lsps_tf import augment
from lsps_tf.datasets.store import open_store
from lsps_tf.models import open_model
from lsps_tf.run_folder import SHIPPED


def make(folder):
    store = conftest.write_store(folder / "real.h5")
    run = conftest.write_run(folder / "run", str(store))
    assert export_command(["--run-dir", str(run), "--output", str(folder / "model")]) == 0


def read(folder, output):
    with open_store(folder / "real.h5") as store:
        frames = store.read("real/test", np.arange(8))
    stored = [tf.constant(frames[name]) for name in ("depth_mm", "center_mm", "extent_mm", "cube_mm")]
    angles, shifts_mm = tf.linspace(-1.0, 1.0, 8), tf.reshape(tf.linspace(-9.0, 9.0, 24), (8, 3))
    numbers = {f"store {name}": values for name, values in frames.items()}
    for name, path in (("run", "run"), ("SavedModel", "model/lsps"), ("TFLite", "model/lsps.tflite")):
        numbers[name] = open_model(folder / path).joints_of_crop(augment.view_crops(*stored, 32, angles, shifts_mm))
    shipped = open_model(SHIPPED)
    numbers["the shipped model"] = shipped.joints_of_crop(
        augment.view_crops(*stored, shipped.info.image_size, angles, shifts_mm)
    )
    np.savez(output, tensorflow=tf.__version__, **{name: np.asarray(values) for name, values in numbers.items()})


if __name__ == "__main__":
    command, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    make(folder) if command == "make" else read(folder, sys.argv[3])
