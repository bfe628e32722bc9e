"""Trains the networks of `lsps_tf.hand_finding` on the simulator: `python training/hand_finder.py`.

The weights ship with the package, and their twin for devices; this makes them again. All sensors, the training subjects
and random shapes. The network of crops starts from the P that ships. With --resume both go on from the weights that are
there, as the shipped ones were made.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lsps_tf.commandline.command import run_command  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "lsps_tf" / "trained" / "hand_finding.npz")
    parser.add_argument("--views", type=int, default=50_000, help="simulated views (default: 50000)")
    parser.add_argument("--frame-steps", type=int, default=20_000, help="0 leaves that network (default: 20000)")
    parser.add_argument("--crop-steps", type=int, default=8_000, help="0 leaves that network (default: 8000)")
    parser.add_argument("--resume", action="store_true", help="start from the weights in --output")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=pathlib.Path, metavar="FOLDER", help="keep the views here; 116 kB each")
    given = parser.parse_args()
    from training.hand_finding.convert import write_tflite
    from training.hand_finding.train import read_weights, train_finder

    steps = {"frame": given.frame_steps, "crop": given.crop_steps}
    with tempfile.TemporaryDirectory() as folder:
        cache = given.cache or pathlib.Path(folder)
        train_finder(given.output, given.views, steps, given.seed, cache, given.resume)
    weights = {**read_weights(given.output, "frame"), **read_weights(given.output, "crop")}
    write_tflite(weights, given.output.with_suffix(".tflite"))
    return 0


if __name__ == "__main__":
    run_command(main)
