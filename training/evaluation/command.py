"""Evaluates a finished run on the labelled frames of its store: predicts, measures, and draws what it saw.

`training/run.py` ends with the same (`evaluate_finished`).

With `--predictions` it measures published results instead, beside the run's where one is given (see `comparison`).
"""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import TYPE_CHECKING, Any

from lsps_tf.commandline.parser import Parser
from lsps_tf.errors import InputError
from lsps_tf.files import atomic_path, write_json
from lsps_tf.run_folder import Run, RunSettings, load_run, read_settings, weights_path
from lsps_tf.skeleton import SKELETON_OF_COUNT, Skeleton

# Help and mistakes come before TensorFlow is imported, so what needs it stands in the functions.
if TYPE_CHECKING:
    from training.evaluation.measure import Predictions

SPLITS = ("test", "validation")
BATCH = 64


def run_evaluation(arguments: list[str]) -> int:
    """Runs `training/evaluate.py`. Returns the exit status 0; InputError where something given is wrong."""
    given = _build_parser().parse_args(arguments)
    if given.batch < 1:
        raise InputError(f"--batch {given.batch}: at least one frame is needed")
    if given.joints and (given.predictions or given.write_predictions is not None):
        raise InputError("--joints: published results have the dataset's joints; leave it out with predictions")
    # After the options, so that help and mistakes come before TensorFlow is imported.
    from training.evaluation.measure import write_predictions
    from training.evaluation.published import compare_results

    if given.predictions:
        return compare_results(given)
    if given.run_dir is None:
        raise InputError("--run-dir is needed, or --predictions with files of published results")
    run = load_run(given.run_dir)
    output = given.output if given.output is not None else given.run_dir / "evaluation"
    if run.settings.dataset == "frames" and not run.settings.frames.get(f"real/{given.split}"):
        return _show_unlabelled(run, given, output)
    skeleton = SKELETON_OF_COUNT.get(given.joints, run.skeleton)
    predictions, figures, paths = _evaluate(run, given.split, given.batch, output, skeleton)
    if given.write_predictions is not None:
        write_predictions(run, given.split, predictions, given.write_predictions)
        paths.append(given.write_predictions)
    if given.json is not None:
        write_json(given.json, figures)
        paths.append(given.json)
    _say_written(paths)
    return 0


def evaluate_finished(run_dir: pathlib.Path) -> bool:
    """Ends a run with its figures: measures it on its test frames, or shows the figures that it has already.

    Writes what `training/evaluate.py --run-dir` writes. Figures that are older than the weights are measured again.

    Args:
        run_dir: a finished run.

    Returns:
        Whether the run has figures; False where no test frame has labels.

    Raises:
        InputError: where the store is missing, or the predictions are not finite.
    """
    from training.evaluation.measure import has_labels
    from training.evaluation.pictures import evaluation_paths

    output, settings = run_dir / "evaluation", read_settings(run_dir)
    if not has_labels(settings):
        return False
    tables = _stored_tables(settings, run_dir, output)
    if tables is not None:
        print(f"{tables}\nFigures: {evaluation_paths(output, 'test')[0]}")
    else:
        run = load_run(run_dir)
        _say_written(_evaluate(run, "test", BATCH, output, run.skeleton)[-1])
    return True


def _stored_tables(settings: RunSettings, run_dir: pathlib.Path, output: pathlib.Path) -> str | None:
    """The figures on the test frames; None where they or a picture are missing, damaged or older than the weights."""
    from training.evaluation.measure import format_figures
    from training.evaluation.pictures import evaluation_paths

    paths = evaluation_paths(output, "test")
    weights = weights_path(run_dir, settings.last_stage)
    if not all(path.is_file() and path.stat().st_mtime_ns >= weights.stat().st_mtime_ns for path in paths):
        return None
    try:
        return format_figures(json.loads(paths[0].read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError):
        return None


def _evaluate(
    run: Run, split: str, batch: int, output: pathlib.Path, skeleton: Skeleton
) -> tuple[Predictions, dict[str, Any], list[pathlib.Path]]:
    """Predicts, measures, prints the figures and writes them. Returns predictions, figures and the files."""
    from training.evaluation.measure import format_figures, predict_store, summarize
    from training.evaluation.pictures import write_evaluation

    predictions = predict_store(run, split, batch, skeleton=skeleton)
    figures = summarize(predictions, skeleton)
    print(format_figures(figures))
    return predictions, figures, write_evaluation(run, split, predictions, figures, output, skeleton)


def _say_written(paths: list[pathlib.Path]) -> None:
    print("Written: " + "\n         ".join(str(path) for path in paths))


def _show_unlabelled(run: Run, given: argparse.Namespace, output: pathlib.Path) -> int:
    """What is left to do for a recording without labels to measure on."""
    if given.json is not None or given.write_predictions is not None:
        raise InputError(
            f"{run.store_path}: the recording has no labelled frames to {given.split} on, so leave out --json and "
            "--write-predictions, or label some in joints.csv"
        )
    from training.evaluation.pictures import draw_unlabelled

    path = output / "unlabelled-frames.png"
    with atomic_path(path) as partial:
        draw_unlabelled(run).save(partial, format="PNG")
    print(
        f"The recording has no labelled frames to {given.split} on, so there is nothing to measure.\n"
        f"Look at what the run sees in it: {path}"
    )
    return 0


def _build_parser() -> Parser:
    parser = Parser(
        prog="evaluate.py",
        description="Measure a finished run on frames with labels, or published predictions beside it.",
    )
    path = {"type": pathlib.Path, "metavar": "FILE"}
    parser.add_argument("--run-dir", type=pathlib.Path, metavar="DIR", help="the run's folder")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which frames (default: test)")
    parser.add_argument("--write-predictions", help="write the run's predictions here in the published layout", **path)
    parser.add_argument("--predictions", nargs="+", help="published predictions to measure, `u v d` per joint", **path)
    parser.add_argument("--dataset", metavar="NAME", help="of the published predictions: a public dataset, such as nyu")
    parser.add_argument("--groundtruth", help="their labels, same layout (default: the dataset's own)", **path)
    parser.add_argument("--data-root", metavar="DIR", help="the dataset's folder (default: data/NAME, $LSPS_DATA/NAME)")
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        metavar="DIR",
        help="default: evaluation/ in the run's folder, or runs/comparison-DATASET without a run",
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures here, too")
    parser.add_argument(
        "--joints",
        type=int,
        choices=list(SKELETON_OF_COUNT),
        help="measure on the 21 joints of MANO, MediaPipe and FreiHAND (default: those that the field evaluates)",
    )
    parser.add_argument("--batch", type=int, default=BATCH, metavar="N", help=f"frames at a time (default: {BATCH})")
    return parser
