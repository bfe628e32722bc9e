"""Predicts the joints of the hand in a depth frame: `python export/predict.py FRAME`."""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lsps_tf.commandline.command import run_command  # noqa: E402


def main() -> int:
    from export.prediction import predict_command

    return predict_command(sys.argv[1:])


if __name__ == "__main__":
    run_command(main)
