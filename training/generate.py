"""Makes depth images and poses with a trained latent space: `python training/generate.py translate|walk|sample|...`."""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lsps_tf.commandline.command import run_command  # noqa: E402


def main() -> int:
    from training.generation.command import generate_command

    return generate_command(sys.argv[1:])


if __name__ == "__main__":
    run_command(main)
