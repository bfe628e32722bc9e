"""The TFLite models for edge devices: one crop to joints, of built-in operations only, in four kinds of numbers."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from export.tflite.rounding import round_network
from lsps_tf.confidence import Confidence
from lsps_tf.device.network import FIRST_LOOK, JOINTS, OTHER_LOOKS, SIGNATURE
from lsps_tf.files import atomic_path
from lsps_tf.model_info import FLOAT16, FLOAT32, INT8, ModelInfo, embed_info, tflite_name
from lsps_tf.native_messages import native_messages_off
from lsps_tf.predictor import predictor_of_run
from lsps_tf.run_folder import Run
from lsps_tf.tensorflow_paths import plain_folder

# So many crops decide the converter's own ranges.
_MOST_CROPS = 256


class _CropModel(tf.Module):
    """The deployed network at batch 1, so that the converter knows every shape.

    Attributes:
        concrete: by the signature's name, what a file can do.
    """

    def __init__(
        self,
        run: Run,
        predict: Callable[..., dict[str, tf.Tensor]],
        first_look: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ):
        """Args: `predict` and `first_look` as of a `Predictor`."""
        super().__init__(name="lsps_crop")
        self.deployed = run.networks.deployed_variables(run.domain)
        size = run.config.data.image_size
        image = tf.TensorSpec([1, size, size, 1], tf.float32, "image")
        first = tf.TensorSpec([1, run.skeleton.num_joints, 3], tf.float32, "first")
        known = {SIGNATURE: (lambda image: predict(image), [image])}
        if first_look is not None:
            known[FIRST_LOOK] = (lambda image: {JOINTS: first_look(image)}, [image])
            known[OTHER_LOOKS] = (lambda image, first: predict(image, first), [image, first])
        self.concrete = {
            name: tf.function(function).get_concrete_function(*specs) for name, (function, specs) in known.items()
        }


def export_tflite(
    run: Run,
    directory: str | pathlib.Path,
    variants: tuple[str, ...] = (FLOAT32,),
    calibration: np.ndarray | None = None,
    confidence: Confidence | None = None,
) -> list[pathlib.Path]:
    """Writes the deployed network (the trunk's convolutions, P's head and G_y) as TFLite files.

    The signature `serving_default` takes `image` [1, S, S, 1] in [-1, 1] and gives `joints_norm` [1, J, 3] in half
    cubes and, but for int8, the `confidence` [1, J] of each joint where it is known. The file's metadata entry "lsps"
    holds the description as JSON (`lsps_tf.model_info.read_tflite_info`). Where P looks at a crop in several turns, and
    but for int8, `turn_first` takes an `image` to the `joints_norm` of the first alone. `turn_others` takes these as
    `first` [1, J, 3] with the `image`, and gives what `serving_default` does.
        float32: the run's own numbers.
        float16: weights of half the size, computed in float32 where the device has nothing better.
        dynamic: 8-bit weights; activations are rounded to 8 bits as they come.
        int8: weights, activations, input and output in 8 bits, for devices that have whole numbers alone; rounded as
            `export.tflite.rounding` says, and where P votes or turns as TensorFlow's converter does.

    Args:
        run: a loaded run.
        directory: where the files come to lie.
        variants: which of VARIANTS.
        calibration: [N, S, S, 1] crops of the sensor in [-1, 1], which decide how int8 is rounded.
        confidence: of the run's joints, None leaves it out.

    Returns:
        The files, in the order of `variants`.

    Raises:
        InputError: where the disk is full or a file cannot be written.
    """
    predictor = predictor_of_run(run, confidence)
    exact, paths = _CropModel(run, predictor.crops.predict, predictor.crops.first_look), []
    for variant in variants:
        content = _convert_int8(run, calibration) if variant == INT8 else _convert(exact, variant)
        content = embed_info(content, ModelInfo.of_run(run, variant))
        paths.append(pathlib.Path(directory) / tflite_name(variant))
        with atomic_path(paths[-1]) as partial:
            partial.write_bytes(content)
    return paths


def _convert_int8(run: Run, images: np.ndarray) -> bytes:
    if run.config.network.in_a_row:
        rounded = round_network(run, images)
        return _convert(_CropModel(run, lambda image: {JOINTS: rounded(image)}), INT8)

    def predict(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {JOINTS: run.networks.predict_joints(image, run.domain)}

    # `rounding` knows layers in a row. The converter's own ranges move the joints of voting networks by 2 mm.
    chosen = images[np.linspace(0, len(images) - 1, min(len(images), _MOST_CROPS)).astype(np.int64)]
    return _convert(_CropModel(run, predict), INT8, chosen)


def _convert(model: _CropModel, variant: str, images: np.ndarray | None = None) -> bytes:
    # By way of a SavedModel, because only then the files keep the names of input and output.
    with tempfile.TemporaryDirectory() as scratch, plain_folder(scratch) as saved_model:
        tf.saved_model.save(model, saved_model, signatures=dict(model.concrete))
        converter = tf.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=list(model.concrete))
        return _convert_saved(converter, variant, images)


def _convert_saved(converter: tf.lite.TFLiteConverter, variant: str, images: np.ndarray | None) -> bytes:
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if variant != FLOAT32:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if variant == INT8:
        converter.inference_input_type = converter.inference_output_type = tf.int8
        # Without images the graph says all ranges.
        if images is not None:
            converter.representative_dataset = lambda: ({"image": crop[None]} for crop in images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with native_messages_off():
        return converter.convert()
