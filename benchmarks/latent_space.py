"""Where the shared latent space loses its millimetres: every link of the chain with its floor and ceiling.

    python benchmarks/latent_space.py RUN --synthetic-reader RUN_S --real-reader RUN_R --oracle-reader RUN_O

RUN has a depth stage. The readers are finished regressions on the same crops: --method synthetic-only, --method real,
and --method synthetic-only --synthetic-part sensed. Rows whose reader is not given are left out. The table comes on the
terminal. latent-space.json and latent-space.png come into the run's evaluation/, or into --output.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lsps_tf.commandline.command import run_command

READERS = ("synthetic", "real", "oracle")


def main() -> int:
    given = build_parser().parse_args(sys.argv[1:])
    from lsps_tf.datasets.store import open_store
    from lsps_tf.errors import InputError
    from lsps_tf.files import atomic_path, write_json
    from training.evaluation import latent_space
    from training.evaluation.latent_pictures import draw_chain
    from training.evaluation.latent_runs import held_out_hands, load_latent_run, load_reader

    if given.frames < 1:
        raise InputError(f"--frames {given.frames}: at least one frame is needed")
    run, stage = load_latent_run(given.run, given.stage)
    domains = {"synthetic": "synthetic", "real": "real", "oracle": None}
    names = {"synthetic": latent_space.SYNTHETIC, "real": latent_space.REAL, "oracle": latent_space.ORACLE}
    folders = {name: getattr(given, f"{name}_reader") for name in READERS}
    readers = {
        names[name]: load_reader(f"--{name}-reader", folder, run, domains[name])
        for name, folder in folders.items()
        if folder is not None
    }
    with open_store(given.store or run.store_path) as store:
        hands = held_out_hands(run, store, given.split, given.frames)
    chain = latent_space.Chain(run, hands, readers, latent_space.has_posterior(stage))
    figures = latent_space.measure_links(chain)
    print(latent_space.format_links(figures))
    output = given.output or given.run / "evaluation"
    frames = {part.split: len(part.image) for part in hands.values()}
    write_json(output / "latent-space.json", {"stage": stage, "frames": frames, **figures})
    with atomic_path(output / "latent-space.png") as partial:
        draw_chain(chain).save(partial, format="PNG")
    print(f"Written: {output / 'latent-space.json'}, {output / 'latent-space.png'}")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    from lsps_tf.commandline.parser import Parser

    parser = Parser("latent_space.py", "Measure each link of a run's shared latent space, in mm.")
    folder = {"type": Path, "metavar": "RUN"}
    parser.add_argument("run", type=Path, metavar="RUN", help="a run of --method lsps whose depth stage is finished")
    parser.add_argument("--synthetic-reader", help="a run of --method synthetic-only", **folder)
    parser.add_argument("--real-reader", help="a run that was trained on real labels, --method real", **folder)
    parser.add_argument("--oracle-reader", help="a synthetic-only run with --synthetic-part sensed", **folder)
    parser.add_argument("--stage", metavar="STAGE", help="whose weights (default: the last one that is finished)")
    parser.add_argument("--split", choices=("validation", "test"), default="validation", help="of the real frames")
    parser.add_argument("--frames", type=int, default=512, metavar="N", help="of each domain (default: 512)")
    parser.add_argument("--store", type=Path, metavar="FILE.h5", help="in place of the run's own")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: evaluation/ in the run's folder")
    return parser


if __name__ == "__main__":
    run_command(main)
