"""The trained model that comes with the program: its figures can be measured again, and it is small and plain."""

import json

import h5py
import numpy as np
import tensorflow as tf

from lsps_tf import augment, crop
from lsps_tf.datasets.simulated import ensure_store
from lsps_tf.datasets.simulator import DATASETS, Simulation
from lsps_tf.datasets.store import open_store
from lsps_tf.models import SHIPPED_TFLITE, open_model
from lsps_tf.run_folder import SHIPPED, load_run

# A batch of each sensor.
FRAMES = 192


def test_its_error_on_test_subjects_is_what_its_card_says(tmp_path):
    run = load_run(SHIPPED)
    data = run.config.data
    version = DATASETS[run.settings.dataset]
    simulation = Simulation(run.settings.sensor, run.settings.skeleton, data.image_size, data.cube_mm, version)
    ensure_store(simulation, tmp_path, {"real/test": FRAMES})
    (path,) = tmp_path.rglob("*.h5")
    with open_store(path) as store:
        frames = store.read("real/test", np.arange(FRAMES))
    stored = [tf.constant(frames[name]) for name in ("depth_mm", "center_mm", "extent_mm", "cube_mm")]
    image = augment.view_crops(*stored, data.image_size, tf.zeros(FRAMES), tf.zeros((FRAMES, 3)))

    def errors_of(joints_norm):
        joints_mm = crop.denormalize_joints(joints_norm, frames["center_mm"], frames["cube_mm"])
        away_mm = np.linalg.norm(joints_mm - frames["joints_mm"], axis=-1)
        return away_mm[:, list(run.skeleton.evaluated)].mean(axis=1)

    errors_mm = errors_of(run.networks.predict_joints(image, run.domain))
    figures = json.loads((SHIPPED / "evaluation" / "test.json").read_text())
    # The file that ships has weights of 8 bits.
    rounded_mm = errors_of(tf.constant(open_model(SHIPPED_TFLITE).joints_of_crop(image.numpy())))
    assert abs(rounded_mm.mean() - errors_mm.mean()) < 0.3
    # Frames are fixed by their number, so these are the first of those that the card counts.
    three_errors = 3 * errors_mm.std() / np.sqrt(FRAMES)
    assert abs(errors_mm.mean() - figures["mean_error_mm"]) < three_errors < 4.0
    assert f"| mean joint error | {figures['mean_error_mm']:.2f} |" in (SHIPPED.parent / "README.md").read_text()


def test_it_is_small_and_holds_arrays_alone():
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 10e6
    assert {path.suffix for path in files} == {".json", ".h5", ".tflite"}
    weights, network = SHIPPED / "weights" / "regression.h5", SHIPPED_TFLITE
    assert weights.stat().st_size < 8e6 and network.stat().st_size < 3e6
    with h5py.File(weights) as file:
        arrays = []
        file.visititems(lambda name, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
        assert arrays and all(array.dtype == np.float32 and np.isfinite(array[...]).all() for array in arrays)
