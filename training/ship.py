"""Makes a finished run the one that comes with the program: `python training/ship.py --run-dir RUN`."""

from __future__ import annotations

import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from export.command import run_command  # noqa: E402


def main() -> int:
    from lsps_tf.run_folder import SHIPPED
    from training.shipping import ship_run

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run-dir", type=pathlib.Path, required=True, help="the run, finished and evaluated")
    parser.add_argument("--output", type=pathlib.Path, default=SHIPPED, help=f"default: {SHIPPED}")
    given = parser.parse_args()
    ship_run(given.run_dir, given.output)
    print(f"Written: {given.output}")
    return 0


if __name__ == "__main__":
    run_command(main)
