"""The command line of `training/run.py`: its own options, and every setting by its name."""

from __future__ import annotations

import argparse
import dataclasses
import os
from typing import Any

from lsps_tf.commandline.parser import Parser
from lsps_tf.config import BONES, CODE, GROUPS, RENAMED, Config, setting_fields
from lsps_tf.errors import InputError
from lsps_tf.mirror import HAND_SETTINGS
from lsps_tf.presets import PRESETS, RECIPES
from lsps_tf.skeleton import SKELETONS
from training.distribution.cluster import MULTIWORKER, STRATEGIES, read_cluster
from training.methods import DEFAULT, METHODS, all_stages


def build_parser() -> argparse.ArgumentParser:
    """All options; those that were not given stay out of the namespace, so that --resume can tell."""
    parser = Parser(
        prog="run.py",
        description="Train LSPS, or one of the methods it is compared with, and evaluate the result.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "--recipe",
        choices=sorted(RECIPES),
        help="the preset as it is, the paper's objective alone, or training by fitting besides (default: preset)",
    )
    parser.add_argument("--method", choices=list(METHODS), help=f"default: {DEFAULT}")
    parser.add_argument(
        "--labels",
        type=float,
        metavar="FRACTION|N",
        help="part of the real labels, or from 2 on a number of labelled frames "
        f"(default: 0; 1 for --method {_with_labels_alone()}, and for a joints.csv)",
    )
    parser.add_argument(
        "--stages", metavar="A,B", help=f"stages to train, of {', '.join(all_stages())}, fit1, fit2 ..."
    )
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        help="share each step's batch out to the GPUs of this machine (mirrored), or to the workers that the "
        "environment variable TF_CONFIG names (multiworker)",
    )
    parser.add_argument("--run-dir", metavar="DIR", help="default: a new folder under runs/")
    parser.add_argument("--resume", action="store_true", help="go on where the run in --run-dir stopped")
    parser.add_argument("--data-only", action="store_true", help="make the run's data and end; --resume trains later")
    parser.add_argument("--pretrained", metavar="DIR", help="start from the weights of another run")
    parser.add_argument("--pretrained-stage", metavar="STAGE", help="after which of its stages (default: depth)")
    parser.add_argument(
        "--export",
        metavar="DIR",
        help="at the end, write there what export/run.py writes, a SavedModel and TFLite",
    )
    add_data_and_settings(parser)
    return parser


def add_data_and_settings(parser: argparse.ArgumentParser) -> None:
    """Adds what every command that trains takes: the data, the preset, and every setting by its name."""
    parser.add_argument(
        "--dataset",
        metavar="NAME|PATH",
        help="what to train on: sim or sim-v2 (the simulator), frames (one's own recording), a public dataset such as "
        "nyu or icvl, or a store",
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), help="sizes and schedule to start from (default: compact)")
    parser.add_argument(
        "--data-root",
        metavar="DIR",
        help="where simulated stores are kept (default: data), or the folder of a recorded dataset (default: "
        "data/NAME or $LSPS_DATA/NAME)",
    )
    parser.add_argument(
        "--shard-frames",
        type=int,
        metavar="N",
        help="make the store as a folder of files with N frames each (default: one file)",
    )
    _add_simulated(parser.add_argument_group("the simulator (sim, sim-v2)"))
    _add_recorded(parser.add_argument_group("recorded datasets (public ones, frames)"))
    _add_workers(parser.add_argument_group("who simulates, imports, finds hands and fits"))
    settings = parser.add_argument_group("settings (their defaults are the preset's)")
    for name, field in setting_fields().items():
        options = [_option(name), *(_option(old) for old, new in RENAMED.items() if new == name)]
        if isinstance(field.default, bool):
            settings.add_argument(*options, action=argparse.BooleanOptionalAction, help=field.metadata["help"])
        else:
            settings.add_argument(*options, dest=name, type=_reader(field), metavar="X", help=field.metadata["help"])


def _add_simulated(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--sensor", metavar="NAME", help="the simulator's sensor (default: structured-light; of sim-v2: all)"
    )
    group.add_argument("--skeleton", choices=sorted(SKELETONS), help="the simulator's joints (default: nyu)")
    group.add_argument("--sim-synthetic-frames", type=int, metavar="N", help="simulated frames with labels")
    group.add_argument("--sim-real-frames", type=int, metavar="N", help="simulated sensor frames to train on")
    group.add_argument("--sim-test-frames", type=int, metavar="N", help="simulated frames each to validate and test on")
    group.add_argument(
        "--stream",
        action="store_true",
        help="frames to train on are simulated while they are trained on, without end and disk",
    )


def _add_recorded(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--limit", type=int, metavar="N", help="only the first N training and the first N test frames")
    group.add_argument("--skip-bad", action="store_true", help="leave out frames that cannot be used, and count them")
    group.add_argument(
        "--synthetic",
        metavar="NAME|sim",
        help="frames with labels: the renderings of a public dataset (nyu; the default where they are), or simulated",
    )
    group.add_argument(
        "--hand", choices=HAND_SETTINGS, help="of frames: in place of what camera.toml says (default: auto)"
    )
    group.add_argument(
        "--remove-background",
        action="store_true",
        help="of frames by a camera that stands still: without what stands still in them",
    )
    group.add_argument("--topic", metavar="NAME", help="of frames: which depth of a recording, where it has several")
    group.add_argument("--rotated", action="store_true", help="icvl: the rotated training sequences, too")
    group.add_argument("--centers", metavar="FILE", help="published centres of the test frames to start from")
    group.add_argument("--store-dir", metavar="DIR", help="where the store is made (default: the dataset's folder)")


def _add_workers(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes of this machine; 0 for none but this one (default: one per core where it is worth it)",
    )
    group.add_argument(
        "--cluster", metavar="HOST:PORT", help="the head of a Ray cluster, whose cores do it (lsps-tf[cluster])"
    )


def parse_arguments(arguments: list[str] | None = None) -> dict[str, Any]:
    """The options that were given, by name. Exits with 2 and one line on anything else."""
    given = parse_with(build_parser(), arguments)
    if given.get("strategy") == MULTIWORKER:
        read_cluster(os.environ)
    return given


def parse_with(parser: argparse.ArgumentParser, arguments: list[str] | None) -> dict[str, Any]:
    """The options of `parser` that were given, by name; InputError on anything unknown, with the nearest name."""
    return vars(parser.parse_args(arguments))


def resolve_config(given: dict[str, Any]) -> Config:
    """The preset with the given settings; InputError where a value is out of range."""
    recipe = given.get("recipe", Config.recipe)
    config = dataclasses.replace(PRESETS[given.get("preset", "compact")], recipe=recipe).replace(**RECIPES[recipe])
    config = config.replace(**{name: given[name] for name in setting_fields() if name in given})
    check_config(config)
    return config


_AT_LEAST_ZERO = (
    *("rotation_degrees", "translation_mm", "appearance", "randomization", "fit_rounds", "clip_norm"),
    *("discriminator_repeats", "mapping_blocks", "depth_steps", "mapping_steps", "depth_average", "depth_shift_mm"),
    *("vote_widths", "posterior_average", "fit_label_share"),
    *("seed", "intra_op_threads", "inter_op_threads"),
)
_CHOICES = {
    "mapping": (CODE, BONES),
    "decay": ("none", "cosine", "halving"),
    "synthetic_part": ("train", "sensed"),
}


def check_config(config: Config) -> None:
    """Raises InputError where a number has no meaning; what networks need of each other they check themselves."""
    for group in (getattr(config, name) for name in GROUPS):
        for field in dataclasses.fields(group):
            value = getattr(group, field.name)
            choices = _CHOICES.get(field.name)
            if isinstance(field.default, bool):
                if not isinstance(value, bool):
                    raise InputError(
                        f"{_option(field.name)} {value}: it is on or off, {_option(field.name)} or "
                        f"--no{_option(field.name)[1:]}"
                    )
                continue
            if isinstance(value, str):
                if choices and value not in choices:
                    raise InputError(f"{_option(field.name)} {value}: choose one of {', '.join(choices)}")
                continue
            smallest = min(value, default=0) if isinstance(value, tuple) else value
            zero_allowed = field.name in _AT_LEAST_ZERO or group is config.weights
            if not (smallest > 0 or (zero_allowed and smallest == 0)):
                raise InputError(
                    f"{_option(field.name)} {value}: it must be {'at least' if zero_allowed else 'above'} 0"
                )
    for name in ("fit_keep", "fit_agree"):
        part = getattr(config.training, name)
        if part > 1.0:
            raise InputError(f"{_option(name)} {part:g}: it is a part of the fitted frames, at most 1")
    if config.training.fit_label_share >= 1.0:
        raise InputError(f"--fit-label-share {config.training.fit_label_share:g}: it is a part below 1, such as 0.25")
    for name in ("depth_average", "posterior_average"):
        decay = getattr(config.training, name)
        if decay >= 1.0:
            raise InputError(f"{_option(name)} {decay:g}: it is a decay below 1, such as 0.999")
    if config.training.matching_batch > config.training.posterior_batch:
        raise InputError(
            f"--matching-batch {config.training.matching_batch}: it is a part of --posterior-batch "
            f"{config.training.posterior_batch} and cannot be larger"
        )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _reader(field: dataclasses.Field) -> Any:
    if isinstance(field.default, tuple):
        return _integers
    return type(field.default)


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of whole numbers such as 16,32,64") from None


def _with_labels_alone() -> str:
    return " and ".join(method.name for method in METHODS.values() if method.needs_labels)
