"""What of a run comes with the program: its settings, the weights of its last stage, and its figures."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil

from lsps_tf import run_folder
from lsps_tf.errors import InputError

FIGURES = pathlib.PurePath("evaluation", "test.json")


def ship_run(run_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Copies what a trained run needs to predict, without the folders of the machine that it was trained on.

    Args:
        run_dir: a finished run that `training/evaluate.py --run-dir` has measured.
        output: a run folder to write; what is there is replaced.

    Raises:
        InputError: where the run is not finished or not evaluated.
    """
    run = run_folder.load_run(run_dir)
    if not (run_dir / FIGURES).is_file():
        raise InputError(f"{run_dir}: the run is not evaluated; python training/evaluate.py --run-dir {run_dir}")
    store = f"data/{run.store_path.name}"
    settings = dataclasses.replace(run.settings, store=store, pretrained="", pretrained_stage="")
    weights = run_folder.weights_path(output, run_folder.stages_of(settings.method, settings.config)[-1])
    shutil.rmtree(weights.parent, ignore_errors=True)
    for path in (weights, output / FIGURES):
        path.parent.mkdir(parents=True, exist_ok=True)
    run_folder.write_settings(output, settings)
    run_folder.save_weights(run.networks, weights)
    shutil.copyfile(run_dir / FIGURES, output / FIGURES)
