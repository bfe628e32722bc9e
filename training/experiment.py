"""Runs an experiment and writes its table and plots: `python training/experiment.py table1 --dataset sim`."""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lsps_tf.commandline.command import run_command  # noqa: E402


def main() -> int:
    from training.experiments.command import run_experiment

    return run_experiment(sys.argv[1:])


if __name__ == "__main__":
    run_command(main)
