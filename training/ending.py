"""What a run ends with: its figures, its exported models where they are asked for, and the commands that come next."""

from __future__ import annotations

import os
import pathlib
import shlex

from lsps_tf.errors import InputError
from lsps_tf.files import check_writable
from lsps_tf.run_folder import RunSettings
from training.evaluation.command import evaluate_finished
from training.evaluation.verdict import judge_run


def check_export(folder: str | None, settings: RunSettings) -> None:
    """InputError where a run could not be exported at its end; None as a folder asks for no export.

    Args:
        folder: where the models are to go.
        settings: of the run, before it has begun.
    """
    if folder is None:
        return
    check_writable(folder, "give another folder for --export")
    if settings.stages[-1] != settings.last_stage:
        raise InputError(
            f"--export {folder}: this run ends after the stage {settings.stages[-1]}, and what can be exported ends "
            f"after {settings.last_stage}; leave out --export or --stages"
        )


def show_end(settings: RunSettings, run_dir: pathlib.Path, export_to: str | None = None) -> int:
    """Measures a finished run where it has labels for it, exports it where asked, and says what comes next.

    Args:
        settings: of the run.
        run_dir: its folder.
        export_to: a folder for what `export/run.py` writes.

    Returns:
        The exit status: 1 where an exported model computes wrongly.
    """
    folder, last = shlex.quote(str(run_dir)), settings.stages[-1]
    if last != settings.last_stage:
        start = f"{script_command('run.py')} --dataset {shlex.quote(settings.dataset)} --method {settings.method}"
        print(f"Next: {start} --pretrained {folder} --pretrained-stage {last} # and the other options of this run")
        return 0
    said = judge_run(settings, run_dir)
    if said is not None:
        print(said)
    # A run without labels shows what it sees by the command that measures the others.
    after = [] if evaluate_finished(run_dir) else [f"{script_command('evaluate.py')} --run-dir {folder}"]
    if export_to is None:
        after.append(f"{script_command('../export/run.py')} --run-dir {folder} --output {folder}/model")
    if after:
        print("Next: " + "\n      ".join(after))
    if export_to is None:
        return 0
    from export.exporting import export_command

    return export_command(["--run-dir", str(run_dir), "--output", export_to])


def script_command(name: str) -> str:
    """How to call a script, named relative to this folder, from where the user is."""
    return f"python {shlex.quote(os.path.relpath(pathlib.Path(__file__).parent / name))}"
