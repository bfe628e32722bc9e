"""The hand finder's networks as one TFLite file, for devices."""

from __future__ import annotations

import pathlib
import tempfile

import tensorflow as tf

from lsps_tf.device.finder import CROP, FRAME
from lsps_tf.files import atomic_path
from lsps_tf.hand_finding import networks
from lsps_tf.hand_finding.constants import CROP_SIZE, FRAME_HEIGHT, FRAME_WIDTH


def write_tflite(weights: networks.Weights, output: pathlib.Path, bits: int = 8) -> None:
    """Writes both networks, a signature for each, of one frame or crop; with weights of 8 bits, or of 16.

    With 8 bits, what meets the weights is rounded as it comes. That takes less than half of the time of float32, which
    16 bits are computed in.
    """
    module = tf.Module()

    @tf.function(
        input_signature=[
            tf.TensorSpec([1, FRAME_HEIGHT, FRAME_WIDTH], tf.float32, "depth_mm"),
            tf.TensorSpec([1], tf.float32, "focal_px"),
        ]
    )
    def look_at_frame(depth_mm: tf.Tensor, focal_px: tf.Tensor) -> dict[str, tf.Tensor]:
        output, reference_mm = networks.look_at_frame(weights, depth_mm, focal_px)
        return {"output": output, "reference_mm": reference_mm}

    @tf.function(input_signature=[tf.TensorSpec([1, CROP_SIZE, CROP_SIZE, 1], tf.float32, "image")])
    def look_at_crop(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"output": networks.look_at_crop(weights, image)}

    signatures = {FRAME: look_at_frame, CROP: look_at_crop}
    with tempfile.TemporaryDirectory() as folder:
        concrete = {name: function.get_concrete_function() for name, function in signatures.items()}
        tf.saved_model.save(module, folder, concrete)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if bits == 16:
            converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()
    with atomic_path(output) as partial:
        partial.write_bytes(content)
