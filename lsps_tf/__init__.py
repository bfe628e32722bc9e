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
    from collections.abc import Sequence

    from lsps_tf.camera import Camera
    from lsps_tf.hand_predictor import HandPredictor
    from lsps_tf.recordings.depth import DepthRecording

__all__ = ["Camera", "Hand", "HandPredictor", "InputError", "load_predictor", "open_recording"]

_MODULES = {
    "Camera": "lsps_tf.camera",
    "Hand": "lsps_tf.hand",
    "HandPredictor": "lsps_tf.hand_predictor",
    "InputError": "lsps_tf.errors",
}


prefer_keras_2()


def load_predictor(
    path: str | pathlib.Path | None = None,
    hand: str = "auto",
    joints: int | None = None,
    rotation_degrees: int = 0,
    threads: int = 1,
    hands: int = 1,
    refine: bool = False,
) -> HandPredictor:
    """Opens a model that predicts the hand, or the hands, of a depth frame.

    Args:
        path: a `.tflite` file, a SavedModel folder or a run folder; None takes the trained model that comes with the
            program. Only SavedModels and runs need TensorFlow.
        hand: which hand the frames show, "right" or "left", or "auto" to have each told from what it looks like.
        joints: 21 for the joints of MANO, MediaPipe and FreiHAND; None for the model's own.
        rotation_degrees: how far clockwise the frames are turned to stand upright: 0, 90, 180 or 270.
        threads: of a TFLite file's network.
        hands: how many to predict at most, the nearest ones.
        refine: fits the hand to each frame, which takes some 50 ms more and needs TensorFlow.

    Returns:
        A function of a depth array [H, W] in mm and a camera (`lsps_tf.Camera`, a name such as "nyu", or fx, fy, cx, cy
        in pixels), which gives a `lsps_tf.Hand`, or None where there is no hand. Where `hands` is more than 1 it gives
        a list of them, which may be empty: the nearest first, but those that the border cuts last.

    Raises:
        InputError: where there is no model, it is damaged, or an argument has no meaning.
    """
    models = importlib.import_module("lsps_tf.models")
    return models.load_predictor(path, hand, joints, rotation_degrees, threads, hands, refine)


def open_recording(
    path: str | pathlib.Path,
    topic: str | None = None,
    camera: Camera | str | Sequence[float] | None = None,
    depth_unit_mm: float | None = None,
) -> DepthRecording:
    """Opens what a camera's own tool recorded: a ROS bag, MCAP, or an Azure Kinect's Matroska.

    Args:
        path: a `.bag`, `.db3`, `.mcap` or `.mkv` file, or the folder of a ROS 2 bag.
        topic: which depth, where there are several.
        camera: a pinhole camera, its name, or fx, fy, cx, cy in pixels, in place of what the recording says.
        depth_unit_mm: mm that one count stands for, in place of what the recording says.

    Returns:
        A sequence of frames with `depth_mm` and `time_s`, and their `camera`, which go into a predictor.

    Raises:
        InputError: where it is missing, damaged, without depth, or lacks what is not given; or where the package that
            reads it is not installed (pip install lsps-tf[recordings]).
    """
    return importlib.import_module("lsps_tf.recordings.depth").open_depth(path, topic, camera, depth_unit_mm)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'lsps_tf' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULES[name]), name)
