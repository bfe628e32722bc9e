"""Trains the judge of `lsps_tf.hand_finding` on the simulator: `python training/hand_finder.py`.

The weights ship with the package; this makes them again. Both sensors, the training subjects and random shapes.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from export.command import run_command  # noqa: E402


def main() -> int:
    from training.judge_stage import train_judge

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "lsps_tf" / "hand_judge.npz")
    parser.add_argument("--windows", type=int, default=30_000, help="simulated windows (default: 30000)")
    parser.add_argument("--steps", type=int, default=12_000, help="training steps (default: 12000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=pathlib.Path, metavar="FILE.npz", help="keep the windows here")
    given = parser.parse_args()
    train_judge(given.output, given.windows, given.steps, given.seed, given.cache)
    return 0


if __name__ == "__main__":
    run_command(main)
