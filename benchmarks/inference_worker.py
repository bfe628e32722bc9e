"""Measures one exported run at one number of threads, in one process: called by `benchmarks/inference.py`.

All variants take turns, call by call, so that what else the machine does meets them alike.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import lsps_tf  # noqa: F401  It chooses Keras 2, so it comes before TensorFlow.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from export.exporting import sample_crops, size_in_bytes
from export.saved_model.signatures import VERSION
from export.tflite.calibration import calibration_images, labelled_crops
from lsps_tf import metrics
from lsps_tf.device.network import TfliteNetwork
from lsps_tf.model_info import FROM_CROP, MODEL_NAME, VARIANTS, tflite_name
from lsps_tf.run_folder import Run, load_run
from lsps_tf.tensorflow_paths import plain_folder

Runner = Callable[[np.ndarray], np.ndarray]
WARM_UP_CALLS = 20


def main() -> None:
    run_dir, models, threads, seconds, frames, output = sys.argv[1:7]
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(1)
    run = load_run(run_dir)
    runners, sizes = build_runners(run, Path(models), int(threads))
    images, joints_norm = test_frames(run, int(frames))
    report = {}
    for name, latencies_ms in measure(runners, images, float(seconds)).items():
        report[name] = {
            "bytes": sizes[name],
            "median_ms": float(np.median(latencies_ms)),
            "p90_ms": float(np.percentile(latencies_ms, 90)),
            "calls": len(latencies_ms),
            "error_mm": joint_error_mm(run, runners[name], images, joints_norm),
        }
    Path(output).write_text(json.dumps(report), encoding="utf-8")


def build_runners(run: Run, models: Path, threads: int) -> tuple[dict[str, Runner], dict[str, int]]:
    """Every variant as a function of one crop [1, S, S, 1] to joints [J, 3], and its size in bytes."""
    size = run.config.data.image_size
    weights = sum(int(np.prod(variable.shape)) * 4 for variable in run.networks.deployed_variables(run.domain))
    spec = tf.TensorSpec([1, size, size, 1], tf.float32)
    keras = tf.function(lambda image: run.networks.predict_joints(image, run.domain), input_signature=[spec])
    saved_model_dir = models / MODEL_NAME / VERSION
    with plain_folder(saved_model_dir) as plain:
        loaded = tf.saved_model.load(plain)
    signature = loaded.signatures[FROM_CROP]
    runners: dict[str, Runner] = {
        "Keras": lambda image: keras(image).numpy()[0],
        "SavedModel": lambda image, _=loaded: signature(image=tf.constant(image))["joints_norm"].numpy()[0],
    }
    sizes = {"Keras": weights, "SavedModel": size_in_bytes(saved_model_dir)}
    for variant in VARIANTS:
        path = models / tflite_name(variant)
        network = TfliteNetwork(path, threads)
        runners[f"TFLite {variant}"] = lambda image, network=network: network(image[0])[0]
        sizes[f"TFLite {variant}"] = path.stat().st_size
    try:
        from torch_network import build_runner
    except ImportError:
        return runners, sizes
    runners["PyTorch"], sizes["PyTorch"] = build_runner(run, threads), weights
    return runners, sizes


def test_frames(run: Run, count: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Crops [N, S, S, 1] of the store's test split with joints [N, J, 3] in half cubes; simulated ones without."""
    if not run.store_path.is_file():
        return sample_crops(run.config.data.image_size, run.config.data.cube_mm, 8).numpy(), None
    crops = labelled_crops(run, ("real/test",), count=count)
    return (crops.images, crops.joints_norm) if crops is not None else (calibration_images(run, count=8), None)


def measure(runners: dict[str, Runner], images: np.ndarray, seconds: float) -> dict[str, list[float]]:
    """Latencies in ms; each variant is called until it has had its `seconds`, one call after the other in turns."""
    latencies_ms: dict[str, list[float]] = {name: [] for name in runners}
    for predict in runners.values():
        for _ in range(WARM_UP_CALLS):
            predict(images[:1])
    number = 0
    while waiting := [name for name, values in latencies_ms.items() if sum(values) < 1000 * seconds]:
        number += 1
        for name in waiting:
            image = images[number % len(images)][None]
            started = time.perf_counter()
            runners[name](image)
            latencies_ms[name].append(1000 * (time.perf_counter() - started))
    return latencies_ms


def joint_error_mm(run: Run, predict: Runner, images: np.ndarray, joints_norm: np.ndarray | None) -> float | None:
    """Mean error of the evaluated joints, mm."""
    if joints_norm is None:
        return None
    half_mm, evaluated = run.config.data.cube_mm / 2, list(run.skeleton.evaluated)
    predicted = np.stack([predict(image[None]) for image in images])
    errors_mm = metrics.joint_errors_mm(half_mm * predicted[:, evaluated], half_mm * joints_norm[:, evaluated])
    return metrics.mean_joint_error_mm(errors_mm)


if __name__ == "__main__":
    main()
