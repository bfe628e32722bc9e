"""What a run goes on with: its own settings, and other step sizes where it is asked for them."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from lsps_tf import run_folder
from lsps_tf.config import group_of, setting_fields
from lsps_tf.datasets.simulator import DATASETS as SIMULATIONS
from lsps_tf.errors import InputError
from lsps_tf.run_folder import RunSettings, held_run
from training.arguments import check_config
from training.data.table import SIMULATED_SPLITS
from training.methods import METHODS, resolve_stages
from training.survival.checkpoints import checkpoints_folder, saved_steps
from training.survival.divergence import STEP_SIZES

# What a run may go on with other values of: what undoes a divergence.
CHANGEABLE = frozenset(("clip_norm", *(name for names in STEP_SIZES.values() for name in names)))


def resume_run(given: dict[str, Any]) -> tuple[pathlib.Path, RunSettings]:
    """The folder and the settings of the run to go on with.

    Raises:
        InputError: where there is none, or an option asks for something else than the run was started with. Step sizes
            may differ; the run's folder says from which step on.
    """
    if "run_dir" not in given:
        raise InputError("--resume: name the run with --run-dir")
    run_dir = pathlib.Path(given["run_dir"])
    settings = run_folder.read_settings(run_dir)
    if settings.method not in METHODS:
        raise InputError(f"{run_dir}: the run's method '{settings.method}' is none of {', '.join(METHODS)}")
    stored = _stored_options(settings)
    asked = {name: value for name, value in given.items() if name in stored}
    if "pretrained" in asked:
        asked["pretrained"] = str(pathlib.Path(asked["pretrained"]).resolve())
    if "stages" in asked:
        asked["stages"] = ",".join(
            resolve_stages(settings.method, settings.config, asked["stages"], settings.pretrained_stage)
        )
    changed = {name: value for name, value in asked.items() if value != stored[name]}
    for name, value in changed.items():
        if name not in CHANGEABLE:
            raise InputError(
                f"{run_dir}: this run was started with {_as_option(name, stored[name])}, not "
                f"{_as_option(name, value) if isinstance(value, bool) else value}; leave the option out, or start a "
                "new run"
            )
    return run_dir, _changed(settings, run_dir, changed) if changed else settings


def _changed(settings: RunSettings, run_dir: pathlib.Path, values: dict[str, Any]) -> RunSettings:
    """The settings with other values from the stage on that is next, written into the run's folder."""
    config = settings.config.replace(**values)
    check_config(config)
    stage = next((s for s in settings.stages if not run_folder.weights_path(run_dir, s).exists()), "")
    step = max(saved_steps(checkpoints_folder(run_dir, stage)), default=0)
    changes = tuple(
        {
            "setting": name,
            "before": getattr(settings.config.training, name),
            "after": value,
            "stage": stage,
            "step": step,
        }
        for name, value in values.items()
    )
    settings = dataclasses.replace(settings, config=config, changes=(*settings.changes, *changes))
    with held_run(run_dir):
        run_folder.write_settings(run_dir, settings)
    return settings


def _as_option(name: str, value: Any) -> str:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        without = f"--no-{option}" if name in setting_fields() else f"no --{option}"
        return f"--{option}" if value else without
    return f"--{option} {value}"


def _stored_options(settings: RunSettings) -> dict[str, Any]:
    """A run's settings by the names of the options that set them."""
    config = settings.config
    options = {
        "preset": config.preset,
        "recipe": config.recipe,
        "method": settings.method,
        "labels": settings.labels,
        "dataset": settings.dataset,
        "sensor": settings.sensor,
        "skeleton": settings.skeleton,
        "stages": ",".join(settings.stages),
        "pretrained": settings.pretrained,
        "pretrained_stage": settings.pretrained_stage,
        "stream": settings.stream,
    }
    if settings.dataset in SIMULATIONS:
        frames = settings.frames
        options.update({name: frames[split] for split, name in SIMULATED_SPLITS.items() if split in frames})
    return {**options, **{name: getattr(getattr(config, group_of(name)), name) for name in setting_fields()}}
