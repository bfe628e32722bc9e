"""Measures a finished run on frames with labels: `python training/evaluate.py --run-dir DIR`."""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lsps_tf.commandline.command import run_command  # noqa: E402


def main() -> int:
    from training.evaluation.command import run_evaluation

    return run_evaluation(sys.argv[1:])


if __name__ == "__main__":
    run_command(main)
