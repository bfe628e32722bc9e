"""Records from a depth camera that is plugged in, into a folder that trains: `python export/record.py my-hand ...`."""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lsps_tf.commandline.command import run_command  # noqa: E402


def main() -> int:
    """Runs the command with the arguments of the command line."""
    from export.recorder.command import record_command

    return record_command(sys.argv[1:])


if __name__ == "__main__":
    run_command(main)
