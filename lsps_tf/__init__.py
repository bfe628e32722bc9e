"""3D hand pose from one depth image, learned from simulation and partial supervision (LSPS).

Three lines predict:

    import lsps_tf
    predictor = lsps_tf.load_predictor()
    hand = predictor(depth_mm, "sr305")  # hand.joints_mm, or None where there is no hand

Importing this package imports neither TensorFlow nor LiteRT.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lsps_tf.stack import prefer_keras_2

if TYPE_CHECKING:
    import pathlib

    from lsps_tf.hand_predictor import HandPredictor

__all__ = ["Camera", "Hand", "HandPredictor", "InputError", "load_predictor"]

_MODULES = {
    "Camera": "lsps_tf.camera",
    "Hand": "lsps_tf.hand",
    "HandPredictor": "lsps_tf.hand_predictor",
    "InputError": "lsps_tf.errors",
}


prefer_keras_2()


def load_predictor(
    path: str | pathlib.Path | None = None,
    hand: str = "right",
    joints: int | None = None,
    rotation_degrees: int = 0,
    threads: int = 1,
) -> HandPredictor:
    """Opens a model that predicts the hand of a depth frame.

    Args:
        path: a `.tflite` file, a SavedModel folder or a run folder; None takes the trained model that comes with the
            program. Only SavedModels and runs need TensorFlow.
        hand: which hand the frames show, "right" or "left".
        joints: 21 for the joints of MANO, MediaPipe and FreiHAND; None for the model's own.
        rotation_degrees: how far clockwise the frames are turned to stand upright: 0, 90, 180 or 270.
        threads: of a TFLite file's network.

    Returns:
        A function of a depth array [H, W] in mm and a camera (`lsps_tf.Camera`, a name such as "nyu", or fx, fy, cx, cy
        in pixels), which gives a `lsps_tf.Hand`, or None where there is no hand.

    Raises:
        InputError: where there is no model, it is damaged, or an argument has no meaning.
    """
    models = importlib.import_module("lsps_tf.models")
    return models.load_predictor(path, hand, joints, rotation_degrees, threads)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'lsps_tf' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULES[name]), name)
