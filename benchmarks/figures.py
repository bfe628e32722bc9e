"""The paper's figures 1 (right), 3, 4, 6, 7 and 8, redrawn from a run into docs/pictures.

    python benchmarks/figures.py                       # make figures

The run is the one that comes with the program, or `--run`. Figures 4, 6 and 7 compare it with a regressor of simulated
frames and one of real labels. Where `--readers` has none, both are trained there, which takes about ten minutes on two
cores; `--store` gives frames that lie already.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lsps_tf.commandline.command import run_command
from lsps_tf.commandline.parser import Parser
from lsps_tf.run_folder import GENERATING, weights_path
from training.methods import METHODS

ROOT = Path(__file__).resolve().parents[1]
READERS = ("synthetic-only", "real")
STEPS = ("--pose-steps", "1500", "--posterior-steps", "1500")
FRAMES = ("--sim-synthetic-frames", "4000", "--sim-real-frames", "4000", "--sim-test-frames", "512")


def main() -> int:
    given = build_parser().parse_args(sys.argv[1:])
    for method in READERS:
        train_reader(method, given)
    from lsps_tf.datasets.store import open_store
    from lsps_tf.files import atomic_path
    from lsps_tf.generate import load_generating_run
    from lsps_tf.pose_codes import codes_of_simulated_poses
    from training.evaluation import figures
    from training.evaluation.latent_runs import held_out_hands, load_reader
    from training.evaluation.latent_space import P_REAL, REAL, SYNTHETIC, Chain

    run = load_generating_run(given.run)
    readers = {
        name: load_reader("--readers", given.readers / method, run, METHODS[method].domain)
        for name, method in ((SYNTHETIC, "synthetic-only"), (REAL, "real"))
    }
    with open_store(given.store or readers[REAL].store_path) as store:
        chain = Chain(run, held_out_hands(run, store, "test", given.frames), readers, True)
    space = codes_of_simulated_poses(run.networks, run.skeleton, run.config.data.cube_mm)
    rows = {"simulated": SYNTHETIC, "LSPS": P_REAL, "real labels": REAL}
    drawn = {
        "figure-1": figures.transformations(chain),
        "figure-3": figures.walk(chain, space, given.seed),
        "figure-4": figures.predictions(chain, rows),
        "figure-6": figures.predictions(chain, {"LSPS": P_REAL}, 36),
        "figure-7": figures.failures(chain, rows),
        "figure-8": figures.samples(chain, space, given.seed),
    }
    for name, picture in drawn.items():
        path = given.output / f"{name}.png"
        with atomic_path(path) as partial:
            figures.indexed(picture).save(partial, format="PNG", optimize=True)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    return 0


def train_reader(method: str, given: argparse.Namespace) -> None:
    """Trains a regressor, unless it is there; one that was stopped goes on."""
    folder = given.readers / method
    if weights_path(folder, "regression").is_file():
        return
    command = [sys.executable, str(ROOT / "training" / "run.py"), "--method", method, "--run-dir", str(folder)]
    data = ("--dataset", str(given.store)) if given.store else ("--dataset", "sim", *FRAMES)
    resume = ("--resume",) if folder.is_dir() else ()
    subprocess.run([*command, *data, "--preset", "compact", *STEPS, *resume], check=True)


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser("figures.py", "Redraws the paper's figures from a run.")
    parser.add_argument(
        "--run", type=Path, default=GENERATING, metavar="RUN", help="default: the one that comes with the program"
    )
    parser.add_argument(
        "--readers", type=Path, default=Path("runs/figures"), metavar="DIR", help="(default: runs/figures)"
    )
    parser.add_argument("--store", type=Path, metavar="FILE.h5", help="frames, in place of simulated ones")
    parser.add_argument("--frames", type=int, default=512, metavar="N", help="to choose from (default: 512)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn at random (default: 0)")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs" / "pictures", metavar="DIR", help="(default: docs/pictures)"
    )
    return parser


if __name__ == "__main__":
    run_command(main)
