"""Makes a finished run the one that comes with the program: `python training/ship.py --run-dir RUN`.

What comes with the program is the run's settings, the weights of its last stage, its figures, and the same network as a
TFLite file with 8-bit weights, which predicts without TensorFlow.
"""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lsps_tf.commandline.command import run_command  # noqa: E402

FIGURES = pathlib.PurePath("evaluation", "test.json")


def main() -> int:
    from lsps_tf.commandline.parser import Parser
    from lsps_tf.run_folder import SHIPPED

    parser = Parser("ship.py", "Makes a finished run the one that comes with the program.")
    parser.add_argument("--run-dir", type=pathlib.Path, required=True, help="the run, finished and evaluated")
    parser.add_argument("--output", type=pathlib.Path, default=SHIPPED, help=f"default: {SHIPPED}")
    given = parser.parse_args(sys.argv[1:])
    ship_run(given.run_dir, given.output)
    print(f"Written: {given.output}")
    return 0


def ship_run(run_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Copies what a trained run needs to predict, without the folders of the machine that it was trained on.

    Args:
        run_dir: a finished run that `training/evaluate.py --run-dir` has measured.
        output: a run folder to write; what is there is replaced. It may be `run_dir` itself, whose TFLite file is then
            made again.

    Raises:
        InputError: where the run is not finished or not evaluated.
    """
    import dataclasses

    from export.tflite.calibration import fit_confidence
    from export.tflite.convert import export_tflite
    from lsps_tf import run_folder
    from lsps_tf.errors import InputError
    from lsps_tf.model_info import SHIPPED_NUMBERS

    run = run_folder.load_run(run_dir)
    if not (run_dir / FIGURES).is_file():
        raise InputError(f"{run_dir}: the run is not evaluated; python training/evaluate.py --run-dir {run_dir}")
    store = f"data/{run.store_path.name}"
    settings = dataclasses.replace(run.settings, store=store, pretrained="", pretrained_stage="")
    figures = (run_dir / FIGURES).read_bytes()
    weights = run_folder.weights_path(output, settings.last_stage)
    for path in (weights, output / FIGURES):
        path.parent.mkdir(parents=True, exist_ok=True)
    run_folder.write_settings(output, settings)
    run_folder.save_weights(run.networks, weights)
    for other in set(weights.parent.iterdir()) - {weights}:
        other.unlink()
    (output / FIGURES).write_bytes(figures)
    for other in output.glob("*.tflite"):
        other.unlink()
    export_tflite(run, output, (SHIPPED_NUMBERS,), confidence=fit_confidence(run))


if __name__ == "__main__":
    run_command(main)
