"""The command line of `training/experiment.py`."""

from __future__ import annotations

import argparse
import pathlib
import shlex
import sys
from typing import TYPE_CHECKING, Any

from lsps_tf.commandline.parser import Parser
from lsps_tf.datasets.public import icvl, nyu
from lsps_tf.errors import InputError
from training.arguments import add_data_and_settings, parse_with, resolve_config
from training.experiments.ablation import ABLATION
from training.experiments.cells import Experiment, cells_in_order
from training.experiments.labels import LABELS
from training.experiments.table1 import TABLE1

# Help and mistakes come before TensorFlow is imported, so what needs it stands in the functions.
if TYPE_CHECKING:
    from training.experiments.running import Workspace

EXPERIMENTS = {experiment.name: experiment for experiment in (TABLE1, LABELS, ABLATION)}
# The protocols of the paper: NYU is structured light with 36 joints, ICVL time of flight with 16.
SKELETON_OF_SENSOR = {dataset.sensor: dataset.skeleton.name for dataset in (nyu.DATASET, icvl.DATASET)}
_OWN = ("experiment", "output", "seeds", "rows", "cells", "tables_only")


def run_experiment(arguments: list[str]) -> int:
    """Runs `training/experiment.py`. Returns the exit status: 0, or 130 where it was stopped."""
    given = parse_with(_build_parser(), arguments)
    if "seed" in given:
        raise InputError(f"--seed {given['seed']}: an experiment has a run for each of --seeds; use that one")
    from training.ending import script_command
    from training.experiments.running import check_workspace, run_cells
    from training.session import STOPPED

    experiment = EXPERIMENTS[given["experiment"]]
    seeds = given.get("seeds", [0, 1, 2])
    again = f"{script_command('experiment.py')} {shlex.join(arguments)}"
    workspace = _workspace(given, again)
    if not given.get("tables_only"):
        cells = cells_in_order(experiment, seeds, given["dataset"], given.get("rows", ()), given.get("cells", ()))
        try:
            check_workspace(workspace)
            finished = run_cells(cells, workspace)
        except KeyboardInterrupt:
            finished = False
        if not finished:
            print(f"\nStopped; what is done is kept. Go on with:\n  {again}", file=sys.stderr)
            return STOPPED
    _show(experiment, workspace.output, seeds)
    return 0


def _show(experiment: Experiment, output: pathlib.Path, seeds: list[int]) -> None:
    from training.experiments.tables import write_tables

    table, paths = write_tables(experiment, output, seeds)
    print(f"\n== {experiment.title}\n\n{table}\n")
    if paths:
        print("Written: " + "\n         ".join(str(path) for path in paths))


def _workspace(given: dict[str, Any], again: str) -> Workspace:
    from training.data.table import choices, get_dataset
    from training.experiments.running import Workspace

    if "dataset" not in given:
        raise InputError(f"--dataset is needed: {choices()}")
    common = {name: value for name, value in given.items() if name not in _OWN}
    if given["dataset"] == "sim":
        sensor = common.setdefault("sensor", "structured-light")
        common.setdefault("skeleton", SKELETON_OF_SENSOR.get(sensor, "nyu"))
    # What is wrong with the options is said before anything is trained.
    source = get_dataset(given["dataset"]).resolve(common, resolve_config(common))
    name = "-".join(part for part in (pathlib.Path(given["dataset"]).stem, source.sensor, source.config.preset) if part)
    return Workspace(given.get("output", pathlib.Path("runs") / "experiments" / name), common, again)


def _build_parser() -> Parser:
    parser = Parser(
        prog="experiment.py",
        description="Run the cells of an experiment that are not there yet, and write its table and its plot.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("experiment", choices=list(EXPERIMENTS), help="which one")
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        metavar="DIR",
        help="run folders, figures and tables (default: one of its own under runs/experiments/)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help="default: 0 1 2")
    parser.add_argument(
        "--rows", nargs="+", metavar="ROW", help="run only these rows; the table shows all that is there"
    )
    parser.add_argument("--cells", nargs="+", metavar="CELL", help="run only these cells, such as lsps-seed0")
    parser.add_argument("--tables-only", action="store_true", help="run nothing; write the table of what is there")
    add_data_and_settings(parser)
    return parser
