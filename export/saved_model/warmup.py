"""The requests that an exported model brings along, so that the first one of a user is not slow.

TensorFlow Serving reads them from `assets.extra/tf_serving_warmup_requests`, a TFRecord of PredictionLog, and runs them
before it serves a version. https://www.tensorflow.org/tfx/serving/saved_model_warmup
"""

from __future__ import annotations

import io
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image

from export.serving.warmup import WARMUP_FILE, prediction_log_class
from lsps_tf.camera import Camera
from lsps_tf.tensorflow_paths import plain_folder

BATCHES = (1, 4)
# A small camera: what takes time at first does not depend on the size of frames, the size of this file does.
CAMERA = Camera(150.0, 150.0, 80.0, 60.0, 160, 120)
_DISTANCE_MM, _RADIUS_MM = 600.0, 50.0


def write_warmup_requests(model: pathlib.Path, signatures: dict[str, tf.types.experimental.ConcreteFunction]) -> None:
    """Writes a request per signature and batch size into the SavedModel's folder `model`."""
    path = model / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    log_class, frame_mm = prediction_log_class(), example_frame()
    with plain_folder(path.parent) as plain, tf.io.TFRecordWriter(f"{plain}/{path.name}") as writer:
        for name, function in signatures.items():
            for batch in BATCHES:
                log = log_class()
                request = log.predict_log.request
                request.model_spec.name, request.model_spec.signature_name = model.parent.name, name
                for spec in tf.nest.flatten(function.structured_input_signature):
                    rows = np.repeat(_example_value(spec, frame_mm)[None], batch, axis=0)
                    request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(rows))
                writer.write(log.SerializeToString())


def example_frame() -> np.ndarray:
    """A frame of that camera that shows something of a hand's size: float32 [120, 160] in mm."""
    v, u = np.indices((CAMERA.height, CAMERA.width))
    distance_mm = np.hypot((u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy) * _DISTANCE_MM
    bulge_mm = np.sqrt(np.maximum(_RADIUS_MM**2 - distance_mm**2, 0.0))
    return np.where(distance_mm < _RADIUS_MM, _DISTANCE_MM - bulge_mm, 0.0).round().astype(np.float32)


def _example_value(spec: tf.TensorSpec, frame_mm: np.ndarray) -> np.ndarray:
    values = {
        "depth_png_bytes": lambda: np.array(_encode(frame_mm), object),
        "depth_mm": lambda: frame_mm,
        "intrinsics": lambda: CAMERA.intrinsics,
        "depth_unit_mm": lambda: np.float32(1.0),
        "center_mm": lambda: np.full(3, np.nan, np.float32),
        "hand": lambda: np.array(b"auto", object),
        "image": lambda: np.ones(spec.shape[1:], np.float32),
        **dict.fromkeys(("code", "angles", "turn"), lambda: np.zeros(spec.shape[1:], np.float32)),
    }
    return np.asarray(values[spec.name]())


def _encode(frame_mm: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame_mm.astype(np.uint16)).save(file, format="PNG")
    return file.getvalue()
