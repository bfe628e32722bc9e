"""Runs an exported TFLite file on LiteRT. Needs NumPy and ai-edge-litert alone."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from lsps_tf.errors import InputError
from lsps_tf.model_info import read_tflite_info
from lsps_tf.native_messages import native_messages_off

# Names of the outputs.
JOINTS, CONFIDENCE = "joints_norm", "confidence"


class TfliteNetwork:
    """The deployed network of one file, for one crop at a time; not to be shared between threads.

    Attributes:
        name: of the file, for messages.
        info: the file's description.
    """

    def __init__(self, path: str | pathlib.Path, threads: int = 1):
        """Opens a file.

        Raises:
            InputError: where it is missing, no TFLite model, damaged, or not one that this project exported.
        """
        path = pathlib.Path(path)
        if not path.is_file():
            raise InputError(f"{path}: there is no such file; give a .tflite file that export/run.py wrote")
        self.name, self.info = str(path), read_tflite_info(path)
        size, joints = self.info.image_size, self.info.skeleton.num_joints
        try:
            with native_messages_off():
                self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
                self._interpreter.allocate_tensors()
                (self._input,) = self._interpreter.get_input_details()
                self._outputs = self._outputs_by_name()
                # LiteRT prepares itself, and speaks, on the first call only.
                joints_norm, _ = self(np.ones((size, size, 1), np.float32))
        except (ValueError, RuntimeError, TypeError, LookupError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise InputError(f"{path}: the TFLite model is damaged ({reason}); export the run again") from error
        if joints_norm.shape != (joints, 3):
            raise InputError(
                f"{path}: the model gives {joints_norm.shape} but its skeleton {self.info.skeleton.name} is "
                f"({joints}, 3); export the run again"
            )

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Predicts one crop.

        Args:
            image: float32 [S, S, 1] in [-1, 1].

        Returns:
            Joints, float32 [J, 3] in half cubes; and the confidence of each, float32 [J], None where the file does not
            know it.
        """
        self._interpreter.set_tensor(self._input["index"], _quantize(image, self._input)[None])
        self._interpreter.invoke()
        joints_norm = self._read(self._outputs[JOINTS])
        return joints_norm, self._read(self._outputs[CONFIDENCE]) if CONFIDENCE in self._outputs else None

    def _read(self, tensor: dict[str, Any]) -> np.ndarray:
        return _dequantize(self._interpreter.get_tensor(tensor["index"])[0], tensor)

    def _outputs_by_name(self) -> dict[str, dict[str, Any]]:
        """The output tensors' descriptions by the names that the signature gives them."""
        runner = self._interpreter.get_signature_runner()
        return runner.get_output_details()


def _quantize(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """float32 values as whole numbers of the tensor's scale and zero point, where it has them."""
    if tensor["dtype"] != np.int8:
        return values
    scale, zero = tensor["quantization"]
    return np.clip(np.rint(values / np.float32(scale)) + zero, -128, 127).astype(np.int8)


def _dequantize(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    if tensor["dtype"] != np.int8:
        return values
    scale, zero = tensor["quantization"]
    return (values.astype(np.float32) - np.float32(zero)) * np.float32(scale)
