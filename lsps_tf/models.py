"""Opens what predicts joints: an exported SavedModel, an exported TFLite file, or a run folder."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from lsps_tf.device.network import TfliteNetwork
from lsps_tf.errors import InputError
from lsps_tf.model_info import ASSET_NAME, FROM_CROP, FROM_DEPTH, FROM_DEPTH_HINTED, MODEL_NAME, ModelInfo
from lsps_tf.predictor import Predictor, predictor_of_run
from lsps_tf.run_folder import load_run, settings_path

Outputs = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class OpenModel:
    """A model that is ready to predict.

    Attributes:
        kind: "SavedModel", "TFLite" or "run".
        info: its skeleton, image size and cube.
        predict: depth_mm [B, H, W], intrinsics [B, 4] and center_mm [B, 3] or None to the outputs of
            `lsps_tf.predictor.Predictor`.
        joints_of_crop: normalised crops [B, S, S, 1] to joints [B, J, 3] in half cubes.
    """

    kind: str
    info: ModelInfo
    predict: Callable[[tf.Tensor, tf.Tensor, tf.Tensor | None], Outputs]
    joints_of_crop: Callable[[tf.Tensor], tf.Tensor]


def open_model(path: str | pathlib.Path) -> OpenModel:
    """Opens a model by what lies at `path`.

    Args:
        path: a `.tflite` file, a SavedModel folder, a folder of versions (`lsps/`; the highest is taken), a folder
            that holds `lsps/`, or a run folder.

    Raises:
        InputError: where there is no model, it is damaged, or it is not one of this project's.
    """
    path = pathlib.Path(path)
    if path.is_file():
        return _open_tflite(path)
    if not path.exists():
        raise InputError(
            f"{path}: there is no such model; make one with: python export/run.py --run-dir RUN --output DIR"
        )
    if settings_path(path).exists():
        return _open_run(path)
    version = _find_version(path)
    if version is None:
        raise InputError(f"{path}: this is no model; give a SavedModel folder, a .tflite file or a finished run folder")
    return _open_saved_model(version)


def _find_version(path: pathlib.Path) -> pathlib.Path | None:
    if (path / "saved_model.pb").exists():
        return path
    versions = [part for part in path.iterdir() if part.name.isdigit() and (part / "saved_model.pb").exists()]
    if versions:
        return max(versions, key=lambda part: int(part.name))
    inner = path / MODEL_NAME
    return _find_version(inner) if inner.is_dir() else None


def _open_run(path: pathlib.Path) -> OpenModel:
    run = load_run(path)
    joints_of_crop = tf.function(lambda image: run.networks.predict_joints(image, run.domain))
    return OpenModel("run", ModelInfo.of_run(run), predictor_of_run(run), joints_of_crop)


def _open_saved_model(path: pathlib.Path) -> OpenModel:
    asset = path / "assets" / ASSET_NAME
    if not asset.is_file():
        raise InputError(f"{path}: this SavedModel was not exported by export/run.py (it has no assets/{ASSET_NAME})")
    info = ModelInfo.from_json(asset.read_bytes(), asset)
    try:
        loaded = tf.saved_model.load(str(path))
        signatures = {name: loaded.signatures[name] for name in (FROM_DEPTH, FROM_DEPTH_HINTED, FROM_CROP)}
    except (OSError, LookupError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"{path}: the SavedModel is damaged ({_first_line(error)}); export the run again") from error

    def predict(depth_mm: tf.Tensor, intrinsics: tf.Tensor, center_mm: tf.Tensor | None) -> Outputs:
        if center_mm is None:
            return signatures[FROM_DEPTH](depth_mm=depth_mm, intrinsics=intrinsics)
        right = tf.fill(tf.shape(center_mm)[:1], "right")
        hints = {"center_mm": center_mm, "hand": right}
        return signatures[FROM_DEPTH_HINTED](depth_mm=depth_mm, intrinsics=intrinsics, **hints)

    # The signatures do not keep the loaded object alive, and with it would go the variables.
    predict.model = loaded
    return OpenModel("SavedModel", info, predict, lambda image: signatures[FROM_CROP](image=image)["joints_norm"])


def _open_tflite(path: pathlib.Path) -> OpenModel:
    network = TfliteNetwork(path)
    info = network.info

    def run_crops(images: np.ndarray) -> np.ndarray:
        return np.stack([network(image) for image in images])

    def joints_of_crop(image: tf.Tensor) -> tf.Tensor:
        joints_norm = tf.numpy_function(run_crops, [image], tf.float32)
        return tf.ensure_shape(joints_norm, [image.shape[0], info.skeleton.num_joints, 3])

    predictor = Predictor(joints_of_crop, info.image_size, info.cube_mm, info.skeleton)
    return OpenModel("TFLite", info, predictor, joints_of_crop)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
