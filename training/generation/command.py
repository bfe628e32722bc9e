"""The command `training/generate.py`: depth images and poses out of a trained latent space.

Help and mistakes come before TensorFlow is imported, so what needs it stands in the functions.
"""

from __future__ import annotations

import argparse
import pathlib

from lsps_tf.animation import FASTEST
from lsps_tf.commandline.options import FRAME_HELP, add_frame_options
from lsps_tf.commandline.parser import Parser
from lsps_tf.errors import InputError
from lsps_tf.files import check_writable
from lsps_tf.run_folder import GENERATING

DOMAINS = ("synthetic", "real")
PARTS = ("test", "validation", "train")
TITLES = {
    "translate": "Frames of one domain as the other one has them, and back: stored, simulated, or your own.",
    "walk": "A walk through the latent space, as GIF and MP4: both depth domains and the pose at each step.",
    "sample": "Hands that nobody has shown: drawn codes in all three domains.",
    "render": "Poses of a file as depth, as the simulator and as the sensor would show them.",
    "dataset": "Labelled frames as the sensor would see them, written as a store that trains.",
}


def generate_command(arguments: list[str]) -> int:
    """Runs `training/generate.py`. Returns the exit status 0; InputError where something given is wrong."""
    name, *others = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(help_text())
        return 0
    if name not in TITLES:
        raise InputError(f"'{name}': choose what to make: {', '.join(TITLES)}; see generate.py --help")
    given = build_parser(name).parse_args(others)
    if given.output is None:
        given.output = pathlib.Path("runs", "generated", name)
    _check(given)
    check_writable(given.output, "give another folder for --output")
    from lsps_tf.generate import load_generating_run
    from training.generation import dataset, making

    make = dataset.dataset if name == "dataset" else getattr(making, name)
    make(load_generating_run(given.run_dir), given)
    return 0


def help_text() -> str:
    """What `--help` says: every subcommand with all its options."""
    titles = "\n".join(f"  {name:<11}{title}" for name, title in TITLES.items())
    parts = [
        f"usage: generate.py {{{','.join(TITLES)}}} [options]",
        "Makes depth images and poses with the latent space that a run has trained.",
        titles,
        *(build_parser(name).format_help().strip() for name in TITLES),
    ]
    return "\n\n".join(parts)


def build_parser(name: str) -> Parser:
    """The options of a subcommand."""
    parser = Parser(f"generate.py {name}", TITLES[name])
    parser.set_defaults(frames=[], store=None, part=None)
    parser.add_argument(
        "--run-dir",
        type=pathlib.Path,
        default=GENERATING,
        metavar="DIR",
        help="a run with a depth stage (default: the one that comes with the program)",
    )
    folder = f"runs/generated/{name}"
    parser.add_argument("--output", type=pathlib.Path, metavar="DIR", help=f"where the files go (default: {folder})")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn at random (default: 0)")
    _ADD[name](parser)
    return parser


def _add_translate(parser: Parser) -> None:
    _add_frames(parser, "frames to translate")
    _add_store(parser, "frames of a store (default: the run's own where it is there, else simulated ones)")
    parser.add_argument("--domain", choices=DOMAINS, help="of the frames (default: both; real for your own)")
    _add_count(parser, 12, "frames of each domain")


def _add_walk(parser: Parser) -> None:
    _add_frames(parser, "frames to walk between")
    _add_poses(parser, "poses to walk between")
    _add_codes(parser, "codes to walk between")
    parser.add_argument("--waypoints", type=int, default=4, metavar="N", help="random codes otherwise (default: 4)")
    _add_truncation(parser)
    parser.add_argument("--steps", type=int, default=48, metavar="N", help="hands in all (default: 48)")
    parser.add_argument("--per-second", type=float, default=12.0, metavar="N", help="steps shown (default: 12)")
    parser.add_argument(
        "--path",
        choices=("hands", "straight"),
        default="hands",
        help="hands: by codes of simulated poses, so that all between is a hand; straight: the line between the codes "
        "(default: hands)",
    )
    parser.set_defaults(count=None)


def _add_sample(parser: Parser) -> None:
    _add_count(parser, 12, "hands")
    _add_codes(parser, "codes to show in place of drawn ones")
    parser.add_argument(
        "--prior",
        choices=("hands", "unit"),
        default="hands",
        help="hands: between codes of simulated poses; unit: the VAE's N(0, I), which reaches beyond (default: hands)",
    )
    _add_truncation(parser)


def _add_render(parser: Parser) -> None:
    parser.add_argument(
        "poses",
        type=pathlib.Path,
        metavar="POSES",
        help="joints in mm: .npz with joints_mm [N, J, 3], .npy, or the .json of export/predict.py",
    )


def _add_dataset(parser: Parser) -> None:
    _add_count(parser, 1000, "frames")
    _add_store(parser, "take simulated frames from its synthetic domain (default: simulate them)", "train")
    parser.add_argument(
        "--by",
        choices=("translation", "pose"),
        default="translation",
        help="translation: of the simulated frame; pose: rendered from the joints alone (default: translation)",
    )
    parser.add_argument("--beside", type=pathlib.Path, metavar="STORE.h5", help="add to the real frames of this store")


_ADD = {
    "translate": _add_translate,
    "walk": _add_walk,
    "sample": _add_sample,
    "render": _add_render,
    "dataset": _add_dataset,
}


def _add_frames(parser: Parser, what: str) -> None:
    parser.add_argument("frames", nargs="*", type=pathlib.Path, metavar="FRAME", help=f"your own {what}: {FRAME_HELP}")
    add_frame_options(parser)


def _add_store(parser: Parser, what: str, part: str | None = None) -> None:
    parser.add_argument("--store", type=pathlib.Path, metavar="STORE.h5", help=what)
    said = part or f"the first that is there: {', '.join(PARTS)}"
    parser.add_argument("--part", choices=PARTS, default=part, help=f"of the store (default: {said})")


def _add_poses(parser: Parser, what: str) -> None:
    parser.add_argument("--poses", type=pathlib.Path, metavar="FILE", help=f"{what}: .npz, .npy or .json, as of render")


def _add_codes(parser: Parser, what: str) -> None:
    parser.add_argument("--codes", type=pathlib.Path, metavar="FILE", help=f"{what}: an .npz that this command wrote")


def _add_count(parser: Parser, default: int, what: str) -> None:
    parser.add_argument("--count", type=int, default=default, metavar="N", help=f"{what} (default: {default})")


def _add_truncation(parser: Parser) -> None:
    parser.add_argument(
        "--truncation",
        type=float,
        default=1.0,
        metavar="X",
        help="multiplies how far a code is drawn from a simulated pose's: less than 1 is more usual (default: 1)",
    )


def _check(given: argparse.Namespace) -> None:
    """InputError where a number has no meaning or two sources exclude each other."""
    for option, least in (("count", 1), ("steps", 2), ("waypoints", 2), ("seed", 0)):
        value = getattr(given, option, None)
        if value is not None and value < least:
            raise InputError(f"--{option} {value}: give {least} at least")
    if not 0 <= getattr(given, "truncation", 1.0) <= 3:
        raise InputError(f"--truncation {given.truncation:g}: give a factor from 0 to 3; 1 leaves all as it is")
    if not 0 < getattr(given, "per_second", 1.0) <= FASTEST:
        raise InputError(f"--per-second {given.per_second:g}: give a number above 0, {FASTEST} at most")
    sources = ("frames", "store", "poses", "codes")
    named = [name for name in sources if getattr(given, name, None)]
    if len(named) > 1:
        raise InputError(f"{' and '.join(named)}: give one of them to start from")
    if getattr(given, "hands", 1) != 1:
        raise InputError(f"--hands {given.hands}: the nearest hand of each frame is taken; leave it out")
    if getattr(given, "joints", None) is not None:
        raise InputError("--joints: the run's own joints are made; leave it out")
