"""Trains the networks of `lsps_tf.hand_finding` on the simulator: `python training/hand_finder.py`.

The weights ship with the package; this makes them again. Both sensors, the training subjects and random shapes.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lsps_tf.commandline.command import run_command  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "lsps_tf" / "trained" / "hand_finding.npz")
    parser.add_argument("--windows", type=int, default=80_000, help="simulated windows (default: 80000)")
    parser.add_argument("--presence-steps", type=int, default=10_000, help="0 leaves that network (default: 10000)")
    parser.add_argument("--palm-steps", type=int, default=20_000, help="0 leaves that network (default: 20000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=pathlib.Path, metavar="FILE.npz", help="keep the windows here")
    given = parser.parse_args()
    from training.hand_finding.train import train_judges

    steps = {"presence": given.presence_steps, "palm": given.palm_steps}
    train_judges(given.output, given.windows, steps, given.seed, given.cache)
    return 0


if __name__ == "__main__":
    run_command(main)
