"""The TFLite model for edge devices: one crop to joints, in float32, of built-in operations only."""

from __future__ import annotations

import pathlib
import tempfile

import tensorflow as tf

from export.metadata import ModelInfo, embed_info
from export.quiet import native_messages_off
from export.saved_model import deployed_variables
from lsps_tf.files import atomic_path
from lsps_tf.run_folder import Run

SIGNATURE = "serving_default"


class _CropModel(tf.Module):
    """The deployed network at batch 1, so that the converter knows every shape."""

    def __init__(self, run: Run):
        super().__init__(name="lsps_crop")
        self.deployed = deployed_variables(run)
        size = run.config.data.image_size
        image = tf.TensorSpec([1, size, size, 1], tf.float32, "image")
        self.predict = tf.function(lambda image: {"joints_norm": run.networks.predict_joints(image, run.domain)})
        self.concrete = self.predict.get_concrete_function(image)


def export_tflite(run: Run, path: str | pathlib.Path) -> pathlib.Path:
    """Writes the deployed network (the trunk's convolutions, P's head and G_y) as one TFLite file.

    Its signature `serving_default` takes `image` [1, S, S, 1] in [-1, 1] and gives `joints_norm` [1, J, 3] in half
    cubes. The file's metadata entry "lsps" holds the description as JSON (`export.metadata.read_tflite_info`).

    Args:
        run: a loaded run.
        path: the file to write.

    Returns:
        The path.

    Raises:
        InputError: where the disk is full or the file cannot be written.
    """
    path = pathlib.Path(path)
    content = embed_info(_convert(run), ModelInfo.of_run(run))
    with atomic_path(path) as partial:
        partial.write_bytes(content)
    return path


def _convert(run: Run) -> bytes:
    # By way of a SavedModel, because only then the file keeps the names of input and output.
    model = _CropModel(run)
    with tempfile.TemporaryDirectory() as scratch:
        tf.saved_model.save(model, scratch, signatures={SIGNATURE: model.concrete})
        converter = tf.lite.TFLiteConverter.from_saved_model(scratch, signature_keys=[SIGNATURE])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        with native_messages_off():
            return converter.convert()
