"""Opens what predicts joints: an exported SavedModel, an exported TFLite file, or a run folder.

TensorFlow is imported for SavedModels and runs alone; a TFLite file needs NumPy and LiteRT.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from lsps_tf.device.network import TfliteNetwork
from lsps_tf.device.predictor import tflite_model
from lsps_tf.errors import InputError
from lsps_tf.hand import Hand
from lsps_tf.hand_predictor import HandPredictor, OpenModel, View
from lsps_tf.mirror import AUTO
from lsps_tf.model_info import (
    ASSET_NAME,
    FROM_CROP,
    FROM_DEPTH_HANDS,
    FROM_DEPTH_HINTED,
    MODEL_NAME,
    SHIPPED_NUMBERS,
    ModelInfo,
    tflite_name,
)
from lsps_tf.model_manifest import check_hash
from lsps_tf.refining import refining
from lsps_tf.run_folder import SHIPPED, load_run, run_files, settings_path
from lsps_tf.tensorflow_paths import plain_folder

SHIPPED_TFLITE = SHIPPED / tflite_name(SHIPPED_NUMBERS)


def load_predictor(
    path: str | pathlib.Path | None = None,
    hand: str = AUTO,
    joints: int | None = None,
    rotation_degrees: int = 0,
    threads: int = 1,
    hands: int = 1,
    refine: bool = False,
) -> HandPredictor:
    """As `lsps_tf.load_predictor`."""
    model = open_model(path, threads)
    return HandPredictor(refining(model) if refine else model, hand, joints, rotation_degrees, hands)


def open_model(path: str | pathlib.Path | None = None, threads: int = 1, expected: tuple[str, ...] = ()) -> OpenModel:
    """Opens a model by what lies at `path`.

    Args:
        path: a `.tflite` file, a SavedModel folder, a folder of versions (`lsps/`; the highest is taken), a folder
            that holds `lsps/`, or a run folder. None takes the trained model that comes with the program.
        threads: of a TFLite file's network.
        expected: hashes, of which the model has to have one (`model_manifest`); empty takes any model. What is hashed
            of a run are its settings and the weights that it predicts with.

    Raises:
        InputError: where there is no model, it is damaged, it is not one of this project's, or its hash is another.
    """
    if path is None:
        if not SHIPPED_TFLITE.is_file():
            raise InputError(f"{SHIPPED_TFLITE}: the trained model is missing; install the program again, or give one")
        path = SHIPPED_TFLITE
    path = pathlib.Path(path)
    if path.is_file():
        if expected:
            check_hash(path, expected)
        return tflite_model(TfliteNetwork(path, threads))
    if not path.exists():
        raise InputError(
            f"{path}: there is no such model; make one with: python export/run.py --run-dir RUN --output DIR"
        )
    if settings_path(path).exists():
        if expected:
            check_hash(path, expected, run_files(path))
        return _open_run(path)
    version = _find_version(path)
    if version is None:
        raise InputError(f"{path}: this is no model; give a SavedModel folder, a .tflite file or a finished run folder")
    if expected:
        check_hash(version, expected)
    return _open_saved_model(version)


def hands_of_outputs(outputs: dict[str, Any], info: ModelInfo) -> list[Hand]:
    """The hands in a model's outputs for one frame, without the batch axis: of one hand, or of several."""
    if np.ndim(outputs["presence"]):
        by_hand = {name: value for name, value in outputs.items() if np.ndim(value)}
        rows = [dict(zip(by_hand, values)) for values in zip(*by_hand.values())]
        return [hand for row in rows for hand in hands_of_outputs(row, info)]
    if not outputs["presence"]:
        return []
    points = (np.asarray(outputs[name], np.float32) for name in ("joints_mm", "joints_uvd", "center_mm"))
    side, confidence = outputs["hand"], outputs.get("confidence")
    side = side.decode() if isinstance(side, bytes) else str(side)
    confidence = None if confidence is None else np.asarray(confidence, np.float32)
    return [Hand(*points, info.skeleton, side, confidence, float(outputs["right_logit"]))]


def _find_version(path: pathlib.Path) -> pathlib.Path | None:
    if (path / "saved_model.pb").exists():
        return path
    versions = [part for part in path.iterdir() if part.name.isdigit() and (part / "saved_model.pb").exists()]
    if versions:
        return max(versions, key=lambda part: int(part.name))
    inner = path / MODEL_NAME
    return _find_version(inner) if inner.is_dir() else None


def _open_run(path: pathlib.Path) -> OpenModel:
    import tensorflow as tf

    from lsps_tf.predictor import predictor_of_run

    run = load_run(path)
    predictor, info = predictor_of_run(run), ModelInfo.of_run(run)
    joints_of_crop = tf.function(lambda image: run.networks.predict_joints(image, run.domain))

    def predict(view: View) -> list[Hand]:
        hand = tf.constant([view.side])
        if view.hands > 1:
            outputs = predictor.predict_hands(*_frame(view), view.hands, hand)
        else:
            center_mm = None if view.center_mm is None else tf.constant(view.center_mm[None])
            outputs = predictor(*_frame(view), center_mm, hand)
        return hands_of_outputs(_first_row(outputs), info)

    return OpenModel("run", str(path), info, predict, lambda images: joints_of_crop(tf.constant(images)).numpy())


def _open_saved_model(path: pathlib.Path) -> OpenModel:
    import tensorflow as tf

    asset = path / "assets" / ASSET_NAME
    if not asset.is_file():
        raise InputError(f"{path}: this SavedModel was not exported by export/run.py (it has no assets/{ASSET_NAME})")
    info = ModelInfo.from_json(asset.read_bytes(), asset)
    try:
        with plain_folder(path) as plain:
            loaded = tf.saved_model.load(plain)
        from_depth, from_crop = (loaded.signatures[name] for name in (FROM_DEPTH_HINTED, FROM_CROP))
        several = loaded.signatures.get(FROM_DEPTH_HANDS)
    except (OSError, LookupError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"{path}: the SavedModel is damaged ({_first_line(error)}); export the run again") from error

    if several is None:
        raise InputError(f"{path}: the SavedModel was exported before models told hands apart; export the run again")

    def predict(view: View) -> list[Hand]:
        depth_mm, intrinsics = _frame(view)
        inputs = {"depth_mm": depth_mm, "intrinsics": intrinsics, "hand": tf.constant([view.side])}
        if view.hands > 1:
            return hands_of_outputs(_first_row(several(**inputs)), info)[: view.hands]
        center_mm = np.full(3, np.nan, np.float32) if view.center_mm is None else view.center_mm
        return hands_of_outputs(_first_row(from_depth(center_mm=tf.constant(center_mm[None]), **inputs)), info)

    # The signatures do not keep the loaded object alive, and with it would go the variables.
    predict.model = loaded
    return OpenModel("SavedModel", str(path), info, predict, _crop_function(from_crop))


def _crop_function(from_crop: Callable[..., dict[str, Any]]) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    return lambda images: from_crop(image=tf.constant(images))["joints_norm"].numpy()


def _frame(view: View) -> tuple[Any, Any]:
    """The frame [1, H, W], float32, and the intrinsics [1, 4] as tensors."""
    import tensorflow as tf

    return tf.constant(view.depth_mm[None].astype(np.float32)), tf.constant(view.camera.intrinsics[None])


def _first_row(outputs: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: value.numpy()[0] for name, value in outputs.items()}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
