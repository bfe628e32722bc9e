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
# Signature of every file.
SIGNATURE = "serving_default"
# Signatures of files of networks that look at a crop several times: the first look, and all others. The converter sorts
# them, and programs that name none run the first. So they come after SIGNATURE by the alphabet.
FIRST_LOOK, OTHER_LOOKS = "turn_first", "turn_others"


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
                known = self._interpreter.get_signature_list()
                self._call = self._interpreter.get_signature_runner(SIGNATURE)
                (self._input,) = self._call.get_input_details().values()
                self._outputs = self._call.get_output_details()
                self._looks = {
                    name: self._interpreter.get_signature_runner(name)
                    for name in (FIRST_LOOK, OTHER_LOOKS)
                    if name in known
                }
                # LiteRT prepares itself, and speaks, on the first call only.
                blank = np.ones((size, size, 1), np.float32)
                joints_norm, _ = self(blank)
                if self._looks:
                    self.other_looks(blank, self.first_look(blank))
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
        outputs = self._call(image=_quantize(image, self._input)[None])
        read = {name: _dequantize(values[0], self._outputs[name]) for name, values in outputs.items()}
        return read[JOINTS], read.get(CONFIDENCE)

    def first_look(self, image: np.ndarray) -> np.ndarray | None:
        """What the first of several looks at a crop says, float32 [J, 3]; None of a file that looks once."""
        return self._looks[FIRST_LOOK](image=image[None])[JOINTS][0] if self._looks else None

    def other_looks(self, image: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The same as a call, where the first look at this crop is known."""
        outputs = {
            name: values[0] for name, values in self._looks[OTHER_LOOKS](image=image[None], first=first[None]).items()
        }
        return outputs[JOINTS], outputs.get(CONFIDENCE)


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
