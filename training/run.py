"""Trains LSPS or one of the methods it is compared with, then evaluates: `python training/run.py --dataset sim`."""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lsps_tf.commandline.command import run_command  # noqa: E402


def main() -> int:
    from training.arguments import parse_arguments

    # Help and mistakes come before TensorFlow is imported, which takes seconds.
    parse_arguments(sys.argv[1:])
    from training.session import run_session

    return run_session(sys.argv[1:])


if __name__ == "__main__":
    run_command(main)
