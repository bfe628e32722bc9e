"""Hand pose on an edge device, with NumPy and ai-edge-litert alone: `python export/edge.py --model lsps.tflite ...`.

A camera's callback is used from Python:

    from export.edge import EdgePredictor, HandTracker, LatestFrame, OneEuroFilter
"""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from export.device.command import edge_command  # noqa: E402
from export.device.sources import Frame, LatestFrame  # noqa: E402
from lsps_tf.commandline.command import run_command  # noqa: E402
from lsps_tf.device.predictor import EdgePredictor  # noqa: E402
from lsps_tf.device.tracking import HandTracker, OneEuroFilter  # noqa: E402

__all__ = ["EdgePredictor", "Frame", "HandTracker", "LatestFrame", "OneEuroFilter", "edge_command"]


if __name__ == "__main__":
    run_command(lambda: edge_command(sys.argv[1:]))
