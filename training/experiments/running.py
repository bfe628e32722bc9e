"""Runs cells: trains what they need in run folders of their own, measures them, and writes the figures of each."""

from __future__ import annotations

import dataclasses
import gc
import json
import pathlib
import time
from typing import Any

from tensorflow import keras

from lsps_tf.config import FIT, current_setting
from lsps_tf.datasets.store import open_store
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path, locked, read_text, write_json
from lsps_tf.run_folder import Run, RunSettings, held_run, load_run, settings_path, weights_path
from training.arguments import resolve_config
from training.data.source import workers_of
from training.evaluation.measure import error_figures, evaluated_errors_mm, predict_store
from training.experiments import figures
from training.experiments.baselines import PREDICTORS
from training.experiments.cells import Cell, Training
from training.pseudo_labels import fits_path
from training.session import open_run, say_waiting, train


@dataclasses.dataclass(frozen=True)
class Workspace:
    """Where an experiment's cells are, and what they have in common.

    Attributes:
        output: the folder of its run folders, figures and tables.
        given: options and settings of `run.py` for all cells, by their names.
        again: the command that goes on after a stop.
    """

    output: pathlib.Path
    given: dict[str, Any]
    again: str

    def run_dir(self, training: Training) -> pathlib.Path:
        return self.output / "runs" / training.folder

    def is_trained(self, training: Training) -> bool:
        return weights_path(self.run_dir(training), training.stage).exists()


# Where data lies and who reads it changes no figure.
_NO_MATTER = ("data_root", "store_dir", "workers", "cluster", "shard_frames")


def check_workspace(workspace: Workspace) -> None:
    """Notes what the cells in the folder were made with; InputError where they were made with something else."""
    path = workspace.output / "experiment.json"
    options = {name: value for name, value in sorted(workspace.given.items()) if name not in _NO_MATTER}
    asked = json.loads(json.dumps({"options": options}))
    with locked(path, say_waiting):
        if not path.exists():
            write_json(path, asked)
            return
    stored = json.loads(read_text(path))["options"]
    # A folder of an older version has settings by older names.
    before, now = json.loads(json.dumps(dict(current_setting(*item) for item in stored.items()))), asked["options"]
    if before != now:
        changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        what = ", ".join(f"--{name.replace('_', '-')}" for name in changed)
        raise InputError(f"{workspace.output}: its cells were made with another {what}; choose another --output")


def run_cells(cells: list[Cell], workspace: Workspace) -> bool:
    """Runs the cells whose figures are not there yet. Returns whether all are there now; False: stopped and saved."""
    there = figures.read(workspace.output)
    missing = [cell for cell in cells if cell.name not in there]
    print(f"{len(cells)} cells, {len(cells) - len(missing)} of them there already")
    for number, cell in enumerate(missing):
        print(f"\n== {cell.name}: cell {number + 1} of {len(missing)}{_time_left(missing[number:], workspace)}")
        if not _run_cell(cell, workspace):
            return False
    return True


def _run_cell(cell: Cell, workspace: Workspace) -> bool:
    """Trains and measures a cell, or waits for the process that does. Returns whether its figures are there."""
    with locked(workspace.output / cell.name, say_waiting):
        if cell.name in figures.read(workspace.output):
            return True
        for training in cell.trainings():
            with held_run(workspace.run_dir(training), say_waiting):
                if not workspace.is_trained(training) and not run_training(training, workspace):
                    return False
        figures.append(workspace.output, measure_cell(cell, workspace))
    return True


def run_training(training: Training, workspace: Workspace) -> bool:
    """Trains, or goes on with, one run. Returns whether it is finished; False: stopped and saved."""
    run_dir = workspace.run_dir(training)
    print(f"{training.folder}, {training.stage} stage")
    settings = open_training(training, workspace)
    _take_fits(training, workspace)
    before, started = seconds_of(run_dir), time.monotonic()
    try:
        return train(settings, run_dir, workers_of(workspace.given))
    finally:
        write_json(run_dir / "seconds.json", {"seconds": round(before + time.monotonic() - started, 1)})
        # What a stage leaves behind would add up over the cells.
        keras.backend.clear_session()
        gc.collect()


def open_training(training: Training, workspace: Workspace) -> RunSettings:
    """The settings of a training's run, which is started where there is none yet."""
    run_dir = workspace.run_dir(training)
    given = {**workspace.given, "seed": training.seed, **dict(training.options)}
    given.update(method=training.method, stages=training.stage, run_dir=str(run_dir))
    if training.longer > 1:
        steps = "fit_steps" if training.stage.startswith(FIT) else "posterior_steps"
        given[steps] = training.longer * getattr(resolve_config(given).training, steps)
    if training.base is not None:
        given.update(pretrained=str(workspace.run_dir(training.base)), pretrained_stage=training.base.stage)
    return open_run({**given, "resume": settings_path(run_dir).exists()}, workspace.again)[1]


def _take_fits(training: Training, workspace: Workspace) -> None:
    """Copies the fits that another training has made already; the run goes on with those that are missing, if any."""
    if training.fits_of is None:
        return
    made = fits_path(workspace.run_dir(training.fits_of), training.stage)
    own = fits_path(workspace.run_dir(training), training.stage)
    if made.exists() and not own.exists():
        with atomic_path(own) as partial:
            partial.write_bytes(made.read_bytes())


def measure_cell(cell: Cell, workspace: Workspace) -> dict[str, Any]:
    """A cell's figures on the validation and the test frames, with what they were made with; see `figures`."""
    run = load_run(workspace.run_dir(cell.training))
    beside = load_run(workspace.run_dir(cell.beside)) if cell.beside is not None else None
    predict = PREDICTORS[cell.measure](run, beside)
    started = time.monotonic()
    measured = {}
    for split in _splits(run):
        predictions = predict_store(run, split, predict_joints=predict)
        measured[split] = error_figures(evaluated_errors_mm(predictions, run.skeleton), run.skeleton)
        print(f"{split}: {measured[split]['mean_error_mm']:.2f} mm")
    seconds = {training.folder: seconds_of(workspace.run_dir(training)) for training in cell.trainings()}
    return {
        **{"cell": cell.name, "row": cell.row, "seed": cell.seed},
        **{split: figures.rounded(part) for split, part in measured.items()},
        "seconds": {"measuring": round(time.monotonic() - started, 1), "training": seconds},
        "settings": _settings(run),
    }


def _splits(run: Run) -> list[str]:
    with open_store(run.store_path) as store:
        return [split for split in ("validation", "test") if store.count(f"real/{split}")]


def _settings(run: Run) -> dict[str, Any]:
    """What of a run's settings says how it was made, without the folders of the machine."""
    values = run.settings.to_dict()
    kept = ("method", "skeleton", "sensor", "labels", "frames", "stages", "pretrained_stage", "config")
    return {"dataset": pathlib.Path(run.settings.dataset).name, **{name: values[name] for name in kept}}


def seconds_of(run_dir: pathlib.Path) -> float:
    """How long a run has trained, over all the times that it was stopped and went on."""
    path = run_dir / "seconds.json"
    return json.loads(read_text(path))["seconds"] if path.exists() else 0.0


def _time_left(cells: list[Cell], workspace: Workspace) -> str:
    """An estimate for the cells to come, from the trainings of the same stages that are finished."""
    trainings = {training for cell in cells for training in cell.trainings() if not workspace.is_trained(training)}
    known: dict[str, list[float]] = {}
    for path in sorted((workspace.output / "runs").glob("*/weights/*.h5")):
        known.setdefault(path.stem, []).append(seconds_of(path.parents[1]))
    told = [training for training in trainings if training.stage in known]
    minutes = sum(sum(known[t.stage]) / len(known[t.stage]) for t in told) / 60
    if not trainings or not told:
        return ""
    return f", {'about' if len(told) == len(trainings) else 'more than'} {minutes:.0f} minutes to go"
