"""Exports a run as SavedModel and TFLite: `python export/run.py --run-dir DIR --output DIR`."""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lsps_tf.commandline.command import run_command  # noqa: E402


def main() -> int:
    from export.exporting import export_command

    return export_command(sys.argv[1:])


if __name__ == "__main__":
    run_command(main)
