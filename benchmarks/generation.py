"""What a run's latent space generates, in figures: pose kept, likeness to real images, walks, samples, agreement.

    python benchmarks/generation.py RUN --synthetic-reader RUN_S --real-reader RUN_R --json generation.json

RUN has a depth stage. The readers are finished regressions on the same crops: --method synthetic-only and --method
real. The classifier that tells generated images from real ones is trained here, on frames of the run's training.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lsps_tf.commandline.command import run_command
from lsps_tf.commandline.parser import Parser


def main() -> int:
    given = build_parser().parse_args(sys.argv[1:])
    from lsps_tf.datasets.store import open_store
    from lsps_tf.errors import InputError
    from lsps_tf.files import write_json
    from lsps_tf.pose_codes import codes_of_simulated_poses
    from training.evaluation import generation, latent_space
    from training.evaluation.latent_runs import hands_of_split, held_out_hands, load_latent_run, load_reader

    for option in ("frames", "training_frames", "steps"):
        if getattr(given, option) < 1:
            raise InputError(f"--{option.replace('_', '-')} {getattr(given, option)}: give 1 at least")
    run, stage = load_latent_run(given.run, given.stage)
    readers = {
        latent_space.SYNTHETIC: load_reader("--synthetic-reader", given.synthetic_reader, run, "synthetic"),
        latent_space.REAL: load_reader("--real-reader", given.real_reader, run, "real"),
    }
    with open_store(given.store or run.store_path) as store:
        hands = held_out_hands(run, store, "test", given.frames)
        seen = {
            domain: hands_of_split(run, store, f"{domain}/train", given.training_frames)
            for domain in ("synthetic", "real")
        }
    space = codes_of_simulated_poses(run.networks, run.skeleton, run.config.data.cube_mm)
    chain = latent_space.Chain(run, hands, readers, latent_space.has_posterior(stage))
    figures = generation.measure_generation(chain, seen, space, given.steps, given.seed)
    print(generation.format_generation(figures))
    if given.json:
        write_json(given.json, {"run": str(given.run), "stage": stage, "frames": given.frames, **figures})
    return 0


def build_parser() -> Parser:
    """The command's options."""
    parser = Parser("generation.py", "Measures what a run's shared latent space generates.")
    folder = {"type": Path, "metavar": "RUN", "required": True}
    parser.add_argument("run", type=Path, metavar="RUN", help="a run of --method lsps whose depth stage is finished")
    parser.add_argument("--synthetic-reader", help="a run of --method synthetic-only", **folder)
    parser.add_argument("--real-reader", help="a run that was trained on real labels, --method real", **folder)
    parser.add_argument("--stage", metavar="STAGE", help="whose weights (default: the last one that is finished)")
    parser.add_argument("--store", type=Path, metavar="FILE.h5", help="in place of the run's own")
    parser.add_argument("--frames", type=int, default=512, metavar="N", help="of each domain, held out (default: 512)")
    parser.add_argument(
        "--training-frames", type=int, default=1024, metavar="N", help="that the classifier learns from (default: 1024)"
    )
    parser.add_argument("--steps", type=int, default=400, metavar="N", help="of the classifier (default: 400)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn at random (default: 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    return parser


if __name__ == "__main__":
    run_command(main)
